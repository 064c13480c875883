"""C of everything that only moves codes. Nearly all of it is one strided copy."""

from __future__ import annotations

from collections.abc import Sequence

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.backends.c_project.layer_code import (
    LayerCode,
    LayerView,
    Word,
    check_rank,
    contiguous_strides,
    definition,
    little_indices,
    merge_axes,
    size_of,
)
from npudsl.numerics.types import element_type

PAD_MODES = {"edge": "NPU_PAD_EDGE", "reflect": "NPU_PAD_REFLECT"}


def transpose_code(view: LayerView) -> LayerCode:
    order = [int(axis) for axis in view.attribute("permutation")]
    return _permuted(view, view.input.shape, order)


def depth_to_space_code(view: LayerView) -> LayerCode:
    block = int(view.attribute("block"))
    batch, channels, height, width = view.input.shape
    depth = channels // (block * block)
    if view.layer.attributes.get("mode", "DCR") == "CRD":
        return _permuted(view, (batch, depth, block, block, height, width), (0, 1, 4, 2, 5, 3))
    return _permuted(view, (batch, block, block, depth, height, width), (0, 3, 4, 1, 5, 2))


def space_to_depth_code(view: LayerView) -> LayerCode:
    block = int(view.attribute("block"))
    batch, channels, height, width = view.input.shape
    split = (batch, channels, height // block, block, width // block, block)
    return _permuted(view, split, (0, 3, 5, 1, 2, 4))


def slice_code(view: LayerView) -> LayerCode:
    strides = contiguous_strides(view.input.shape)
    starts, steps = view.attribute("starts"), view.attribute("steps")
    offset = sum(start * stride for start, stride in zip(starts, strides, strict=True))
    walks = [step * stride for step, stride in zip(steps, strides, strict=True)]
    shape = view.output.shape
    return _copy(view, shape, walks, offset, contiguous_strides(shape), 0)


def pad_code(view: LayerView) -> LayerCode:
    """Constant padding fills the output and copies the input into it; the other modes look their source up."""
    shape, output = view.input.shape, view.output.shape
    rank = len(shape)
    pads = [int(pad) for pad in view.attribute("pads")]
    strides = contiguous_strides(shape)
    kept = [extent + min(pads[axis], 0) + min(pads[rank + axis], 0) for axis, extent in enumerate(shape)]
    offset = sum(max(-pads[axis], 0) * strides[axis] for axis in range(rank))
    begin = [max(pad, 0) for pad in pads[:rank]]
    mode = view.layer.attributes.get("mode", "constant")
    if mode == "constant":
        code = view.layer.attributes.get("code", view.input.zero_point)
        to_strides = contiguous_strides(output)
        to_offset = sum(first * stride for first, stride in zip(begin, to_strides, strict=True))
        copy = _copy(view, kept, strides, offset, to_strides, to_offset)
        fill = f"npu_fill({element_size(view.input)}, {size_of(output)}, {int(code)}, {view.output_place});"
        return LayerCode(copy.definitions, (fill, *copy.calls))
    check_rank(view, rank)
    fields = {
        "element_size": element_size(view.input),
        "mode": Word(PAD_MODES[mode]),
        "rank": rank,
        "input_shape": kept,
        "input_strides": strides,
        "input_offset": offset,
        "output_shape": list(output),
        "begin": begin,
    }
    return LayerCode(
        (definition("npu_pad_layer", view.descriptor, fields),),
        (f"npu_pad(&{view.descriptor}, {view.input_place(0)}, {view.output_place});",),
    )


def tile_code(view: LayerView) -> LayerCode:
    """Every axis becomes two: the repetition, along which the input does not move, and the axis itself."""
    repeats = [int(count) for count in view.attribute("repeats")]
    shape = (*(1,) * (len(repeats) - len(view.input.shape)), *view.input.shape)
    split = [extent for pair in zip(repeats, shape, strict=True) for extent in pair]
    walks = [step for stride in contiguous_strides(shape) for step in (0, stride)]
    return _copy(view, split, walks, 0, contiguous_strides(split), 0)


def gather_code(view: LayerView) -> LayerCode:
    shape = view.input.shape
    axis = int(view.attribute("axis")) % len(shape)
    indices = view.array("indices")
    fields = {
        "element_size": element_size(view.input),
        "outer": size_of(shape[:axis]),
        "extent": shape[axis],
        "inner": size_of(shape[axis + 1 :]),
        "count": indices.size,
    }
    places = [view.input_place(0), view.constant("indices", little_indices(indices % shape[axis])), view.output_place]
    return LayerCode(
        (definition("npu_gather_layer", view.descriptor, fields),),
        (f"npu_gather(&{view.descriptor}, {', '.join(places)});",),
    )


def element_size(tensor: TensorQuantization) -> int:
    """Bytes of one code."""
    return element_type(tensor.type).bits // 8


def _permuted(view: LayerView, shape: Sequence[int], order: Sequence[int]) -> LayerCode:
    """The input seen in ``shape``, its axes in ``order``."""
    strides = contiguous_strides(shape)
    target = [shape[axis] for axis in order]
    return _copy(view, target, [strides[axis] for axis in order], 0, contiguous_strides(target), 0)


def _copy(
    view: LayerView,
    shape: Sequence[int],
    from_strides: Sequence[int],
    from_offset: int,
    to_strides: Sequence[int],
    to_offset: int,
) -> LayerCode:
    merged, (from_walk, to_walk) = merge_axes(shape, from_strides, to_strides)
    check_rank(view, len(merged))
    fields = {
        "element_size": element_size(view.input),
        "rank": len(merged),
        "shape": merged,
        "input_strides": from_walk,
        "input_offset": from_offset,
        "output_strides": to_walk,
        "output_offset": to_offset,
    }
    return LayerCode(
        (definition("npu_copy_layer", view.descriptor, fields),),
        (f"npu_copy(&{view.descriptor}, {view.input_place(0)}, {view.output_place});",),
    )
