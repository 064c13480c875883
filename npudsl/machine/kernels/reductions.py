"""Reductions over axes beyond mean and maximum: sum, minimum, position of an extreme, logarithm of a softmax."""

from __future__ import annotations

import numpy as np

from npudsl.machine.kernels.context import Array, Kernel, LayerContext, largest_offset, requantize_flat
from npudsl.machine.pair_lowering import LOGARITHM_BITS
from npudsl.machine.tables import EXPONENTIAL_BITS
from npudsl.numerics.requantize import shift_products
from npudsl.numerics.types import element_type

LOG_TABLE_BITS = 8
"""Bits of the mantissa that index the table of logarithms; the next 16 interpolate."""

INTERPOLATION_BITS = 16


def build_reduce_sum(context: LayerContext) -> Kernel:
    """``reduce_sum``: R(sum (x - z)) over ``axes``."""
    axes = _stacked_axes(context)
    count = int(np.prod([context.input.shape[axis - 1] for axis in axes], dtype=np.int64))
    requantizer = context.requantizer(0, max(count * largest_offset(context.input), 1))

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        sums = np.asarray(x.sum(axis=axes, dtype=np.int64) - count * context.input.zero_point)
        return [requantize_flat(requantizer, sums, context.storage).reshape(x.shape[0], *context.output.shape)]

    return run


def build_reduce_min(context: LayerContext) -> Kernel:
    """``reduce_min``: minimum of the codes over ``axes``."""
    axes = _stacked_axes(context)
    return lambda values: [values[0].min(axis=axes).reshape(values[0].shape[0], *context.output.shape)]


def build_arg_max(context: LayerContext) -> Kernel:
    """``arg_max``: position of the largest code along ``axis``, plus the output's zero point."""
    return _position(context, 1)


def build_arg_min(context: LayerContext) -> Kernel:
    """``arg_min``: position of the smallest code along ``axis``, plus the output's zero point."""
    return _position(context, -1)


def _position(context: LayerContext, sign: int) -> Kernel:
    axis = context.attribute("axis") % len(context.input.shape) + 1
    length = context.input.shape[axis - 1]
    last = bool(context.attribute("last"))

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        wide = x.astype(np.int32) * sign
        found = length - 1 - np.argmax(np.flip(wide, axis), axis) if last else np.argmax(wide, axis)
        codes = (found + context.output.zero_point).astype(context.storage)
        return [codes.reshape(x.shape[0], *context.output.shape)]

    return run


def build_log_softmax(context: LayerContext) -> Kernel:
    """``log_softmax``: -(distance to the largest) - log(sum of exponentials), both rounded together (eq. 36)."""
    axis = context.attribute("axis") % len(context.input.shape) + 1
    element = element_type(context.input.type)
    distances = element.maximum - element.minimum + 1
    exponential = np.zeros(distances, dtype=np.int64)
    stored = context.constant("exponential")
    exponential[: stored.size] = stored
    logarithm = np.asarray(context.constant("logarithm"), dtype=np.int64)
    distance_factor, log_factor = (item.multipliers[0] for item in context.layer.requantize)
    item = context.layer.requantize[0]

    def run(values: list[Array]) -> list[Array]:
        x = values[0].astype(np.int64)
        distance = x.max(axis=axis, keepdims=True) - x
        sums = exponential[distance].sum(axis=axis, keepdims=True)
        products = -distance * distance_factor - integer_logarithm(sums, logarithm) * log_factor
        rounded = shift_products(products, np.asarray(item.shifts[0]), item.rounding)
        return [np.clip(rounded + item.zero_point, item.low, item.high).astype(context.storage)]

    return run


def integer_logarithm(sums: Array, table: Array) -> Array:
    """log(sums / 2**24) with 16 fraction bits, for 2**24 <= sums < 2**53 (eq. 36).

    The leading bit gives whole powers of two (``table[-1]`` is log 2), 8 bits behind it an entry, 16 more the share of
    the next one.
    """
    exponent = np.frexp(sums.astype(np.float64))[1].astype(np.int64) - 1
    fraction = (sums - (np.int64(1) << exponent)) << (52 - exponent)
    index = fraction >> (52 - LOG_TABLE_BITS)
    share = (fraction >> (52 - LOG_TABLE_BITS - INTERPOLATION_BITS)) & ((1 << INTERPOLATION_BITS) - 1)
    step = table[index + 1] - table[index]
    between = (step * share + (1 << (INTERPOLATION_BITS - 1))) >> INTERPOLATION_BITS
    result: Array = (exponent - EXPONENTIAL_BITS) * table[-1] + table[index] + between
    return result


def logarithm_table() -> Array:
    """round(log(1 + i / 256) * 2**16) for i = 0 .. 256."""
    steps = 1 << LOG_TABLE_BITS
    table: Array = np.rint(np.log1p(np.arange(steps + 1) / steps) * (1 << LOGARITHM_BITS)).astype(np.int32)
    return table


def _stacked_axes(context: LayerContext) -> tuple[int, ...]:
    """The layer's axes counted with the stack in front."""
    rank = len(context.input.shape)
    return tuple(axis % rank + 1 for axis in context.attribute("axes"))
