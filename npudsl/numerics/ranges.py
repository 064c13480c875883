"""From counters to a range: the calibration algorithms, as pure functions.

Every function takes counters (``Observed``) and gives ``(low, high)`` as Python floats. Invariants: the range is never
wider than the data, except that a symmetric one mirrors its longer side; one value gives that value; another algorithm
needs no inference. That a range must contain zero is the quantizer's business. Definitions: ``docs/calibration.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from npudsl.numerics.ranges_counters import Array, Observed, magnitude_bounds, value_bins
from npudsl.numerics.ranges_kl import kl_threshold

Range = tuple[float, float]

RANGE_ALGORITHMS = ("minmax", "moving_average", "percentile", "kl", "mse", "admm", "max_abs")
"""The words that ``range_of`` knows."""

MSE_CANDIDATES = 2.0 ** (-np.arange(128) / 16)
"""Shares of the full range that ``mse`` tries: 4 % apart, down to 1/245."""

ADMM_ROUNDS = 300


def range_of(
    algorithm: str, arguments: Mapping[str, Any], observed: Observed, *, symmetric: bool = False, steps: int = 255
) -> Range:
    """The range that ``algorithm(arguments)`` chooses.

    ``symmetric`` asks for a range around zero; ``steps`` is the largest code minus the smallest (255 for eight bits).
    Raises ``KeyError`` for an algorithm outside ``RANGE_ALGORITHMS``.
    """
    if algorithm == "minmax":
        chosen = minmax(observed)
    elif algorithm == "moving_average":
        chosen = moving_average(observed.extremes, **arguments)
    elif algorithm == "percentile":
        chosen = percentile(observed, **arguments)
    elif algorithm == "kl":
        chosen = kl(observed, **arguments, symmetric=symmetric)
    elif algorithm == "mse":
        chosen = mse(observed, **arguments, steps=steps, symmetric=symmetric)
    elif algorithm == "admm":
        chosen = admm(observed, **arguments, levels=steps // 2)
    elif algorithm == "max_abs":
        chosen = max_abs(observed)
    else:
        raise KeyError(algorithm)
    return mirrored(chosen) if symmetric else chosen


def mirrored(range_: Range) -> Range:
    """The smallest range around zero that holds ``range_``."""
    bound = max(abs(range_[0]), abs(range_[1]))
    return 0.0 - bound, bound


def minmax(observed: Observed) -> Range:
    """Everything that was seen."""
    return observed.minimum, observed.maximum


def max_abs(observed: Observed) -> Range:
    """The largest magnitude, to both sides."""
    return mirrored(minmax(observed))


def moving_average(extremes: Array, weight: float = 0.01) -> Range:
    """Exponential average of each sample's extremes in dataset order: ``m += weight * (x - m)``, from the first sample.

    ``extremes`` is (samples, 2); arithmetic in float64. Raises ``ValueError`` for a weight outside (0, 1].
    """
    if not 0 < weight <= 1:
        raise ValueError(f"weight {weight} is not above 0 and at most 1")
    rows = extremes.astype(np.float64)
    average = rows[0].copy()
    for row in rows[1:]:
        average += weight * (row - average)
    # Rounding may leave the hull by one unit in the last place.
    low, high = np.clip(average, rows.min(axis=0), rows.max(axis=0))
    return float(low), float(high)


def percentile(observed: Observed, keep: float = 0.9999) -> Range:
    """The central share ``keep`` of the values: half of the rest is cut off at each end.

    Inside a bin values are taken as evenly spread. Raises ``ValueError`` for a share outside (0, 1].
    """
    if not 0 < keep <= 1:
        raise ValueError(f"share {keep} is not above 0 and at most 1")
    bins = value_bins(observed)
    cumulative = np.cumsum(bins.count)
    ranks = cumulative[-1] * np.array([(1 - keep) / 2, (1 + keep) / 2])
    index = np.minimum(np.searchsorted(cumulative, ranks), cumulative.size - 1)
    fraction = np.clip((ranks - (cumulative[index] - bins.count[index])) / bins.count[index], 0.0, 1.0)
    values = bins.low[index] + (bins.high[index] - bins.low[index]) * fraction
    low, high = np.clip(values, observed.minimum, observed.maximum)
    return float(low), float(high)


def kl(observed: Observed, bins: int = 2048, *, levels: int = 128, symmetric: bool = False) -> Range:
    """The range whose ``levels``-level version diverges least from the data (see ``ranges_kl``).

    The search is over one threshold for the magnitude, with as many levels as bins where there are fewer bins.
    ``symmetric`` gives -t .. t; else -t .. t is cut down to the data's own ends, so the output of a Relu gets 0 .. t.
    """
    threshold = kl_threshold(observed, bins, min(levels, bins))
    return mirrored((0.0, threshold)) if symmetric else _within(threshold, observed)


def mse(observed: Observed, *, steps: int = 255, symmetric: bool = False) -> Range:
    """The range with the least expected squared error of rounding and clipping, both ends searched together.

    Error of a value x under step s = (high - low, with zero) / steps: (x - end)^2 where it is clipped, x^2 where it
    rounds to zero (|x| < s / 2; zero is a code of every scheme), else s^2 / 12. The widest of equal candidates wins.
    """
    if observed.minimum == observed.maximum == 0:
        return 0.0, 0.0
    moments = _Moments(observed)
    if symmetric:
        bound = magnitude_bounds(observed)[1]
        highs = bound * MSE_CANDIDATES
        error = moments.clipped_above(highs) + moments.clipped_below(-highs)
        error += moments.rounded(-highs, highs, 2 * highs / steps)
        best = float(highs[int(np.argmin(error))])
        return -best, best
    low = observed.minimum * MSE_CANDIDATES if observed.minimum < 0 else np.array([observed.minimum])
    high = observed.maximum * MSE_CANDIDATES if observed.maximum > 0 else np.array([observed.maximum])
    lows, highs = np.meshgrid(low, high, indexing="ij")
    step = (np.maximum(highs, 0) - np.minimum(lows, 0)) / steps
    error = moments.clipped_below(low)[:, None] + moments.clipped_above(high)[None, :]
    error = error + moments.rounded(lows, highs, step)
    row, column = np.unravel_index(int(np.argmin(error)), error.shape)
    return float(low[row]), float(high[column])


def admm(observed: Observed, *, levels: int = 127) -> Range:
    """Alternate between codes and scale: q = clip(round(x / a), +-levels), a = sum(q x) / sum(q q).

    Starts at a = max|x| / (2.5 levels) and takes at most 300 rounds, as alibaba/MNN's quantizer does. The range is
    +-a levels, cut down to the data.
    """
    bound = magnitude_bounds(observed)[1]
    if bound == 0:
        return 0.0, 0.0
    bins = value_bins(observed)
    values = (bins.low + bins.high) / 2
    scale = bound / (levels * 2.5)
    for _ in range(ADMM_ROUNDS):
        codes = np.clip(np.rint(values / scale), -levels, levels)
        weighted = bins.count * codes
        following = float(weighted @ values) / float(weighted @ codes)
        if following == scale:
            break
        scale = following
    return _within(scale * levels, observed)


class _Moments:
    """Sums of count, x and x^2 over ascending bins; a bin belongs where its middle lies."""

    def __init__(self, observed: Observed) -> None:
        bins = value_bins(observed)
        self._middle = (bins.low + bins.high) / 2
        square = (bins.low**2 + bins.low * bins.high + bins.high**2) / 3
        self._count = np.concatenate([[0.0], np.cumsum(bins.count)])
        self._sum = np.concatenate([[0.0], np.cumsum(bins.count * self._middle)])
        self._square = np.concatenate([[0.0], np.cumsum(bins.count * square)])

    def clipped_above(self, high: Array) -> Array:
        """Squared error of the values above ``high``."""
        return self._clipped(np.searchsorted(self._middle, high, side="right"), self._middle.size, high)

    def clipped_below(self, low: Array) -> Array:
        """Squared error of the values below ``low``."""
        return self._clipped(0, np.searchsorted(self._middle, low, side="left"), low)

    def rounded(self, low: Array, high: Array, step: Array) -> Array:
        """Squared rounding error of the values inside."""
        first = np.searchsorted(self._middle, low, side="left")
        last = np.searchsorted(self._middle, high, side="right")
        first_zero = np.clip(np.searchsorted(self._middle, -step / 2, side="left"), first, last)
        last_zero = np.clip(np.searchsorted(self._middle, step / 2, side="right"), first_zero, last)
        to_zero = self._count[last_zero] - self._count[first_zero]
        others = self._count[last] - self._count[first] - to_zero
        error: Array = self._square[last_zero] - self._square[first_zero] + others * step**2 / 12
        return error

    def _clipped(self, first: Any, last: Any, end: Array) -> Array:
        count = self._count[last] - self._count[first]
        total = self._sum[last] - self._sum[first]
        square = self._square[last] - self._square[first]
        error: Array = np.maximum(square - 2 * end * total + end**2 * count, 0.0)
        return error


def _within(threshold: float, observed: Observed) -> Range:
    # A threshold below every magnitude would turn the ends around.
    threshold = max(threshold, magnitude_bounds(observed)[0])
    return max(observed.minimum, -threshold), min(observed.maximum, threshold)
