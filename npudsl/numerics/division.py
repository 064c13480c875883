"""Division of integers with a named rounding (eq. 33 of docs/numerics.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BEYOND = 2**40
"""What a division by zero gives: outside every type, so that it saturates."""

Integers = NDArray[np.int64]


def rounded_quotient(numerator: Integers, denominator: Integers, rounding: str) -> Integers:
    """``numerator / denominator`` to the nearest integer, ties by ``half_even``, ``half_away`` or ``half_up``.

    Both are below 2**62 in magnitude and broadcast. Division by zero gives ``BEYOND`` with the sign of the numerator,
    and 0 for 0 / 0. Raises ValueError for another rounding: a quotient is rounded once.
    """
    negative = (numerator < 0) != (denominator < 0)
    divisor = np.where(denominator == 0, 1, np.abs(denominator))
    whole, rest = np.divmod(np.abs(numerator), divisor)
    match rounding:
        case "half_even":
            tie_up = whole & 1 == 1
        case "half_away":
            tie_up = np.ones_like(negative)
        case "half_up":
            tie_up = ~negative
        case _:
            raise ValueError(f"rounding {rounding!r} is none of half_even, half_away, half_up")
    magnitude = whole + ((2 * rest > divisor) | ((2 * rest == divisor) & tie_up))
    quotient: Integers = np.where(negative, -magnitude, magnitude)
    by_zero: Integers = np.sign(numerator) * BEYOND
    return np.where(denominator == 0, by_zero, quotient)
