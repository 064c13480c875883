"""Counters over float32 bit patterns: what a range algorithm knows about a tensor, and the one pass that makes it.

A value is counted under the upper 16 bits of its float32 pattern: sign, exponent, 7 bits of mantissa. So a bin is at
most 1/128 of its value wide, no range is needed beforehand, and counters of samples add exactly, in any order.
Rejected: linear histograms (the range must be known first, or bins are re-split and results depend on the order of
samples); keeping the values (tens of MiB per image).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

PATTERNS = 1 << 16

_UPPER_HALF = 1 if sys.byteorder == "little" else 0
_BLOCK = 1 << 18
"""Values counted at once: their widened patterns (2 MiB) stay in the second-level cache."""

Array = np.ndarray[Any, Any]


class Observed(Protocol):
    """What range algorithms read; calibration statistics and ``Observation`` both have it."""

    @property
    def minimum(self) -> float: ...
    @property
    def maximum(self) -> float: ...
    @property
    def patterns(self) -> Array: ...
    @property
    def counts(self) -> Array: ...
    @property
    def extremes(self) -> Array: ...


@dataclass(frozen=True)
class Observation:
    """Counters of values held: ``patterns`` uint16 ascending, ``counts`` int64, ``extremes`` float32 (samples, 2)."""

    minimum: float
    maximum: float
    patterns: Array
    counts: Array
    extremes: Array

    @classmethod
    def of(cls, values: Array) -> Observation:
        """The counters of one array, taken as one sample; the values must be finite and at least one."""
        low, high = extremes_of(values)
        patterns, counts = sparse(count_patterns(values))
        return cls(float(low), float(high), patterns, counts, np.array([[low, high]], dtype=np.float32))


@dataclass(frozen=True)
class ValueBins:
    """Counters as intervals of values, ascending: ``count`` values lie in ``low`` .. ``high`` (float64 arrays)."""

    low: Array
    high: Array
    count: Array


def count_patterns(values: Array) -> Array:
    """How often each upper half of a float32 pattern occurs: int64 (65536,).

    The definition; ``pattern_counters`` has a compiled pass for the many tensors of a calibration.
    """
    upper = _contiguous_float32(values).view(np.uint16)[_UPPER_HALF::2]
    total = np.zeros(PATTERNS, dtype=np.int64)
    widened = np.empty(min(_BLOCK, upper.size), dtype=np.intp)
    for start in range(0, upper.size, _BLOCK):
        block = upper[start : start + _BLOCK]
        # bincount converts whatever is not intp on its own, more slowly.
        np.copyto(widened[: block.size], block)
        total += np.bincount(widened[: block.size], minlength=PATTERNS)
    return total


def extremes_of(values: Array) -> tuple[np.float32, np.float32]:
    """Exact minimum and maximum; NaN when any value is. Minus zero becomes zero: which of them is met is chance."""
    flat = _contiguous_float32(values)
    with np.errstate(invalid="ignore"):
        return np.float32(flat.min() + np.float32(0)), np.float32(flat.max() + np.float32(0))


def sparse(dense: Array) -> tuple[Array, Array]:
    """Patterns that occur (uint16, ascending) and how often (int64)."""
    patterns = np.flatnonzero(dense)
    return patterns.astype(np.uint16), dense[patterns].astype(np.int64)


def value_bins(observed: Observed) -> ValueBins:
    """The counters as intervals in ascending order, cut at the exact minimum and maximum."""
    patterns = observed.patterns.astype(np.uint32)
    magnitude_low, magnitude_high = magnitude_edges(patterns & 0x7FFF)
    negative = patterns >= 0x8000
    low = np.where(negative, -magnitude_high, magnitude_low)
    high = np.where(negative, -magnitude_low, magnitude_high)
    # Among negative values a larger pattern is a smaller value.
    order = np.concatenate([np.flatnonzero(negative)[::-1], np.flatnonzero(~negative)])
    clip = (observed.minimum, observed.maximum)
    return ValueBins(np.clip(low[order], *clip), np.clip(high[order], *clip), observed.counts[order].astype(np.float64))


def magnitude_edges(magnitudes: Array) -> tuple[Array, Array]:
    """Edges [low, high) of patterns without sign, float64; the bin above the largest finite value ends at infinity.

    Pattern 0 holds zero and everything below 2**-133; it is taken as zero.
    """
    bits = magnitudes.astype(np.uint32)
    low = (bits << np.uint32(16)).view(np.float32).astype(np.float64)
    high = ((bits + np.uint32(1)) << np.uint32(16)).view(np.float32).astype(np.float64)
    return low, np.where(bits == 0, 0.0, high)


def magnitude_bounds(observed: Observed) -> tuple[float, float]:
    """What is known of the smallest magnitude (0 when values of both signs occur), and the largest one exactly."""
    return max(observed.minimum, -observed.maximum, 0.0), max(abs(observed.minimum), abs(observed.maximum))


def _contiguous_float32(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
