"""Convolutions, pools and resize in float."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from npudsl.machine.float_ops.signature import (
    Array,
    Attributes,
    Inputs,
    float32,
    optional,
    present,
    text,
)
from npudsl.machine.pooling import average_pool_divisors, pool_windows
from npudsl.machine.resampling import linear_neighbours, nearest_positions


def conv(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Conv`` in one or two dimensions, accumulated in float64."""
    x, weights = _planes(present(inputs, 0)), _planes(present(inputs, 1)).astype(np.float64)
    bias = optional(inputs, 2)
    strides, dilations, pads = _geometry(attributes, present(inputs, 0).ndim)
    group = attributes.get("group", 1)
    padded = _padded(x.astype(np.float64), pads, 0.0)
    taps = _taps(padded, weights.shape[2:], strides, dilations)
    batch, _, kernel_h, kernel_w, height, width = taps.shape
    columns = taps.reshape(batch, group, weights.shape[1] * kernel_h * kernel_w, height * width)
    sums = weights.reshape(group, weights.shape[0] // group, -1) @ columns
    result = sums.reshape(batch, weights.shape[0], height, width)
    if bias is not None:
        result += bias.astype(np.float64)[:, None, None]
    return [_like_input(float32(result), present(inputs, 0))]


def conv_transpose(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``ConvTranspose`` in one or two dimensions: every input pixel adds its weighted kernel, in float64."""
    x, weights = _planes(present(inputs, 0)).astype(np.float64), _planes(present(inputs, 1)).astype(np.float64)
    bias = optional(inputs, 2)
    rank = present(inputs, 0).ndim
    strides, dilations, pads = _geometry(attributes, rank)
    extra = _pair(attributes.get("output_padding"), rank, 0)
    group = attributes.get("group", 1)
    batch, channels, height, width = x.shape
    split = x.reshape(batch, group, channels // group, height * width)
    kernels = weights.reshape(group, channels // group, -1)
    parts = (kernels.transpose(0, 2, 1) @ split).reshape(batch, -1, *weights.shape[2:], height, width)
    full = [
        (size - 1) * strides[axis] + dilations[axis] * (weights.shape[2 + axis] - 1) + 1 + extra[axis]
        for axis, size in enumerate((height, width))
    ]
    total = np.zeros((batch, parts.shape[1], *full))
    for i in range(weights.shape[2]):
        for j in range(weights.shape[3]):
            down, along = i * dilations[0], j * dilations[1]
            total[
                :,
                :,
                down : down + (height - 1) * strides[0] + 1 : strides[0],
                along : along + (width - 1) * strides[1] + 1 : strides[1],
            ] += parts[:, :, i, j]
    result = total[:, :, pads[0] : full[0] - pads[2], pads[1] : full[1] - pads[3]]
    if bias is not None:
        result = result + bias.astype(np.float64)[:, None, None]
    return [_like_input(float32(result), present(inputs, 0))]


def max_pool(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``MaxPool``: padding is minus infinity."""
    x = present(inputs, 0)
    kernel = _pair(attributes["kernel_shape"], x.ndim, 1)
    strides, dilations, pads = _geometry(attributes, x.ndim)
    planes = _planes(x)
    windows = pool_windows(planes.shape[2:], kernel, strides, pads, dilations, bool(attributes.get("ceil_mode", 0)))
    taps = _taps(_padded(planes, windows.pads, -np.inf), kernel, strides, dilations, windows.output)
    return [_like_input(taps.max(axis=(2, 3)), x)]


def average_pool(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``AveragePool``, summed in float64."""
    x = present(inputs, 0)
    kernel = _pair(attributes["kernel_shape"], x.ndim, 1)
    strides, _, pads = _geometry(attributes, x.ndim)
    planes = _planes(x)
    windows = pool_windows(planes.shape[2:], kernel, strides, pads, (1, 1), bool(attributes.get("ceil_mode", 0)))
    counted = average_pool_divisors(
        planes.shape[2:], kernel, strides, pads, windows.output, bool(attributes.get("count_include_pad", 0))
    )
    taps = _taps(_padded(planes.astype(np.float64), windows.pads, 0.0), kernel, strides, (1, 1), windows.output)
    sums = taps.sum(axis=(2, 3))
    return [_like_input(float32(sums / np.asarray(counted.divisors)[counted.index]), x)]


def global_average_pool(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``GlobalAveragePool``, summed in float64."""
    x = present(inputs, 0)
    return [float32(x.mean(axis=tuple(range(2, x.ndim)), keepdims=True, dtype=np.float64))]


def global_max_pool(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``GlobalMaxPool``."""
    x = present(inputs, 0)
    return [x.max(axis=tuple(range(2, x.ndim)), keepdims=True)]


def resize(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Resize`` (nearest or linear) of the last two axes; scales are input 2, sizes input 3."""
    x = present(inputs, 0)
    scales, sizes = optional(inputs, 2), optional(inputs, 3)
    axes = [int(axis) % x.ndim for axis in attributes.get("axes", range(x.ndim))]
    coordinate = text(attributes.get("coordinate_transformation_mode"), "half_pixel")
    mode = text(attributes.get("mode"), "nearest")
    nearest = text(attributes.get("nearest_mode"), "round_prefer_floor")
    if mode not in ("nearest", "linear"):
        raise ValueError(f"resize mode {mode!r} is neither nearest nor linear")
    result = x.astype(np.float64)
    for number, axis in enumerate(axes):
        size = x.shape[axis]
        scale = float(scales[number]) if scales is not None and scales.size else None
        if scale is None and sizes is None:
            raise ValueError("a resize needs scales or sizes")
        output_size = int(np.floor(size * np.float32(scale))) if scale is not None else int(_size(sizes, number))
        if output_size == size and scale in (None, 1.0):
            continue
        if mode == "nearest":
            result = np.take(result, nearest_positions(size, output_size, coordinate, nearest, scale), axis=axis)
            continue
        low, high, share = linear_neighbours(size, output_size, coordinate, scale)
        weight = share.astype(np.float64).reshape([-1 if index == axis else 1 for index in range(x.ndim)])
        result = np.take(result, low, axis=axis) * (1 - weight) + np.take(result, high, axis=axis) * weight
    return [float32(result)]


def _size(sizes: Array | None, number: int) -> int:
    assert sizes is not None
    return int(sizes[number])


def _planes(x: Array) -> Array:
    """One spatial axis becomes two, the first of extent 1."""
    if x.ndim == 4:
        return x
    if x.ndim == 3:
        return x[:, :, None, :]
    raise ValueError(f"{x.ndim - 2} spatial axes; one or two are possible")


def _like_input(planes: Array, x: Array) -> Array:
    return planes if x.ndim == 4 else planes[:, :, 0, :]


def _pair(values: Sequence[int] | None, rank: int, missing: int) -> tuple[int, int]:
    """(height, width) from an attribute of one or two entries; ``missing`` where there is no height."""
    default = 1 if missing == 1 else 0
    items = [default] * (rank - 2) if values is None else [int(item) for item in values]
    return (items[0], items[1]) if rank == 4 else (missing, items[0])


def _geometry(attributes: Attributes, rank: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Strides, dilations and pads (top, left, bottom, right)."""
    if text(attributes.get("auto_pad"), "NOTSET") not in ("NOTSET", "VALID"):
        raise ValueError("auto_pad is not resolved to pads")
    pads = [int(item) for item in attributes.get("pads") or [0] * (2 * (rank - 2))]
    four = (pads[0], pads[1], pads[2], pads[3]) if rank == 4 else (0, pads[0], 0, pads[1])
    return _pair(attributes.get("strides"), rank, 1), _pair(attributes.get("dilations"), rank, 1), four


def _padded(planes: Array, pads: Sequence[int], fill: float) -> Array:
    top, left, bottom, right = pads
    return np.pad(planes, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)


def _taps(
    planes: Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    output: Sequence[int] | None = None,
) -> Array:
    """A view (N, C, kh, kw, OH, OW) of padded planes."""
    if output is None:
        output = [
            (planes.shape[2 + axis] - dilations[axis] * (kernel[axis] - 1) - 1) // strides[axis] + 1 for axis in (0, 1)
        ]
    batch, channel, row, column = planes.strides
    return np.lib.stride_tricks.as_strided(
        planes,
        (planes.shape[0], planes.shape[1], kernel[0], kernel[1], output[0], output[1]),
        (batch, channel, row * dilations[0], column * dilations[1], row * strides[0], column * strides[1]),
        writeable=False,
    )
