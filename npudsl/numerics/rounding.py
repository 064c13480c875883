"""Rounding right shifts of int64 arrays, by name (eq. 13 to 16 of docs/numerics.md).

=============  ================================================================================
``half_even``  to nearest, ties to the even neighbour
``half_away``  to nearest, ties away from zero
``half_up``    to nearest, ties towards plus infinity
``double``     gemmlowp's two roundings: ``half_up`` by 31, then ``half_away`` by the rest
=============  ================================================================================

Each is built from the floor shift and the remainder, so no value near the ends of int64 overflows. gemmlowp writes its
first rounding as a nudged division of the doubled product; on integers that is ``half_up`` by 31 (the nudge of a
negative product is one smaller, so its tie goes up), and with less than 31 bits to go it is ``half_up`` by those.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Rounding = Literal["half_even", "half_away", "half_up", "double"]
ROUNDINGS: tuple[str, ...] = get_args(Rounding)

HIGH_MULTIPLY_BITS = 31
"""How far the first rounding of ``double`` shifts."""

Integers = NDArray[np.int64]
Shift = int | NDArray[np.int64]


def shift_right(values: Integers, shift: Shift, rounding: str) -> Integers:
    """``values / 2**shift`` rounded; ``shift`` is one number or broadcasts, each in 0..62."""
    shifts = np.asarray(shift, dtype=np.int64)
    if shifts.size and (shifts.min() < 0 or shifts.max() > 62):
        raise ValueError(f"shifts {shifts.min()}..{shifts.max()} are outside 0..62")
    match rounding:
        case "half_even":
            return shift_half_even(values, shifts)
        case "half_away":
            return shift_half_away(values, shifts)
        case "half_up":
            return shift_half_up(values, shifts)
        case "double":
            first = shift_half_up(values, np.minimum(shifts, HIGH_MULTIPLY_BITS))
            return shift_half_away(first, np.maximum(shifts - HIGH_MULTIPLY_BITS, 0))
        case _:
            raise ValueError(f"rounding {rounding!r} is none of {', '.join(ROUNDINGS)}")


def shift_half_even(values: Integers, shift: Integers) -> Integers:
    """To nearest, ties to even (eq. 13)."""
    floor, remainder, half = _split(values, shift)
    up: NDArray[np.bool_] = (remainder > half) | ((remainder == half) & (floor & 1 == 1))
    return floor + up


def shift_half_away(values: Integers, shift: Integers) -> Integers:
    """To nearest, ties away from zero (eq. 14)."""
    floor, remainder, half = _split(values, shift)
    up: NDArray[np.bool_] = (remainder > half) | ((remainder == half) & (values > 0))
    return floor + up


def shift_half_up(values: Integers, shift: Integers) -> Integers:
    """To nearest, ties towards plus infinity (eq. 15)."""
    floor, remainder, half = _split(values, shift)
    return floor + (remainder >= half)


def _split(values: Integers, shift: Integers) -> tuple[Integers, Integers, Integers]:
    """Floor, remainder and half of the divisor; without a shift half is 1, which no remainder reaches."""
    divisor = np.left_shift(np.int64(1), shift)
    return values >> shift, values & (divisor - 1), np.maximum(divisor >> 1, 1)
