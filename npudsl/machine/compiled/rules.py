"""The requantization of a layer as the compiled kernels take it: one entry per output channel, prepared for float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.quantized_model import Requantization, TensorQuantization
from npudsl.machine.compiled.library import address
from npudsl.machine.compiled.structures import TYPES, Requantize, Rule
from npudsl.numerics.fast_requantize import FLOAT64_BITS, float64_is_exact
from npudsl.numerics.requantize import PRODUCT_LIMIT, check_products
from npudsl.numerics.rounding import HIGH_MULTIPLY_BITS

INT32_ROOM = 2**30
"""Rounded values up to here leave room for a zero point in int32."""

MULTIPLIER_BITS = 31
SMALLEST_VECTOR_SHIFT, LARGEST_VECTOR_SHIFT = 32, 62


class ChannelRule:
    """``npu_host_rule`` with the arrays it points to; ``largest`` bounds the sums. Raises ValueError as numpy does."""

    def __init__(self, item: Requantization, output: TensorQuantization, channels: int, largest: int) -> None:
        check_products(largest, item.multipliers)
        multipliers, shifts = np.array(item.multipliers, dtype=np.int64), np.array(item.shifts, dtype=np.int64)
        first = np.minimum(shifts, HIGH_MULTIPLY_BITS) if item.rounding == "double" else shifts
        exact = _exact_channels(item, largest)
        scales = [_scale(*pair, item.rounding, largest) for pair in zip(item.multipliers, item.shifts, strict=True)]
        direct = exact & np.array([scale is not None for scale in scales])
        self.arrays = {
            "multipliers": multipliers.astype(np.int32),
            "shifts": shifts.astype(np.int8),
            "factors": np.ldexp(multipliers.astype(np.float64), -first),
            "seconds": np.ldexp(np.ones(len(shifts)), first - shifts),
            "scales": np.array([scale or (0, 0, 0, 0) for scale in scales], dtype=np.int64),
            "exact": exact.astype(np.uint8),
            "direct": direct.astype(np.uint8),
        }
        if len(shifts) != channels:
            self.arrays = {name: np.repeat(array, channels, axis=0) for name, array in self.arrays.items()}
        self.struct = Rule(
            requantize=Requantize.of(item),
            output_type=TYPES[output.type],
            **{name: address(array) for name, array in self.arrays.items()},
        )


def _exact_channels(item: Requantization, largest: int) -> NDArray[np.bool_]:
    """Where float64 gives the exact codes: eq. 23, or products of at most 53 bits where nothing is added to them."""
    if largest >= 2**FLOAT64_BITS:
        return np.zeros(len(item.multipliers), dtype=np.bool_)
    reach = max(abs(item.high - item.zero_point), abs(item.low - item.zero_point))
    exact: NDArray[np.bool_] = float64_is_exact(item.multipliers, item.shifts, reach)
    if item.rounding != "half_even":
        return exact
    odd = [factor // (factor & -factor) if factor else 0 for factor in item.multipliers]
    exact |= np.array([largest * abs(factor) < 2**FLOAT64_BITS for factor in odd])
    return exact


def _scale(multiplier: int, shift: int, rounding: str, largest: int) -> tuple[int, int, int, int] | None:
    """``npu_host_scale``: multiplier, half, shift, again; None where vectors cannot be exact.

    A sum is a tie when it is an odd multiple of 2**(shift - 1 - t), t the trailing zeros of the multiplier; where sums
    are smaller than that there are no ties, and every rounding to nearest is (product + half) >> shift.
    """
    if multiplier <= 0 or largest * multiplier >= INT32_ROOM << max(shift, 0):
        return None
    if rounding == "double":
        if shift <= HIGH_MULTIPLY_BITS:
            return None
        return multiplier, 1 << (HIGH_MULTIPLY_BITS - 1), HIGH_MULTIPLY_BITS, shift - HIGH_MULTIPLY_BITS
    zeros = (multiplier & -multiplier).bit_length() - 1
    if largest >> max(shift - 1 - zeros, 0):
        return None
    more = min(MULTIPLIER_BITS - multiplier.bit_length(), LARGEST_VECTOR_SHIFT - shift)
    multiplier, shift = multiplier << more, shift + more
    if shift < SMALLEST_VECTOR_SHIFT or largest * multiplier + (1 << (shift - 1)) >= PRODUCT_LIMIT:
        return None
    return multiplier, 1 << (shift - 1), shift, 0
