"""Threshold by Kullback-Leibler divergence, after the published search of 8-bit inference (S. Migacz, GTC 2017).

Histogram: |x| over 0 .. max|x| in ``bins`` equal bins, rebuilt from the counters with values evenly spread inside a
pattern's bin. Zeros are left out: every candidate represents zero exactly, and a Relu's zeros would drown the rest.

For each candidate i = levels .. bins: P is the histogram's first i bins with everything above added to the last one; Q
gives each of ``levels`` equal groups of bins (bin b is in group floor(b levels / i)) the group's mean over its
non-empty bins, from the histogram without what lies above. The candidate with the least KL(P || Q) wins; Q empty where
P is not counts as infinite; of equal candidates the widest wins. The threshold is the candidate's upper edge.

Many candidates at once: KL needs only prefix sums of c, c log c and [c > 0] at the group borders.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from npudsl.numerics.ranges_counters import Array, Observed, magnitude_bounds, magnitude_edges

_EMPTY = 1e-3
"""A histogram bin with less than this much of one value is empty: it is the rounding of interpolation."""

_EQUAL = 1e-12
"""Divergences closer than this are equal, so that the last bit of a logarithm decides nothing."""


_BLOCK = 2048
"""Candidates looked at together: their group borders take 2 MiB."""


def kl_threshold(observed: Observed, bins: int, levels: int) -> float:
    """The threshold for |x|. Raises ``ValueError`` when there are fewer bins than levels."""
    if bins < levels:
        raise ValueError(f"{bins} bins are fewer than {levels} levels")
    bound = magnitude_bounds(observed)[1]
    histogram = magnitude_histogram(observed, bins)
    if not histogram.any():
        return bound
    divergence = divergences(histogram, levels)
    best = np.flatnonzero(divergence <= divergence.min() + _EQUAL)[-1]
    return bound * (int(best) + levels) / bins


def magnitude_histogram(observed: Observed, bins: int) -> Array:
    """Values per bin of |x| over 0 .. max|x|, float64 (bins,), without zeros."""
    smallest, bound = magnitude_bounds(observed)
    magnitudes = np.zeros(1 << 15, dtype=np.int64)
    np.add.at(magnitudes, observed.patterns & 0x7FFF, observed.counts)
    magnitudes[0] = 0
    present = np.flatnonzero(magnitudes)
    if present.size == 0:
        return np.zeros(bins)
    low, high = magnitude_edges(present)
    cumulative = np.cumsum(magnitudes[present].astype(np.float64))
    edges = np.clip(np.stack([low, high], axis=1).reshape(-1), smallest, bound)
    amounts = np.stack([cumulative - magnitudes[present], cumulative], axis=1).reshape(-1)
    at = np.interp(np.linspace(0.0, bound, bins + 1), edges, amounts, left=0.0)
    histogram = np.diff(at)
    histogram[histogram < _EMPTY] = 0.0
    return histogram


def divergences(histogram: Array, levels: int) -> Array:
    """KL(P || Q) of every candidate i = levels .. bins, float64; infinite where Q is empty and P is not."""
    starts = range(levels, histogram.size + 1, _BLOCK)
    return np.concatenate([_divergences(histogram, levels, start) for start in starts])


def _divergences(histogram: Array, levels: int, start: int) -> Array:
    borders = _group_borders(start, min(start + _BLOCK, histogram.size + 1), levels)
    candidates = borders[:, -1]
    total = histogram.sum()
    amounts = _prefix(histogram)
    entropies = _prefix(_times_log(histogram))
    filled = _prefix(histogram > 0)
    group_amount = np.diff(amounts[borders], axis=1)
    group_filled = np.diff(filled[borders], axis=1)
    log_mean = np.log(np.where(group_amount > 0, group_amount / np.maximum(group_filled, 1), 1.0))

    inside = amounts[candidates]
    above = total - inside
    last = histogram[candidates - 1]
    p_log_p = entropies[candidates] - _times_log(last) + _times_log(last + above)
    p_log_q = (group_amount * log_mean).sum(axis=1) + above * log_mean[:, -1]
    possible = (inside > 0) & ((last > 0) | (above <= _EMPTY))
    log_inside = np.log(np.where(inside > 0, inside, 1.0))
    divergence = (p_log_p - p_log_q) / total - np.log(total) + log_inside
    return np.where(possible, divergence, np.inf)


@lru_cache(maxsize=4)
def _group_borders(start: int, stop: int, levels: int) -> Array:
    """(candidates, levels + 1): group g of candidate i is the bins ceil(g i / levels) .. ceil((g + 1) i / levels)."""
    candidates = np.arange(start, stop)[:, None]
    return -(-np.arange(levels + 1)[None, :] * candidates // levels)


def _prefix(values: Array) -> Array:
    return np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])


def _times_log(values: Array) -> Array:
    """v log v, and 0 at 0."""
    result: Array = values * np.log(np.where(values > 0, values, 1.0))
    return result
