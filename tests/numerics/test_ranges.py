"""Range algorithms: hand-computed vectors, degenerate tensors, bounds, and comparison with slow searches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npudsl.numerics.ranges import (
    RANGE_ALGORITHMS,
    admm,
    kl,
    max_abs,
    minmax,
    moving_average,
    mse,
    percentile,
    range_of,
)
from npudsl.numerics.ranges_counters import Observation

MODERATE = st.floats(-1e6, 1e6, width=32)
ARRAYS = hnp.arrays(np.float32, st.integers(1, 300), elements=MODERATE)
SKEWED = np.concatenate([np.linspace(-0.5, 4.0, 5000), np.full(500, 0.0), [40.0]]).astype(np.float32)


def observe(values: object) -> Observation:
    return Observation.of(np.asarray(values, dtype=np.float32))


def test_minmax_is_exact() -> None:
    assert minmax(observe([-1.1, 0.3, 2.7])) == (float(np.float32(-1.1)), float(np.float32(2.7)))


def test_max_abs_takes_the_longer_side_to_both() -> None:
    assert max_abs(observe([-3.0, 2.0])) == (-3.0, 3.0)
    assert max_abs(observe([1.0, 2.0])) == (-2.0, 2.0)


def test_moving_average_by_hand() -> None:
    extremes = np.array([[0, 10], [-2, 12], [0, 2]], dtype=np.float32)
    # low: 0, then 0 + (-2 - 0)/2 = -1, then -1 + (0 + 1)/2 = -0.5; high: 10, 11, 6.5
    assert moving_average(extremes, 0.5) == (-0.5, 6.5)
    assert moving_average(extremes, 1.0) == (0.0, 2.0)
    assert moving_average(extremes[:1]) == (0.0, 10.0)


def test_moving_average_depends_on_the_order_of_samples() -> None:
    extremes = np.array([[0, 1], [0, 3]], dtype=np.float32)
    assert moving_average(extremes, 0.25) == (0.0, 1.5)
    assert moving_average(extremes[::-1], 0.25) == (0.0, 2.5)


def test_percentile_by_hand() -> None:
    # 100 values 0, 800 values exactly 1 (the bin [1, 1 + 1/128)), 100 values 2, the maximum.
    observed = observe([0.0] * 100 + [1.0] * 800 + [2.0] * 100)
    assert percentile(observed, 1.0) == (0.0, 2.0)
    assert percentile(observed, 0.9) == (0.0, 2.0)
    # 15 % off each end: rank 150 is 50 of 800 into the middle bin, rank 850 is 750 of 800.
    low, high = percentile(observed, 0.7)
    assert low == pytest.approx(1 + 50 / 800 / 128, rel=1e-12)
    assert high == pytest.approx(1 + 750 / 800 / 128, rel=1e-12)


def test_percentile_of_a_relu_keeps_zero_exactly() -> None:
    values = np.maximum(np.random.default_rng(1).normal(size=20000), 0)
    assert percentile(observe(values), 0.99)[0] == 0.0


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_percentile_refuses_a_share_that_is_none(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        percentile(observe([1.0]), share)


@pytest.mark.parametrize("weight", [0.0, -0.1, 1.5, float("nan")])
def test_moving_average_refuses_a_weight_that_is_none(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        moving_average(np.zeros((1, 2), dtype=np.float32), weight)


def test_an_unknown_algorithm_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        range_of("guess", {}, observe([1.0]))


@pytest.mark.parametrize("algorithm", RANGE_ALGORITHMS)
@pytest.mark.parametrize("value", [3.3, -2.5, 1e-3, 6.0, 1e30])
def test_one_value_is_its_own_range(algorithm: str, value: float) -> None:
    exact = float(np.float32(value))
    expected = (-abs(exact), abs(exact)) if algorithm == "max_abs" else (exact, exact)
    assert range_of(algorithm, {}, observe([value])) == expected
    assert range_of(algorithm, {}, observe([value] * 1000)) == expected
    assert range_of(algorithm, {}, observe([value]), symmetric=True, steps=254) == (-abs(exact), abs(exact))


@pytest.mark.parametrize("algorithm", RANGE_ALGORITHMS)
@pytest.mark.parametrize("values", [[0.0], [0.0] * 50, [-0.0, 0.0], [1e-42]])
def test_zeros_give_an_empty_range_and_no_minus_zero(algorithm: str, values: list[float]) -> None:
    for symmetric in (False, True):
        low, high = range_of(algorithm, {}, observe(values), symmetric=symmetric)
        assert -1e-41 < low <= high < 1e-41
        if max(values) == 0.0:
            assert not np.signbit(low)


@settings(max_examples=60, deadline=None)
@given(ARRAYS, st.sampled_from(RANGE_ALGORITHMS), st.booleans())
def test_a_range_is_never_wider_than_the_data(values: np.ndarray, algorithm: str, symmetric: bool) -> None:
    observed = observe(values)
    low, high = range_of(algorithm, {}, observed, symmetric=symmetric, steps=254 if symmetric else 255)
    bound = max_abs(observed)[1]
    assert low <= high
    if symmetric or algorithm == "max_abs":
        assert low == -high or low == high == 0
        assert high <= bound
    else:
        assert observed.minimum <= low
        assert high <= observed.maximum


@settings(max_examples=40, deadline=None)
@given(ARRAYS, st.floats(0.5, 1.0), st.floats(0.5, 1.0))
def test_keeping_more_never_narrows_a_percentile(values: np.ndarray, one: float, other: float) -> None:
    observed = observe(values)
    narrow, wide = percentile(observed, min(one, other)), percentile(observed, max(one, other))
    assert wide[0] <= narrow[0] + 1e-9 * abs(narrow[0])
    assert narrow[1] <= wide[1] + 1e-9 * abs(wide[1])


@settings(max_examples=40, deadline=None)
@given(ARRAYS, MODERATE)
def test_more_data_never_narrows_minmax(values: np.ndarray, extra: float) -> None:
    low, high = minmax(observe(values))
    wider_low, wider_high = minmax(observe(np.append(values, np.float32(extra))))
    assert wider_low <= low <= high <= wider_high


@settings(max_examples=30, deadline=None)
@given(ARRAYS, st.sampled_from(RANGE_ALGORITHMS), st.sampled_from([2.0, 0.25, 1024.0]))
def test_scaling_by_a_power_of_two_scales_the_range(values: np.ndarray, algorithm: str, factor: float) -> None:
    values = np.where(np.abs(values) < 1e-20, 0, values).astype(np.float32)
    low, high = range_of(algorithm, {}, observe(values))
    scaled = range_of(algorithm, {}, observe(values * np.float32(factor)))
    assert scaled == pytest.approx((low * factor, high * factor), rel=1e-9, abs=0)


def test_a_lonely_outlier_is_cut_off_by_percentile_and_kl() -> None:
    observed = observe(SKEWED)
    for algorithm, arguments in (("percentile", {"keep": 0.999}), ("kl", {})):
        low, high = range_of(algorithm, arguments, observed)
        assert 2.0 < high < 20.0, algorithm
        assert low == pytest.approx(-0.5, abs=0.02), algorithm


def test_mse_keeps_an_outlier_that_costs_more_clipped_than_rounding_costs_everything_else() -> None:
    observed = observe(SKEWED)
    # Clipped at 4 the outlier costs 36**2, kept it costs 5000 values (40/255)**2 / 12 each: about 10.
    assert mse(observed)[1] == 40.0
    # With 15 steps rounding costs about 5000 * (40/15)**2 / 12 = 3000.
    assert mse(observed, steps=15)[1] < 30.0


def fake_quantized_error(values: np.ndarray, low: float, high: float, steps: int) -> float:
    scale = (max(high, 0.0) - min(low, 0.0)) / steps
    zero_point = np.rint(-min(low, 0.0) / scale)
    codes = np.clip(np.rint(values / scale) + zero_point, 0, steps)
    return float(np.mean(((codes - zero_point) * scale - values) ** 2))


@pytest.mark.parametrize("distribution", ["normal", "laplace", "relu", "student"])
@pytest.mark.parametrize("steps", [15, 255])
def test_mse_is_close_to_the_best_range_of_an_exhaustive_search(distribution: str, steps: int) -> None:
    random = np.random.default_rng(3)
    values = {
        "normal": random.normal(size=20000),
        "laplace": random.laplace(size=20000),
        "relu": np.maximum(random.normal(size=20000), 0),
        "student": random.standard_t(4, size=20000),
    }[distribution].astype(np.float32)
    observed = observe(values)
    low, high = mse(observed, steps=steps)
    shares = np.linspace(0.02, 1.0, 50)
    best = min(
        fake_quantized_error(values, observed.minimum * a, observed.maximum * b, steps) for a in shares for b in shares
    )
    found = fake_quantized_error(values, low, high, steps)
    assert found <= best * 1.15
    assert found <= fake_quantized_error(values, observed.minimum, observed.maximum, steps) * 1.0001


def test_symmetric_mse_is_symmetric_and_no_worse_than_the_full_range() -> None:
    values = np.random.default_rng(4).laplace(size=20000).astype(np.float32)
    low, high = mse(observe(values), steps=254, symmetric=True)
    assert low == -high
    bound = float(np.abs(values).max())
    error = fake_quantized_error(values, low, high, 254)
    assert error <= fake_quantized_error(values, -bound, bound, 254)


def test_admm_keeps_values_that_its_codes_hit() -> None:
    # 0, 1, ..., 127 are the codes of scale 1, a fixed point of the alternation.
    low, high = admm(observe(np.arange(128)))
    assert low == 0.0
    assert 100.0 < high <= 127.0


def test_kl_ranges_of_both_kinds_share_their_threshold() -> None:
    observed = observe(SKEWED)
    low, high = kl(observed)
    symmetric = kl(observed, symmetric=True)
    assert symmetric == (-high, high)
    assert low == -0.5
