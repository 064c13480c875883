"""Layers with weights: convolution, fully connected, and the product of two activations.

The bias is stored in steps of s_in * s_w (int32 for 8-bit layers, int64 for 16-bit ones). The accumulator is bounded
from the real weights: what could overflow is refused here, not found on the board.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.blob import Blob
from npudsl.artifacts.quantized_model import TensorQuantization, WeightQuantization
from npudsl.diagnostics import Problem
from npudsl.ir.groups import LayerGroup
from npudsl.machine.bounds import accumulator_bound
from npudsl.machine.lowering import lower_matmul, lower_weighted
from npudsl.numerics.affine import quantize_bias, scales_for_bias
from npudsl.numerics.types import element_type
from npudsl.steps.quantize.builder import ProgramBuilder
from npudsl.steps.quantize.layout import constant_layout, in_layout
from npudsl.steps.quantize.weights import codes_per_channel

ACCUMULATOR_BITS = {32: 2**31, 64: 2**63}


def emit_conv(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``conv``; a 1-D convolution is a 2-D one of height 1."""
    node = builder.structure.node(group)
    rank = len(builder.structure.graph.types[node.inputs[0]].shape)
    attributes = {
        "strides": as_image(node.attributes["strides"], rank, 1),
        "pads": pads_as_image(node.attributes["pads"], rank),
        "dilations": as_image(node.attributes["dilations"], rank, 1),
        "group": int(node.attributes.get("group", 1)),
    }
    _emit(builder, group, "conv", attributes)


def emit_linear(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``linear``: Gemm, and MatMul with a constant matrix."""
    _emit(builder, group, "linear", {})


def emit_matmul(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``matmul`` of two activations, or ``linear`` when one of them is a constant."""
    if group.weights:
        emit_linear(builder, group)
        return
    output = builder.output(group)
    first, second = (builder.input_as(group, index, output) for index in (0, 1))
    requantize = lower_matmul(builder.profile, first, second, output, group.clamp)
    builder.add(group, "matmul", (first, second), output, (requantize,), macs=group.macs)


def as_image(extents: list[int], rank: int, filler: int) -> list[int]:
    """Extents of the image axes as [height, width]."""
    return [filler, *map(int, extents)] if rank == 3 else list(map(int, extents))


def pads_as_image(pads: list[int], rank: int) -> list[int]:
    """Padding as [top, left, bottom, right]."""
    begin, end = (list(pads[:1]), list(pads[1:])) if rank == 3 else (list(pads[:2]), list(pads[2:]))
    return [*as_image(begin, rank, 0), *as_image(end, rank, 0)]


def _emit(builder: ProgramBuilder, group: LayerGroup, operation: str, attributes: dict[str, Any]) -> None:
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    stored = builder.weight(group, group.weights[0])
    weight, codes = stored.quantization, builder.codes(stored)
    bias = _real_bias(builder, group, codes.shape[0])
    widened = _scales_that_hold(bias, input_, weight)
    weight_constant: NDArray[Any] | Blob = stored.codes
    if widened is not None:
        weight = replace(weight, scales=tuple(float(scale) for scale in widened))
        codes = weight_constant = _codes_again(builder, group, weight, widened)
        builder.store_weight(weight)
    bits = _accumulator_bits(input_, weight)
    bias_codes = _bias_codes(builder, group, bias, input_, weight, bits)
    largest = accumulator_bound(codes, weight.zero_point, input_, bias_codes)
    _check_accumulator(builder, group, largest, bits)
    requantize = lower_weighted(
        builder.profile, operation, input_, weight, output, group.clamp, largest=max(largest, 1)
    )
    builder.add(
        group,
        operation,
        (input_,),
        output,
        (requantize,),
        {**attributes, "weight_zero_point": weight.zero_point},
        {"weight": weight_constant, "bias": bias_codes},
        macs=group.macs,
    )


def _real_bias(builder: ProgramBuilder, group: LayerGroup, channels: int) -> NDArray[np.float64]:
    """The bias in float64 (channels,), zeros when the layer has none."""
    if group.bias is None:
        return np.zeros(channels)
    return np.asarray(builder.structure.graph.constants[group.bias], dtype=np.float64).reshape(channels)


def _scales_that_hold(
    bias: NDArray[np.float64], input_: TensorQuantization, weight: WeightQuantization
) -> NDArray[np.float64] | None:
    """Per-channel scales under which every bias fits int32, when those of the weights do not; else None.

    A channel that batch normalization left with tiny weights and a bias is such a case: its weights count for nothing.
    """
    if weight.scheme != "perchannel" or _accumulator_bits(input_, weight) != 32:
        return None
    scales = np.asarray(weight.scales)
    widened = scales_for_bias(scales, bias, input_.scale)
    return None if np.array_equal(widened, scales) else widened


def _codes_again(
    builder: ProgramBuilder, group: LayerGroup, weight: WeightQuantization, scales: NDArray[np.float64]
) -> NDArray[Any]:
    """The codes of a per-channel weight under other scales, in the layout of the stored ones."""
    layout = constant_layout(builder.structure, group, weight.name)
    values = in_layout(builder.structure.graph.constants[weight.name], layout)
    return codes_per_channel(values, scales, weight.type)


def _accumulator_bits(input_: TensorQuantization, weight: WeightQuantization) -> int:
    wide = element_type(input_.type).bits > 8 or element_type(weight.type).bits > 8
    return 64 if wide else 32


def _bias_codes(
    builder: ProgramBuilder,
    group: LayerGroup,
    bias: NDArray[np.float64],
    input_: TensorQuantization,
    weight: WeightQuantization,
    bits: int,
) -> NDArray[Any]:
    try:
        return quantize_bias(bias, input_.scale, weight.scales, bits)
    except ValueError as error:
        raise Problem(
            "E0611",
            f"layer `{group.name}` ({group.op}): {error}",
            subject=builder.subject,
            helps=(
                f'give the layer more room: `layer "{group.name}" type=i16`',
                "or a wider range of its input or weights, which makes the steps of the bias larger",
            ),
        ) from None


def _check_accumulator(builder: ProgramBuilder, group: LayerGroup, largest: int, bits: int) -> None:
    if largest < ACCUMULATOR_BITS[bits]:
        return
    raise Problem(
        "E0611",
        f"layer `{group.name}` ({group.op}): the sum can reach {largest}, which does not fit int{bits}",
        subject=builder.subject,
        helps=(
            f'give the layer a wider sum: `layer "{group.name}" type=i16`'
            if bits == 32
            else f'keep the layer in float: `layer "{group.name}" skip`',
        ),
    )
