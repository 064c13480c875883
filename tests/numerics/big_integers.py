"""Requantization in Python's own integers, written from the published definitions: what the arrays must equal."""

from __future__ import annotations

from fractions import Fraction
from math import floor


def requantized(value, multiplier, shift, rounding, zero_point, low, high):
    """clamp(zero_point + R(value * multiplier, shift), low, high)."""
    if rounding == "double":
        rounded = gemmlowp(value, multiplier, shift)
    else:
        rounded = rounded_fraction(Fraction(value * multiplier) / Fraction(2) ** shift, rounding)
    return min(max(zero_point + rounded, low), high)


def rounded_fraction(value, rounding):
    below = floor(value)
    rest = value - below
    if rest != Fraction(1, 2):
        return below + (rest > Fraction(1, 2))
    match rounding:
        case "half_even":
            return below + below % 2
        case "half_away":
            return below + (value > 0)
        case "half_up":
            return below + 1


def gemmlowp(value, multiplier, shift):
    """SaturatingRoundingDoublingHighMul, then RoundingDivideByPOT (gemmlowp: fixedpoint/fixedpoint.h)."""
    left, right = max(31 - shift, 0), max(shift - 31, 0)
    product = (value << left) * multiplier
    nudge = 1 << 30 if product >= 0 else 1 - (1 << 30)
    total = product + nudge
    high = abs(total) // 2**31 * (1 if total >= 0 else -1)
    mask = (1 << right) - 1
    remainder = high & mask
    threshold = (mask >> 1) + (1 if high < 0 else 0)
    return (high >> right) + (1 if remainder > threshold else 0)
