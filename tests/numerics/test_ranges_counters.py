"""Counters over float32 patterns: exact, additive, and turned back into intervals of values."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npudsl.numerics.ranges_counters import (
    PATTERNS,
    Observation,
    count_patterns,
    extremes_of,
    magnitude_edges,
    sparse,
    value_bins,
)

FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
ARRAYS = hnp.arrays(np.float32, st.integers(1, 200), elements=FINITE)


def slow_counts(values: np.ndarray) -> np.ndarray:
    counts = np.zeros(PATTERNS, dtype=np.int64)
    for bits in values.astype(np.float32).view(np.uint32).reshape(-1):
        counts[int(bits) >> 16] += 1
    return counts


def test_known_values_are_counted_under_their_upper_halves() -> None:
    values = np.array([0.0, -0.0, 1.0, 1.0, -1.5, 1.0 + 2**-9], dtype=np.float32)
    patterns, counts = sparse(count_patterns(values))
    assert patterns.tolist() == [0x0000, 0x3F80, 0x8000, 0xBFC0]
    assert counts.tolist() == [1, 3, 1, 1]
    assert patterns.dtype == np.uint16
    assert counts.dtype == np.int64


@settings(max_examples=60, deadline=None)
@given(ARRAYS)
def test_the_pass_counts_like_a_loop(values: np.ndarray) -> None:
    assert np.array_equal(count_patterns(values), slow_counts(values))


def test_blocks_and_views_are_counted_like_one_contiguous_array() -> None:
    values = np.random.default_rng(5).normal(size=(3, 300_000)).astype(np.float32)
    whole = count_patterns(values)
    assert whole.sum() == values.size
    assert np.array_equal(whole, sum(count_patterns(row) for row in values))
    assert np.array_equal(count_patterns(values.T), whole)


def test_minus_zero_is_zero_in_the_extremes() -> None:
    low, high = extremes_of(np.array([-0.0, 0.0], dtype=np.float32))
    assert not np.signbit(low)
    assert not np.signbit(high)


def test_extremes_show_nan_and_infinity() -> None:
    assert np.isnan(extremes_of(np.array([1.0, np.nan], dtype=np.float32))[0])
    assert np.isinf(extremes_of(np.array([1.0, -np.inf], dtype=np.float32))[0])


@settings(max_examples=100, deadline=None)
@given(ARRAYS)
def test_bins_ascend_and_hold_their_values(values: np.ndarray) -> None:
    observed = Observation.of(values)
    bins = value_bins(observed)
    assert bins.count.sum() == values.size
    assert (bins.low <= bins.high).all()
    assert (bins.high[:-1] <= bins.low[1:]).all()
    assert bins.low[0] >= observed.minimum
    assert bins.high[-1] <= observed.maximum
    # Values in the bin of zero stand for zero, within 2**-133.
    ordered = np.sort(values.astype(np.float64))
    last = np.cumsum(bins.count).astype(int)
    for low, high, start, end in zip(bins.low, bins.high, [0, *last[:-1]], last, strict=True):
        assert low <= ordered[start] + 2.0**-133
        assert ordered[end - 1] <= high + 2.0**-133


def test_a_bin_is_at_most_one_128th_of_its_value_wide() -> None:
    low, high = magnitude_edges(np.arange(0x0080, 0x7F80))
    assert np.isfinite(low).all()
    assert ((high[:-1] - low[:-1]) <= low[:-1] / 128).all()
    assert high[-1] == np.inf


def test_the_bin_of_zero_is_zero() -> None:
    low, high = magnitude_edges(np.array([0]))
    assert low[0] == high[0] == 0.0
