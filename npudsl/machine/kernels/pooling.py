"""Pools and reductions. Windows are walked one axis after the other: kh + kw passes instead of kh * kw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npudsl.machine.kernels.context import Array, Kernel, LayerContext, largest_offset, requantize_flat
from npudsl.numerics.types import element_type

Fold = Callable[..., Array]


def build_max_pool(context: LayerContext) -> Kernel:
    """``max_pool``: maximum of the codes inside the input."""
    lowest = element_type(context.input.type).minimum
    dilations = tuple(context.layer.attributes.get("dilations", (1, 1)))

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        images = _images(x, context)
        folded = fold_windows(_padded(images, context, lowest), context, dilations, np.maximum)
        return [folded.reshape(x.shape[0], *context.output.shape)]

    return run


def build_average_pool(context: LayerContext) -> Kernel:
    """``average_pool``: R_i(sum (x - z)), one requantization per distinct divisor."""
    taps = int(np.prod(context.attribute("kernel")))
    largest = taps * largest_offset(context.input)
    requantizers = [context.requantizer(index, largest) for index in range(len(context.layer.requantize))]
    index = np.asarray(context.constant("divisor_index")).reshape(-1)
    dilations = tuple(context.layer.attributes.get("dilations", (1, 1)))
    sums_type = np.dtype(np.int32 if largest < 2**31 else np.int64)

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        offsets = _images(x, context).astype(sums_type) - sums_type.type(context.input.zero_point)
        sums = fold_windows(_padded(offsets, context, 0), context, dilations, np.add)
        flat = sums.reshape(-1, index.size)
        out = np.empty(flat.shape, dtype=context.storage)
        for number, requantizer in enumerate(requantizers):
            chosen = index == number
            if chosen.all():
                out = requantize_flat(requantizer, flat, context.storage)
            elif chosen.any():
                out[:, chosen] = requantize_flat(requantizer, np.ascontiguousarray(flat[:, chosen]), context.storage)
        return [out.reshape(x.shape[0], *context.output.shape)]

    return run


def build_global_average_pool(context: LayerContext) -> Kernel:
    """``global_average_pool``: R(sum (x - z)) over ``axes``, the divisor folded in."""
    axes = _stacked_axes(context)
    count = int(np.prod([context.input.shape[axis - 1] for axis in axes]))
    requantizer = context.requantizer(0, count * largest_offset(context.input))

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        sums = x.sum(axis=axes, dtype=np.int64) - count * context.input.zero_point
        return [requantize_flat(requantizer, sums, context.storage).reshape(x.shape[0], *context.output.shape)]

    return run


def build_reduce_max(context: LayerContext) -> Kernel:
    """``reduce_max``: maximum of the codes over ``axes``."""
    axes = _stacked_axes(context)
    return lambda values: [values[0].max(axis=axes).reshape(values[0].shape[0], *context.output.shape)]


def fold_windows(planes: Array, context: LayerContext, dilations: tuple[int, ...], fold: Fold) -> Array:
    """Fold every window of padded planes (..., H, W) with ``fold``: first along the rows, then down the columns."""
    (height, width), (down, along) = context.attribute("kernel"), context.attribute("strides")
    rows, columns = _output_size(context)
    across: Array | None = None
    for tap in range(width):
        start = tap * dilations[1]
        part = planes[..., start : start + (columns - 1) * along + 1 : along]
        across = part.copy() if across is None else fold(across, part, out=across)
    assert across is not None
    result: Array | None = None
    for tap in range(height):
        start = tap * dilations[0]
        part = across[..., start : start + (rows - 1) * down + 1 : down, :]
        result = part.copy() if result is None else fold(result, part, out=result)
    assert result is not None
    return result


def _images(x: Array, context: LayerContext) -> Array:
    """Stacked values (stack, N, C, H, W) or (stack, N, C, W) as planes (N', C, H, W)."""
    shape = context.input.shape
    size = shape[2:] if len(shape) == 4 else (1, shape[2])
    return x.reshape(-1, shape[1], *size)


def _output_size(context: LayerContext) -> tuple[int, int]:
    size = context.output.shape[2:]
    return (size[0], size[1]) if len(size) == 2 else (1, size[0])


def _padded(images: Array, context: LayerContext, fill: int) -> Array:
    """Planes with ``fill`` around them."""
    top, left, bottom, right = context.attribute("pads")
    if not any((top, left, bottom, right)):
        return images
    return np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)


def _stacked_axes(context: LayerContext) -> tuple[int, ...]:
    """The layer's axes counted with the stack in front."""
    rank = len(context.input.shape)
    return tuple(axis % rank + 1 for axis in context.attribute("axes"))
