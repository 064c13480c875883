"""Requantization: wide integers to codes by multiplier, rounding shift, zero point and clamp, as int64 arithmetic.

This is the definition (eq. 17 to 22 of docs/numerics.md); :mod:`npudsl.numerics.fast_requantize` is the same function,
faster. Invariant: |value| * multiplier < 2**63, checked, so int64 holds every product. A 31-bit multiplier leaves 32
bits for the value; a wider value needs a narrower multiplier (``width_for``) or, for fixed point, multiplier 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.numerics.profiles import Profile, profile_named
from npudsl.numerics.rounding import shift_right

PRODUCT_LIMIT = 2**63
MAXIMUM_SHIFT = 62
MINIMUM_SHIFT = -31


def requantize(
    values: NDArray[Any],
    multipliers: Sequence[int],
    shifts: Sequence[int],
    rounding: str,
    zero_point: int,
    low: int,
    high: int,
    channel_axis: int | None = None,
) -> NDArray[np.int64]:
    """clamp(zero_point + R(value * multiplier, shift), low, high) of every value (eq. 17).

    ``multipliers`` and ``shifts`` have one entry, or one per slice along ``channel_axis``. Raises ValueError when a
    product would leave int64.
    """
    wide = np.asarray(values, dtype=np.int64)
    factors = along_channels(multipliers, wide.ndim, channel_axis)
    check_products(magnitude(wide), multipliers)
    rounded = shift_products(wide * factors, along_channels(shifts, wide.ndim, channel_axis), rounding)
    return np.clip(rounded + zero_point, low, high)


def shift_products(products: NDArray[np.int64], shift: NDArray[np.int64], rounding: str) -> NDArray[np.int64]:
    """Products shifted right with rounding; a negative shift goes left and saturates far outside any type (eq. 18)."""
    if shift.size and shift.min() < 0:
        left = np.maximum(-shift, 0)
        limit = np.int64(1 << MAXIMUM_SHIFT) >> left
        products = np.clip(products, -limit, limit) << left
    return shift_right(products, np.maximum(shift, 0), rounding)


def check_products(largest: int, multipliers: Sequence[int]) -> None:
    """Raise ValueError unless ``largest`` times every multiplier is below 2**63."""
    factor = max((abs(int(item)) for item in multipliers), default=0)
    if largest * factor >= PRODUCT_LIMIT:
        raise ValueError(f"value {largest} times multiplier {factor} does not fit 64 bits")


def magnitude(values: NDArray[Any]) -> int:
    """max|value| as a Python integer; 0 for an empty array."""
    return max(-int(values.min()), int(values.max()), 0) if values.size else 0


def along_channels(items: Sequence[int], rank: int, channel_axis: int | None) -> NDArray[np.int64]:
    """Entries shaped to broadcast along ``channel_axis``; one entry stays a scalar."""
    array = np.asarray(items, dtype=np.int64)
    if array.size == 1:
        return array.reshape(())
    if channel_axis is None:
        raise ValueError(f"{array.size} multipliers need a channel axis")
    shape = [1] * rank
    shape[channel_axis] = -1
    return array.reshape(shape)


def real_multiplier(
    profile: str, input_scale: float, weight_scale: float, output_scale: float, per_channel: bool = False
) -> float:
    """s_in * s_w / s_out, formed in the precision of the profile (eq. 19)."""
    match profile_named(profile).product:
        case "float64":
            return input_scale * weight_scale / output_scale
        case "float32":
            product = np.float32(input_scale) * np.float32(weight_scale)
            return float(np.float32(product / np.float32(output_scale)))
        case "tflite":
            first, second = np.float32(input_scale), np.float32(weight_scale)
            exact = float(first) * float(second)
            return (exact if per_channel else float(first * second)) / float(np.float32(output_scale))


def multiplier(real: float, profile: str, width: int | None = None) -> tuple[int, int]:
    """The multiplier and right shift that stand for ``real`` > 0 under a profile (eq. 20).

    ``width`` narrows the multiplier below the profile's (see ``width_for``). The shift is in -31..62; a real number
    too small for that loses bits and, in the end, becomes 0. Raises ValueError for one that is too large.
    """
    rules = profile_named(profile)
    if not (math.isfinite(real) and real > 0):
        raise ValueError(f"multiplier {real} is not a positive number")
    bits = rules.width if width is None else min(width, rules.width)
    exponent = math.frexp(float(np.float32(real)) if rules.product == "float32" else real)[1]
    return _at_shift(real, rules, bits - exponent, bits)


def common_multipliers(reals: Sequence[float], profile: str, width: int | None = None) -> tuple[tuple[int, ...], int]:
    """Multipliers of several operands with one shift: the largest has the full width (eq. 21)."""
    rules = profile_named(profile)
    largest, shift = multiplier(max(reals), profile, width)
    factors = tuple(largest if real == max(reals) else cut(real, rules, shift) for real in reals)
    return factors, shift


def cut(real: float, rules: Profile, shift: int) -> int:
    """``real`` * 2**shift as an integer by the profile's rule: to nearest with ties away, or truncated."""
    if rules.rule != "nearest":
        return math.floor(math.ldexp(float(np.float32(real)), shift))
    scaled = math.ldexp(real, shift)
    floor = math.floor(scaled)
    return floor + (scaled - floor >= 0.5)


def width_for(largest: int) -> int:
    """How many bits a multiplier may have so that a product with ``largest`` stays below 2**63 (eq. 22).

    Raises ValueError when fewer than 8 bits are left: such a multiplier would no longer stand for its scale.
    """
    width = 63 - largest.bit_length()
    if width < 8:
        raise ValueError(f"value {largest} leaves only {max(width, 0)} bits for a multiplier")
    return width


def _at_shift(real: float, rules: Profile, shift: int, bits: int) -> tuple[int, int]:
    """Cut ``real`` at ``shift``; bring a multiplier that grew by one bit, or a shift off the scale, back in."""
    if shift > MAXIMUM_SHIFT:
        return (0, 0) if rules.name == "tflite" else (cut(real, rules, MAXIMUM_SHIFT), MAXIMUM_SHIFT)
    factor = cut(real, rules, shift) + (1 if rules.rule == "truncate_plus_one" else 0)
    if factor == 1 << bits and rules.rule == "nearest":
        factor, shift = factor >> 1, shift - 1
    if shift < MINIMUM_SHIFT:
        raise ValueError(f"multiplier {real} needs a left shift of {-shift}; at most {-MINIMUM_SHIFT} is possible")
    return factor, shift
