"""Requantization in float64, equal to :func:`npudsl.numerics.requantize.requantize` bit for bit, several times faster.

Why float64 is exact here (eq. 23 of docs/numerics.md). Let value * multiplier * 2**-shift be v, and let the result be
clamped at a distance of at most ``reach`` from the zero point. With t trailing zero bits in the multiplier, v is a
multiple of 2**-(shift - t). Whenever |v| <= 2**(53 - shift + t), v and v +- 1/2 are float64 numbers, so the product,
the sum and the rounding are all exact. Beyond that, products are rounded, but every operation is monotone, so the
result stays at least 2**(53 - shift + t) away from the zero point; if ``reach`` is not larger than that, the clamp
makes it the same code. So ``shift - t + ceil(log2(reach)) <= 53`` is enough. For 8-bit codes (reach at most 2**8) it
holds for every shift up to 45, that is for every real multiplier above 2**-14; other channels take the definition.

Rejected: float32 (24 bits do not hold the products), and float64 with a later repair of near-ties (not needed).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.numerics.requantize import check_products, requantize
from npudsl.numerics.rounding import HIGH_MULTIPLY_BITS

FLOAT64_BITS = 53
BLOCK = 32768
"""Elements per pass: the float64 working copy (256 KiB) stays in the second-level cache."""


class Requantizer:
    """One requantization of arrays shaped (channels, n), prepared for repeated use.

    ``values`` passed to it are integers in any numeric type, in float types exact; ``largest`` bounds their magnitude
    (with the bias). ``bias`` has one entry per channel and is added first. Raises ValueError when a product could leave
    64 bits.
    """

    def __init__(
        self,
        multipliers: Sequence[int],
        shifts: Sequence[int],
        rounding: str,
        zero_point: int,
        low: int,
        high: int,
        *,
        storage: str,
        largest: int,
        bias: NDArray[Any] | None = None,
    ) -> None:
        check_products(largest, multipliers)
        self.rounding = rounding
        self.zero_point = zero_point
        self.low, self.high = low, high
        self.storage = np.dtype(storage)
        self.multipliers, self.shifts = tuple(multipliers), tuple(shifts)
        self.bias = None if bias is None or not np.any(bias) else np.asarray(bias, dtype=np.int64)
        reach = max(abs(high - zero_point), abs(low - zero_point))
        exact = float64_is_exact(self.multipliers, self.shifts, reach) & (largest < 2**FLOAT64_BITS)
        self.in_float64 = bool(exact.any())
        self._wide = np.flatnonzero(~exact) if self.in_float64 else np.array([], dtype=np.intp)
        self._bias = None if self.bias is None else self.bias.astype(np.float64)[:, None]
        self._factor, self._second = self._steps()

    def __call__(self, values: NDArray[Any], out: NDArray[Any], first_channel: int = 0) -> NDArray[Any]:
        """Write the codes of ``values`` (channels, n) to ``out``; row 0 is channel ``first_channel``."""
        channels, width = values.shape
        rows = max(1, min(channels, BLOCK // max(width, 1)))
        columns = min(width, BLOCK)
        work = np.empty((rows, columns), dtype=np.float64 if self.in_float64 else np.int64)
        for row in range(0, channels, rows):
            end = min(row + rows, channels)
            channel = slice(first_channel + row, first_channel + end)
            for column in range(0, width, columns):
                part = (slice(row, end), slice(column, min(column + columns, width)))
                block = values[part]
                self._block(block, channel, work[: block.shape[0], : block.shape[1]], out[part])
        return out

    def _block(self, values: NDArray[Any], channel: slice, work: NDArray[Any], out: NDArray[Any]) -> None:
        np.copyto(work, values, casting="unsafe")
        if not self.in_float64:
            out[...] = self._exact(work, channel)
            return
        if self._bias is not None:
            work += self._bias[channel]
        self._round(work, channel)
        np.clip(work, self.low - self.zero_point, self.high - self.zero_point, out=work)
        if self.zero_point:
            work += self.zero_point
        np.copyto(out, work, casting="unsafe")
        for number in self._wide:
            row = int(number) - channel.start
            if 0 <= row < values.shape[0]:
                out[row] = self._exact(values[row : row + 1].astype(np.int64), slice(int(number), int(number) + 1))

    def _exact(self, work: NDArray[np.int64], channel: slice) -> NDArray[np.int64]:
        """The definition, for values of some channels."""
        if self.bias is not None:
            work += self.bias[channel, None]
        several = len(self.multipliers) > 1
        multipliers = self.multipliers[channel] if several else self.multipliers
        shifts = self.shifts[channel] if several else self.shifts
        axis = 0 if several else None
        return requantize(work, multipliers, shifts, self.rounding, self.zero_point, self.low, self.high, axis)

    def _round(self, work: NDArray[np.float64], channel: slice) -> None:
        """Multiply and round in place."""
        _multiply(work, self._factor, channel)
        match self.rounding:
            case "half_even":
                np.rint(work, out=work)
            case "half_up":
                _half_up(work)
            case "half_away":
                _half_away(work)
            case "double":
                _half_up(work)
                if self._second is not None:
                    _multiply(work, self._second, channel)
                    _half_away(work)

    def _steps(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """The factor of the first rounding and, for ``double`` with more than 31 bits to go, of the second."""
        multipliers = np.asarray(self.multipliers, dtype=np.float64)[:, None]
        shifts = np.asarray(self.shifts, dtype=np.int64)[:, None]
        if self.rounding != "double":
            return np.ldexp(multipliers, -shifts), None
        first = np.minimum(shifts, HIGH_MULTIPLY_BITS)
        second = np.ldexp(1.0, first - shifts)
        return np.ldexp(multipliers, -first), second if (second != 1.0).any() else None


def float64_is_exact(multipliers: Sequence[int], shifts: Sequence[int], reach: int) -> NDArray[np.bool_]:
    """Per channel whether eq. 23 holds: shift without trailing zeros plus the bits of ``reach`` fit 53 bits."""
    reach_bits = max(reach - 1, 0).bit_length()
    return np.array(
        [
            shift - _trailing_zeros(factor) + reach_bits <= FLOAT64_BITS
            for factor, shift in zip(multipliers, shifts, strict=True)
        ]
    )


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1 if value else FLOAT64_BITS


def _multiply(work: NDArray[np.float64], factor: NDArray[np.float64], channel: slice) -> None:
    work *= factor if factor.shape[0] == 1 else factor[channel]


def _half_up(work: NDArray[np.float64]) -> None:
    work += 0.5
    np.floor(work, out=work)


def _half_away(work: NDArray[np.float64]) -> None:
    work += np.copysign(0.5, work)
    np.trunc(work, out=work)
