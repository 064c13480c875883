"""The divergence search against its definition, written as loops, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.numerics.ranges_counters import Observation
from npudsl.numerics.ranges_kl import divergences, kl_threshold, magnitude_histogram


def slow_divergence(histogram: list[float], candidate: int, levels: int) -> float:
    above = sum(histogram[candidate:])
    reference = histogram[:candidate]
    if sum(reference) == 0 or (reference[-1] == 0 and above > 0):
        return math.inf
    quantized = [0.0] * candidate
    for level in range(levels):
        members = [b for b in range(candidate) if b * levels // candidate == level]
        filled = [b for b in members if reference[b] > 0]
        for b in filled:
            quantized[b] = sum(reference[m] for m in members) / len(filled)
    reference = [*reference[:-1], reference[-1] + above]
    total, total_quantized = sum(reference), sum(quantized)
    return sum(
        p / total * math.log((p / total) / (q / total_quantized))
        for p, q in zip(reference, quantized, strict=True)
        if p > 0
    )


HISTOGRAMS = st.lists(st.integers(0, 50), min_size=6, max_size=40).filter(any)


@settings(max_examples=80, deadline=None)
@given(HISTOGRAMS, st.integers(2, 6))
def test_all_candidates_at_once_are_each_by_its_definition(histogram: list[int], levels: int) -> None:
    found = divergences(np.array(histogram, dtype=np.float64), levels)
    expected = [slow_divergence([float(v) for v in histogram], i, levels) for i in range(levels, len(histogram) + 1)]
    assert found.shape == (len(expected),)
    assert np.array_equal(np.isinf(found), np.isinf(expected))
    finite = np.isfinite(expected)
    assert found[finite] == pytest.approx(np.array(expected)[finite], abs=1e-12)


def test_more_candidates_than_one_block_are_the_same() -> None:
    random = np.random.default_rng(0)
    histogram = random.integers(0, 9, size=2300).astype(np.float64)
    found = divergences(histogram, 16)
    assert found.size == 2300 - 16 + 1
    for candidate in (16, 2063, 2064, 2300):
        assert found[candidate - 16] == pytest.approx(slow_divergence(histogram.tolist(), candidate, 16), abs=1e-12)


def test_a_divergence_by_hand() -> None:
    # 4 bins, 2 levels. i = 2: P = (4, 4 + 2) / 10, Q = (4, 4) / 8. i = 4: P = Q = (4, 4, 1, 1) / 10.
    found = divergences(np.array([4.0, 4.0, 1.0, 1.0]), 2)
    assert found[0] == pytest.approx(0.4 * math.log(0.8) + 0.6 * math.log(1.2), abs=1e-15)
    assert found[2] == pytest.approx(0.0, abs=1e-15)


def test_an_even_distribution_keeps_everything() -> None:
    values = np.linspace(0, 1, 100_000, dtype=np.float32)
    assert kl_threshold(Observation.of(values), 2048, 128) == 1.0


def test_zeros_have_no_say() -> None:
    values = np.abs(np.random.default_rng(2).normal(size=30_000)).astype(np.float32)
    with_zeros = np.concatenate([values, np.zeros(1_000_000, dtype=np.float32)])
    alone = kl_threshold(Observation.of(values), 2048, 128)
    assert kl_threshold(Observation.of(with_zeros), 2048, 128) == alone


def test_the_sign_has_no_say() -> None:
    values = np.random.default_rng(2).laplace(size=30_000).astype(np.float32)
    positive, negative = Observation.of(np.abs(values)), Observation.of(-np.abs(values))
    assert kl_threshold(positive, 512, 128) == kl_threshold(negative, 512, 128)


def test_the_histogram_holds_every_value_that_is_not_zero() -> None:
    values = np.concatenate([np.random.default_rng(2).normal(size=5000), np.zeros(77), [6.0] * 10]).astype(np.float32)
    histogram = magnitude_histogram(Observation.of(values), 256)
    assert histogram.sum() == pytest.approx(5010, abs=1)
    # The maximum is exact although it is the lower edge of its pattern's bin.
    assert histogram[-1] >= 10 - 1e-6


def test_fewer_bins_than_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="64 bins"):
        kl_threshold(Observation.of(np.ones(3, dtype=np.float32)), 64, 128)


def test_a_ten_times_heavier_tail_widens_the_threshold() -> None:
    random = np.random.default_rng(7)
    body = np.abs(random.normal(size=50_000))
    light = np.append(body, [30.0])
    heavy = np.concatenate([body, np.linspace(5, 30, 20_000)])
    assert kl_threshold(Observation.of(light.astype(np.float32)), 2048, 128) < 10
    assert kl_threshold(Observation.of(heavy.astype(np.float32)), 2048, 128) > 20
