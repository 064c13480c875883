"""Data movement: codes change places, never their value."""

from __future__ import annotations

import numpy as np

from npudsl.machine.kernels.context import Array, Kernel, LayerContext


def build_reshape(context: LayerContext) -> Kernel:
    """``reshape`` and ``identity``: the same codes in the output's shape."""
    return lambda values: [values[0].reshape(values[0].shape[0], *context.output.shape)]


def build_transpose(context: LayerContext) -> Kernel:
    """``transpose``: axes in the order of ``permutation``."""
    order = (0, *(axis + 1 for axis in context.attribute("permutation")))
    return lambda values: [np.ascontiguousarray(values[0].transpose(order))]


def build_slice(context: LayerContext) -> Kernel:
    """``slice``: ``starts``, ``ends`` and ``steps`` of every axis."""
    parts = tuple(
        _axis_slice(start, end, step)
        for start, end, step in zip(
            context.attribute("starts"), context.attribute("ends"), context.attribute("steps"), strict=True
        )
    )
    return lambda values: [np.ascontiguousarray(values[0][(slice(None), *parts)])]


def _axis_slice(start: int, end: int, step: int) -> slice:
    """A normalised slice; walking backwards, an end before the first element is written as -1."""
    return slice(start, None if step < 0 and end < 0 else end, step)


def build_pad(context: LayerContext) -> Kernel:
    """``pad``: ``pads`` as ONNX writes them; a negative one cuts off."""
    pads = context.attribute("pads")
    rank = len(pads) // 2
    widths = [(0, 0), *((max(pads[axis], 0), max(pads[rank + axis], 0)) for axis in range(rank))]
    cuts = tuple(
        slice(max(-pads[axis], 0), context.input.shape[axis] - max(-pads[rank + axis], 0)) for axis in range(rank)
    )
    mode = context.layer.attributes.get("mode", "constant")
    code = context.layer.attributes.get("code", context.input.zero_point)

    def run(values: list[Array]) -> list[Array]:
        kept = values[0][(slice(None), *cuts)]
        if mode == "constant":
            return [np.pad(kept, widths, constant_values=code)]
        return [np.pad(kept, widths, mode=mode)]

    return run


def build_gather(context: LayerContext) -> Kernel:
    """``gather``: constant indices along ``axis``."""
    indices = context.constant("indices")
    axis = context.attribute("axis") % len(context.input.shape) + 1
    return lambda values: [np.take(values[0], indices, axis=axis)]


def build_tile(context: LayerContext) -> Kernel:
    """``tile``: the whole tensor ``repeats`` times along every axis of the output."""
    repeats = (1, *context.attribute("repeats"))
    missing = len(context.output.shape) - len(context.input.shape)

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        return [np.tile(x.reshape(x.shape[0], *(1,) * missing, *x.shape[1:]), repeats)]

    return run


def build_depth_to_space(context: LayerContext) -> Kernel:
    """``depth_to_space``: channels become blocks of pixels, in DCR or CRD order."""
    block = context.attribute("block")
    _, channels, height, width = context.input.shape
    depth = channels // (block * block)
    crd = context.layer.attributes.get("mode", "DCR") == "CRD"
    split = (-1, depth, block, block, height, width) if crd else (-1, block, block, depth, height, width)
    order = (0, 1, 4, 2, 5, 3) if crd else (0, 3, 4, 1, 5, 2)

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        return [np.ascontiguousarray(x.reshape(split).transpose(order)).reshape(x.shape[0], *context.output.shape)]

    return run


def build_space_to_depth(context: LayerContext) -> Kernel:
    """``space_to_depth``: blocks of pixels become channels."""
    block = context.attribute("block")
    _, channels, height, width = context.input.shape
    split = (-1, channels, height // block, block, width // block, block)

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        moved = np.ascontiguousarray(x.reshape(split).transpose(0, 3, 5, 1, 2, 4))
        return [moved.reshape(x.shape[0], *context.output.shape)]

    return run


def build_resize_nearest(context: LayerContext) -> Kernel:
    """``resize_nearest``: every output row and column copies its source."""
    rows, columns = context.constant("rows"), context.constant("columns")
    return lambda values: [np.take(np.take(values[0], rows, axis=-2), columns, axis=-1)]
