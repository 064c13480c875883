"""C of pools, means and maxima over axes, and resizes."""

from __future__ import annotations

import numpy as np

from npudsl.backends.c_project.layer_code import (
    C_TYPES,
    Fields,
    LayerCode,
    LayerView,
    Word,
    array_definition,
    check_rank,
    codes,
    contiguous_strides,
    definition,
    image_size,
    little_indices,
    merge_axes,
    requantize_fields,
    size_of,
)


def max_pool_code(view: LayerView) -> LayerCode:
    return LayerCode(
        (definition("npu_pool_layer", view.descriptor, _pool_fields(view)),),
        (f"npu_max_pool(&{view.descriptor}, {view.input_place(0)}, {view.output_place});",),
    )


def average_pool_code(view: LayerView) -> LayerCode:
    """One requantization per distinct divisor; the index says which one a position uses."""
    fields = _pool_fields(view)
    divisors = f"{view.descriptor}_divisors"
    index = np.ascontiguousarray(view.array("divisor_index"), dtype=np.uint8)
    places = [view.input_place(0), view.constant("divisor_index", index), view.output_place, view.scratch]
    return LayerCode(
        (
            definition("npu_pool_layer", view.descriptor, fields),
            array_definition("npu_requantize", divisors, [requantize_fields(item) for item in view.layer.requantize]),
        ),
        (f"npu_average_pool(&{view.descriptor}, {divisors}, {', '.join(places)});",),
        image_size(view, view.output)[3] * 8 + image_size(view, view.input)[3] * 4,
    )


def _pool_fields(view: LayerView) -> Fields:
    batch, channels, height, width = image_size(view, view.input)
    _, _, output_height, output_width = image_size(view, view.output)
    kernel, strides, pads = (view.attribute(name) for name in ("kernel", "strides", "pads"))
    dilations = view.layer.attributes.get("dilations", (1, 1))
    return {
        "input": codes(view.input),
        "output_type": Word(C_TYPES[view.output.type]),
        "planes": batch * channels,
        "input_height": height,
        "input_width": width,
        "output_height": output_height,
        "output_width": output_width,
        "kernel_height": kernel[0],
        "kernel_width": kernel[1],
        "stride_height": strides[0],
        "stride_width": strides[1],
        "pad_top": pads[0],
        "pad_left": pads[1],
        "dilation_height": dilations[0],
        "dilation_width": dilations[1],
    }


def reduce_sum_code(view: LayerView) -> LayerCode:
    """``reduce_sum``, and ``global_average_pool``: the divisor is in the requantization."""
    return _reduce_code(view, "npu_reduce_sum", {"requantize": requantize_fields(view.requantize)})


def reduce_min_code(view: LayerView) -> LayerCode:
    return _reduce_code(view, "npu_reduce_min", {})


def reduce_max_code(view: LayerView) -> LayerCode:
    return _reduce_code(view, "npu_reduce_max", {})


def _reduce_code(view: LayerView, function: str, fields: Fields) -> LayerCode:
    shape = view.input.shape
    strides = contiguous_strides(shape)
    axes = {int(axis) % len(shape) for axis in view.attribute("axes")}
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    kept_shape, (kept_strides,) = merge_axes([shape[axis] for axis in kept], [strides[axis] for axis in kept])
    reduced_shape, (reduced_strides,) = merge_axes(
        [shape[axis] for axis in sorted(axes)], [strides[axis] for axis in sorted(axes)]
    )
    check_rank(view, max(len(kept_shape), len(reduced_shape)))
    described = {
        "input": codes(view.input),
        "output_type": Word(C_TYPES[view.output.type]),
        **fields,
        "kept_rank": len(kept_shape),
        "kept_shape": kept_shape,
        "kept_strides": kept_strides,
        "reduced_rank": len(reduced_shape),
        "reduced_shape": reduced_shape,
        "reduced_strides": reduced_strides,
    }
    return LayerCode(
        (definition("npu_reduce_layer", view.descriptor, described),),
        (f"{function}(&{view.descriptor}, {view.input_place(0)}, {view.output_place});",),
    )


def resize_nearest_code(view: LayerView) -> LayerCode:
    places = [view.input_place(0)]
    places += [view.constant(role, little_indices(view.array(role))) for role in ("rows", "columns")]
    places.append(view.output_place)
    return LayerCode(
        (definition("npu_resize_layer", view.descriptor, _resize_fields(view)),),
        (f"npu_resize_nearest(&{view.descriptor}, {', '.join(places)});",),
    )


def resize_linear_code(view: LayerView) -> LayerCode:
    fields = {
        **_resize_fields(view),
        "requantize": requantize_fields(view.requantize),
        "weight_bits": view.attribute("weight_bits"),
    }
    axes = [_resize_axis(view, name) for name in ("row", "column")]
    places = [view.input_place(0), *axes, view.output_place, view.scratch]
    return LayerCode(
        (definition("npu_resize_layer", view.descriptor, fields),),
        (f"npu_resize_linear(&{view.descriptor}, {', '.join(places)});",),
        view.input.shape[-1] * 8,
    )


def _resize_axis(view: LayerView, name: str) -> str:
    """A C99 compound literal with the addresses of one axis."""
    parts = [
        view.constant(f"{name}_{role}", little_indices(view.array(f"{name}_{role}")))
        for role in ("low", "high", "weight")
    ]
    return f"&(const npu_resize_axis){{{', '.join(parts)}}}"


def _resize_fields(view: LayerView) -> Fields:
    shape, output = view.input.shape, view.output.shape
    return {
        "input": codes(view.input),
        "output_type": Word(C_TYPES[view.output.type]),
        "planes": size_of(shape[:-2]),
        "input_height": shape[-2],
        "input_width": shape[-1],
        "output_height": output[-2],
        "output_width": output[-1],
    }
