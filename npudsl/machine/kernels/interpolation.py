"""Bilinear resize and softmax in integers."""

from __future__ import annotations

import numpy as np

from npudsl.machine.kernels.context import Array, Kernel, LayerContext, largest_offset, requantize_flat
from npudsl.numerics.types import element_type


def build_resize_linear(context: LayerContext) -> Kernel:
    """``resize_linear``: the doubly weighted sum of x - z, then one requantization (eq. 29)."""
    bits = context.attribute("weight_bits")
    largest = largest_offset(context.input) << (2 * bits)
    number = np.dtype(np.int32 if largest < 2**31 else np.int64)
    requantizer = context.requantizer(0, largest)
    row_low, row_high, column_low, column_high = (
        context.constant(role) for role in ("row_low", "row_high", "column_low", "column_high")
    )
    row_weight = context.constant("row_weight").astype(number)[:, None]
    column_weight = context.constant("column_weight").astype(number)

    def run(values: list[Array]) -> list[Array]:
        offsets = values[0].astype(number) - number.type(context.input.zero_point)
        along = _mixed(
            np.take(offsets, column_low, axis=-1), np.take(offsets, column_high, axis=-1), column_weight, bits
        )
        both = _mixed(np.take(along, row_low, axis=-2), np.take(along, row_high, axis=-2), row_weight, bits)
        return [requantize_flat(requantizer, both, context.storage)]

    return run


def _mixed(low: Array, high: Array, weight: Array, bits: int) -> Array:
    """low * (1 - weight) + high * weight, times 2**bits."""
    high -= low
    high *= weight
    low <<= bits
    high += low
    return high


def build_softmax(context: LayerContext) -> Kernel:
    """``softmax``: table exponential, integer sum, one rounded division (eq. 32)."""
    element = element_type(context.input.type)
    stored = context.constant("exponential").astype(np.int64)
    exponential = np.zeros(element.maximum - element.minimum + 1, dtype=np.int64)
    exponential[: stored.size] = stored
    axis = context.attribute("axis") % len(context.input.shape) + 1
    denominator = context.attribute("denominator")
    zero_point = context.output.zero_point
    low, high = element_type(context.output.type).minimum, element_type(context.output.type).maximum

    def run(values: list[Array]) -> list[Array]:
        codes = values[0].astype(np.int64)
        shares = exponential[codes.max(axis=axis, keepdims=True) - codes]
        total = shares.sum(axis=axis, keepdims=True)
        quotient = (2 * denominator * shares + total) // (2 * total)
        return [np.clip(quotient + zero_point, low, high).astype(context.storage)]

    return run
