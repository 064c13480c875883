"""Shapes and data movement in float."""

from __future__ import annotations

import math

import numpy as np

from npudsl.machine.float_ops.signature import Array, Attributes, Inputs, integers, optional, present, text


def concat(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Concat``."""
    return [np.concatenate([x for x in inputs if x is not None], axis=attributes["axis"])]


def reshape(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Reshape``: 0 keeps an extent unless ``allowzero``, -1 takes what is left."""
    x = present(inputs, 0)
    shape = integers(inputs, 1, attributes, "shape")
    if shape is None:
        raise ValueError("a reshape needs a shape")
    if not attributes.get("allowzero", 0):
        shape = [x.shape[axis] if extent == 0 else extent for axis, extent in enumerate(shape)]
    return [x.reshape(shape)]


def transpose(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Transpose``; without ``perm`` the axes are reversed."""
    return [np.ascontiguousarray(present(inputs, 0).transpose(attributes.get("perm")))]


def flatten(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Flatten`` to two axes."""
    x = present(inputs, 0)
    axis = attributes.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return [x.reshape(math.prod(x.shape[:axis]), -1)]


def squeeze(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Squeeze``; without axes every extent of 1 goes."""
    axes = integers(inputs, 1, attributes, "axes")
    return [np.squeeze(present(inputs, 0), axis=None if axes is None else tuple(axes))]


def unsqueeze(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Unsqueeze``."""
    axes = integers(inputs, 1, attributes, "axes")
    return [np.expand_dims(present(inputs, 0), tuple(axes or ()))]


def slice_(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Slice`` with bounds as inputs or attributes."""
    x = present(inputs, 0)
    starts = integers(inputs, 1, attributes, "starts") or []
    ends = integers(inputs, 2, attributes, "ends") or []
    axes = integers(inputs, 3, attributes, "axes") or list(range(len(starts)))
    steps = integers(inputs, 4, attributes, "steps") or [1] * len(starts)
    parts = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        extent = x.shape[axis]
        beyond = step < 0 and end < -extent
        parts[axis] = slice(start, None if beyond else end, step)
    return [np.ascontiguousarray(x[tuple(parts)])]


def pad(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Pad`` (constant, edge, reflect, wrap); negative pads cut off."""
    x = present(inputs, 0)
    pads = integers(inputs, 1, attributes, "pads") or [0] * (2 * x.ndim)
    value = optional(inputs, 2)
    axes = integers(inputs, 3, attributes, "axes") or list(range(x.ndim))
    widths, cuts = [(0, 0)] * x.ndim, [slice(None)] * x.ndim
    for number, axis in enumerate(axes):
        before, after = pads[number], pads[len(axes) + number]
        widths[axis] = (max(before, 0), max(after, 0))
        cuts[axis] = slice(max(-before, 0), x.shape[axis] - max(-after, 0))
    mode = text(attributes.get("mode"), "constant")
    kept = x[tuple(cuts)]
    if mode == "constant":
        fill = attributes.get("value", 0.0) if value is None else np.asarray(value).reshape(())
        return [np.pad(kept, widths, constant_values=fill)]
    if mode not in ("edge", "reflect", "wrap"):
        raise ValueError(f"pad mode {mode!r} is none of constant, edge, reflect, wrap")
    return [np.pad(kept, widths, mode=mode)]  # type: ignore[call-overload,unused-ignore]


def gather(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Gather``."""
    indices = np.asarray(present(inputs, 1), dtype=np.int64)
    return [np.asarray(np.take(present(inputs, 0), indices, axis=attributes.get("axis", 0)))]


def split(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Split`` by sizes, or into ``num_outputs`` parts of which the last may be smaller."""
    x = present(inputs, 0)
    axis = attributes.get("axis", 0)
    sizes = integers(inputs, 1, attributes, "split")
    if sizes is None:
        part = -(-x.shape[axis] // attributes["num_outputs"])
        sizes = [min(part, x.shape[axis] - start) for start in range(0, x.shape[axis], part)]
    return np.split(x, np.cumsum(sizes)[:-1], axis=axis)


def depth_to_space(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``DepthToSpace`` in DCR or CRD order."""
    x = present(inputs, 0)
    block = attributes["blocksize"]
    batch, channels, height, width = x.shape
    depth = channels // (block * block)
    if text(attributes.get("mode"), "DCR") == "CRD":
        moved = x.reshape(batch, depth, block, block, height, width).transpose(0, 1, 4, 2, 5, 3)
    else:
        moved = x.reshape(batch, block, block, depth, height, width).transpose(0, 3, 4, 1, 5, 2)
    return [np.ascontiguousarray(moved).reshape(batch, depth, height * block, width * block)]


def space_to_depth(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``SpaceToDepth``."""
    x = present(inputs, 0)
    block = attributes["blocksize"]
    batch, channels, height, width = x.shape
    moved = x.reshape(batch, channels, height // block, block, width // block, block).transpose(0, 3, 5, 1, 2, 4)
    return [np.ascontiguousarray(moved).reshape(batch, channels * block * block, height // block, width // block)]


def identity(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Identity`` and ``Dropout`` at inference."""
    return [present(inputs, 0)]


def expand(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Expand``: axes of extent 1 repeated, by the rules of broadcasting."""
    x = present(inputs, 0)
    shape = integers(inputs, 1, attributes, "shape") or []
    return [np.ascontiguousarray(np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape))))]


def tile(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Tile``: the whole tensor repeated along every axis."""
    return [np.tile(present(inputs, 0), integers(inputs, 1, attributes, "repeats") or [])]
