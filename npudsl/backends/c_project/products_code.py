"""C of ``conv``, ``conv_transpose``, ``linear`` and ``matmul``."""

from __future__ import annotations

import numpy as np

from npudsl.artifacts.quantized_model import Requantization
from npudsl.backends.c_project.layer_code import (
    ARRAY_TYPES,
    C_TYPES,
    Array,
    LayerCode,
    LayerView,
    Word,
    array_codes,
    check_rank,
    codes,
    contiguous_strides,
    definition,
    image_size,
    requantize_fields,
    size_of,
)
from npudsl.runtime_c import NPU_MAX_TILE

TILE_VALUES = 40960
"""Gathered values of one tile: 80 KiB for 8-bit layers, so that a tile stays in the second-level cache."""

SMALLEST_TILE = 4
"""Positions that are gathered even if a single one is very long, so that every weight read is used a few times."""


def conv_code(view: LayerView) -> LayerCode:
    """Weights go from (O, I, kh, kw) to (O, kh, kw, I): a window is then a few contiguous pieces."""
    weight = view.array("weight")
    batch, channels, height, width = image_size(view, view.input)
    _, outputs, output_height, output_width = image_size(view, view.output)
    _, group_inputs, kernel_height, kernel_width = weight.shape
    group = int(view.attribute("group"))
    strides, dilations, pads = (view.attribute(name) for name in ("strides", "dilations", "pads"))
    bias = _bias(view)
    wide = _is_wide(view, weight, bias)
    inner = group_inputs * kernel_height * kernel_width
    tile = tile_for(inner, output_height * output_width)
    span = (kernel_height - 1) * dilations[0] + 1
    ring_width = (output_width - 1) * strides[1] + (kernel_width - 1) * dilations[1] + 1
    pointwise = (kernel_height, kernel_width, *strides, *pads[:2]) == (1, 1, 1, 1, 0, 0) and (height, width) == (
        output_height,
        output_width,
    )
    size = 4 if wide else 2
    if group > 1 and group == channels:
        scratch = output_width * 8 + span * ring_width * size
    elif pointwise:
        scratch = tile * inner * size
    else:
        scratch = (tile * inner + span * ring_width * group_inputs) * size
    fields = {
        **_operands(view, weight, bias),
        "batch": batch,
        "group": group,
        "input_channels": channels,
        "input_height": height,
        "input_width": width,
        "output_channels": outputs,
        "output_height": output_height,
        "output_width": output_width,
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride_height": strides[0],
        "stride_width": strides[1],
        "pad_top": pads[0],
        "pad_left": pads[1],
        "dilation_height": dilations[0],
        "dilation_width": dilations[1],
        "tile": tile,
    }
    stored = np.ascontiguousarray(weight.transpose(0, 2, 3, 1))
    return _weighted(view, "npu_conv", fields, stored, bias, scratch)


def conv_transpose_code(view: LayerView) -> LayerCode:
    """Weights go from (O, I, kh, kw) to one block a phase: the taps that reach the same output positions."""
    weight = view.array("weight")
    bias = _bias(view)
    batch, channels, height, width = image_size(view, view.input)
    _, outputs, output_height, output_width = image_size(view, view.output)
    _, group_inputs, kernel_height, kernel_width = weight.shape
    strides, dilations, pads = (view.attribute(name) for name in ("strides", "dilations", "pads"))
    rows = _phases(kernel_height, strides[0], dilations[0])
    columns = _phases(kernel_width, strides[1], dilations[1])
    inner = max(map(len, rows)) * max(map(len, columns)) * group_inputs
    tile = tile_for(inner, -(-output_width // strides[1]))
    fields = {
        **_operands(view, weight, bias),
        "batch": batch,
        "group": int(view.attribute("group")),
        "input_channels": channels,
        "input_height": height,
        "input_width": width,
        "output_channels": outputs,
        "output_height": output_height,
        "output_width": output_width,
        "kernel_height": kernel_height,
        "kernel_width": kernel_width,
        "stride_height": strides[0],
        "stride_width": strides[1],
        "pad_top": pads[0],
        "pad_left": pads[1],
        "dilation_height": dilations[0],
        "dilation_width": dilations[1],
        "tile": tile,
    }
    by_tap = weight.transpose(0, 2, 3, 1)
    blocks = [by_tap[:, down][:, :, along].reshape(-1) for down in rows for along in columns]
    scratch = tile * inner * (4 if _is_wide(view, weight, bias) else 2)
    stored = np.concatenate(blocks)
    return _weighted(view, "npu_conv_transpose", fields, stored, bias, scratch, struct="npu_conv")


def _phases(kernel: int, stride: int, dilation: int) -> list[list[int]]:
    """Per remainder of (output position + padding) by the stride: the kernel taps that reach such positions."""
    return [[tap for tap in range(kernel) if tap * dilation % stride == phase] for phase in range(stride)]


def linear_code(view: LayerView) -> LayerCode:
    """Rows of the input times the stored weight."""
    weight = view.array("weight")
    outputs, inputs = weight.shape
    bias = _bias(view)
    rows = size_of(view.input.shape) // inputs
    tile = tile_for(inputs, rows)
    scratch = tile * inputs * (4 if _is_wide(view, weight, bias) else 2)
    fields = {**_operands(view, weight, bias), "rows": rows, "inputs": inputs, "outputs": outputs, "tile": tile}
    return _weighted(view, "npu_linear", fields, weight, bias, scratch)


def matmul_code(view: LayerView) -> LayerCode:
    """Rows of the first matrix are the weights of the kernel, columns of the second are gathered."""
    a, b = view.inputs
    a_shape = a.shape if len(a.shape) > 1 else (1, *a.shape)
    b_shape = b.shape if len(b.shape) > 1 else (*b.shape, 1)
    rows, inner = a_shape[-2:]
    columns = b_shape[-1]
    batch = list(np.broadcast_shapes(a_shape[:-2], b_shape[:-2]))
    if size_of(b_shape[:-2]) == 1:
        rows, batch = rows * size_of(batch), []
    check_rank(view, len(batch))
    tile = tile_for(inner, columns)
    wide = "i16" in (a.type, b.type)
    fields = {
        "a": codes(a),
        "b": codes(b),
        "output_type": Word(C_TYPES[view.output.type]),
        "requantize": requantize_fields(view.requantize),
        "rows": rows,
        "inner": inner,
        "columns": columns,
        "tile": tile,
        "batch_rank": len(batch),
        "batch_shape": batch,
        "a_strides": broadcast_strides(a_shape[:-2], len(batch)),
        "b_strides": broadcast_strides(b_shape[:-2], len(batch)),
    }
    arguments = ", ".join([view.input_place(0), view.input_place(1), view.output_place, view.scratch])
    return LayerCode(
        (definition("npu_matmul_layer", view.descriptor, fields),),
        (f"npu_matmul(&{view.descriptor}, {arguments});",),
        tile * inner * (4 if wide else 2),
    )


def tile_for(inner: int, positions: int) -> int:
    """How many positions of ``inner`` values are gathered at once."""
    return min(NPU_MAX_TILE, max(SMALLEST_TILE, TILE_VALUES // inner // 2 * 2), positions)


def broadcast_strides(shape: tuple[int, ...], rank: int) -> list[int]:
    """Strides of a dense tensor seen with ``rank`` axes: 0 where it is broadcast."""
    strides = [0 if extent == 1 else stride for extent, stride in zip(shape, contiguous_strides(shape), strict=True)]
    return [0] * (rank - len(shape)) + strides[max(len(shape) - rank, 0) :]


def _operands(view: LayerView, weight: Array, bias: Array | None) -> dict[str, object]:
    return {
        "input": codes(view.input),
        "weight": array_codes(weight, int(view.attribute("weight_zero_point"))),
        "bias_type": Word(ARRAY_TYPES[bias.dtype.name] if bias is not None else "NPU_I32"),
        "output_type": Word(C_TYPES[view.output.type]),
        "requantize": requantize_fields(view.requantize),
    }


def _weighted(
    view: LayerView,
    function: str,
    fields: dict[str, object],
    weight: Array,
    bias: Array | None,
    scratch: int,
    struct: str | None = None,
) -> LayerCode:
    places = [
        view.input_place(0),
        view.constant("weight", weight),
        "NULL" if bias is None else view.constant("bias", bias),
        *_channel_tables(view, view.requantize),
        view.output_place,
        view.scratch,
    ]
    return LayerCode(
        (definition(f"{struct or function}_layer", view.descriptor, fields),),
        (f"{function}(&{view.descriptor}, {', '.join(places)});",),
        scratch,
    )


def _channel_tables(view: LayerView, item: Requantization) -> tuple[str, str]:
    """Multipliers and shifts per channel, or NULL twice."""
    if len(item.multipliers) == 1 and len(item.shifts) == 1:
        return "NULL", "NULL"
    channels = max(len(item.multipliers), len(item.shifts))
    multipliers = np.broadcast_to(np.array(item.multipliers, dtype=np.int32), (channels,))
    shifts = np.broadcast_to(np.array(item.shifts, dtype=np.int8), (channels,))
    return view.constant("multipliers", multipliers), view.constant("shifts", shifts)


def _bias(view: LayerView) -> Array | None:
    return view.array("bias") if "bias" in view.layer.constants else None


def _is_wide(view: LayerView, weight: Array, bias: Array | None) -> bool:
    """As ``npu_is_wide``."""
    return view.input.type == "i16" or weight.dtype == np.int16 or (bias is not None and bias.dtype == np.int64)
