"""Metrics against their definitions, and at their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from npudsl.numerics import metrics
from npudsl.numerics.metrics import BLOCK, Accumulator, accumulate, in_top_k, sqnr_of, top_k

VALUES = st.floats(-1e6, 1e6, width=32)


def pairs():
    sizes = st.integers(1, 40)
    return sizes.flatmap(
        lambda size: st.tuples(arrays("f4", size, elements=VALUES), arrays("f4", size, elements=VALUES))
    )


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_figures_follow_their_definitions(pair):
    reference, candidate = (array.astype(np.float64) for array in pair)
    error = candidate - reference
    sums = accumulate(*pair)

    assert sums.euclidean == pytest.approx(np.linalg.norm(error))
    assert sums.std_dev == pytest.approx(error.std(), rel=1e-9, abs=1e-9 * float(np.abs(error).max()))
    assert sums.max_abs_error == np.abs(error).max()
    assert -1 <= sums.cosine <= 1
    if reference.any() and candidate.any():
        norm = math.sqrt(reference @ reference) * math.sqrt(candidate @ candidate)
        assert sums.cosine == pytest.approx(reference @ candidate / norm, abs=1e-12)
    if reference.any() and error.any():
        assert sums.sqnr == pytest.approx(10 * np.log10((reference @ reference) / (error @ error)), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(arrays("f4", st.integers(1, 40), elements=VALUES))
def test_equal_arrays_have_nothing_between_them(values):
    sums = accumulate(values, values.copy())

    assert (sums.cosine, sums.euclidean, sums.std_dev, sums.max_abs_error, sums.max_rel_error) == (1, 0, 0, 0, 0)
    assert sums.sqnr == math.inf


def test_two_zero_vectors_are_equal_and_one_has_nothing_in_common():
    zero, some = np.zeros(4, np.float32), np.ones(4, np.float32)

    assert metrics.cosine(zero, zero) == 1.0
    assert metrics.cosine(zero, some) == 0.0
    assert metrics.cosine(some, zero) == 0.0


def test_sqnr_is_infinite_without_error_and_minus_infinite_without_signal():
    zero, some = np.zeros(4, np.float32), np.ones(4, np.float32)

    assert metrics.sqnr(zero, zero) == math.inf
    assert metrics.sqnr(some, some) == math.inf
    assert metrics.sqnr(zero, some) == -math.inf
    assert metrics.sqnr(some, zero) == 0.0


def test_the_normalised_error_is_infinite_when_only_the_reference_is_zero():
    zero, some = np.zeros(4, np.float32), np.full(4, 2, np.float32)

    assert metrics.max_rel_error(zero, zero) == 0.0
    assert metrics.max_rel_error(zero, some) == math.inf
    assert metrics.max_rel_error(some, zero) == 1.0


def test_opposite_vectors_have_cosine_minus_one():
    values = np.array([1, -2, 3], np.float32)

    assert metrics.cosine(values, -values) == -1.0


def test_a_constant_error_has_no_standard_deviation():
    values = np.linspace(-1, 1, 9, dtype=np.float32)

    assert metrics.std_dev(values, values + np.float32(1024)) == pytest.approx(0, abs=1e-4)
    assert metrics.euclidean(np.zeros(9), np.full(9, 3.0)) == 9.0


def test_nan_spoils_the_figures_it_takes_part_in():
    values = np.array([1, math.nan], np.float32)
    sums = accumulate(np.ones(2, np.float32), values)

    assert all(map(math.isnan, (sums.cosine, sums.euclidean, sums.std_dev, sums.max_abs_error, sums.sqnr)))
    assert math.isnan(sums.max_rel_error)
    assert math.isnan(metrics.max_rel_error(np.zeros(2), values))


def test_tiny_and_huge_vectors_keep_their_direction():
    for size in (1e-45, 1e-100, 1e38, 1e100):
        assert metrics.cosine(np.array([size, 0.0]), np.array([size, size])) == pytest.approx(math.sqrt(0.5))


def test_sums_do_not_depend_on_where_the_arrays_lie():
    random = np.random.default_rng(0)
    stacked = random.normal(size=(3, 2 * BLOCK + 17)).astype(np.float32)
    other = random.normal(size=(3, 2 * BLOCK + 17)).astype(np.float32)

    for row in range(3):
        assert accumulate(stacked[row], other[row]) == accumulate(stacked[row].copy(), other[row].copy())


def test_large_arrays_are_summed_like_small_ones():
    random = np.random.default_rng(1)
    reference = random.normal(size=(5, BLOCK // 2)).astype(np.float32)
    candidate = reference + random.normal(0, 0.1, reference.shape).astype(np.float32)
    error = candidate.astype(np.float64) - reference
    sums = accumulate(reference, candidate)

    assert sums.count == error.size
    assert sums.std_dev == pytest.approx(error.std())
    assert sums.error_square == pytest.approx((error**2).sum())


def test_codes_are_taken_as_numbers():
    assert metrics.max_abs_error(np.array([200], np.uint8), np.array([100], np.uint8)) == 100


def test_an_accumulator_survives_its_row():
    sums = accumulate(np.arange(5.0), np.ones(5))

    assert Accumulator.from_row(np.array(sums.row())) == sums
    assert len(sums.row()) == metrics.ROW_LENGTH


def test_arrays_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match="3 reference values, 4 candidate values"):
        accumulate(np.zeros(3), np.zeros(4))


def test_sqnr_of_a_hundredth_of_the_power_is_twenty_decibel():
    assert sqnr_of(100.0, 1.0) == pytest.approx(20.0)


def test_ties_of_top_k_go_to_the_lowest_index():
    assert top_k(np.array([1, 3, 3, 2, 3], np.uint8), 3).tolist() == [1, 2, 4]
    assert top_k(np.zeros((1, 4, 1, 1), np.float32), 2).tolist() == [0, 1]


def test_nan_is_never_among_the_best():
    assert top_k(np.array([math.nan, -5.0, -7.0]), 2).tolist() == [1, 2]


def test_more_classes_than_there_are_gives_all():
    assert top_k(np.array([1.0, 2.0]), 5).tolist() == [1, 0]
    assert in_top_k(np.array([1.0, 2.0]), 0, 5)
    assert not in_top_k(np.array([1.0, 2.0]), 0, 1)
