"""Rounding shifts and requantization against Python's own integers."""

from __future__ import annotations

import numpy as np
import pytest
from big_integers import requantized
from hypothesis import given
from hypothesis import strategies as st

from npudsl.numerics.fast_requantize import Requantizer, float64_is_exact
from npudsl.numerics.requantize import requantize, width_for
from npudsl.numerics.rounding import ROUNDINGS, shift_right

VALUES = st.integers(-(2**31), 2**31 - 1)
MULTIPLIERS = st.integers(0, 2**31 - 1)
BOUNDS = st.sampled_from([(0, 0, 255), (3, 3, 200), (-128, -128, 127), (-5, -128, 127), (0, -32768, 32767)])


def apply(values, multiplier, shift, rounding, zero_point, low, high):
    return requantize(np.array(values), (multiplier,), (shift,), rounding, zero_point, low, high).tolist()


@given(value=VALUES, multiplier=MULTIPLIERS, shift=st.integers(-31, 62), bounds=BOUNDS)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_requantize_equals_big_integer_arithmetic(rounding, value, multiplier, shift, bounds):
    expected = requantized(value, multiplier, shift, rounding, *bounds)
    assert apply([value], multiplier, shift, rounding, *bounds) == [expected]


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shift", [1, 2, 7, 30, 31, 32, 33, 45, 62])
def test_ties_and_ends_equal_big_integer_arithmetic(rounding, shift):
    half = 1 << (shift - 1)
    if half < 2**31:
        values = [k * 2 * half + half for k in range(-4, 4) if abs(k * 2 * half + half) < 2**31]
    else:
        values = []
    values += [0, 1, -1, 2**31 - 1, -(2**31)]
    for multiplier in (1, 2, 3, 2**30, 2**31 - 1):
        bounds = (7, -(2**31), 2**31)
        expected = [requantized(value, multiplier, shift, rounding, *bounds) for value in values]
        assert apply(values, multiplier, shift, rounding, *bounds) == expected


def test_ties_go_where_the_name_says():
    values = np.array([-5, -3, -1, 1, 3, 5])
    assert shift_right(values, 1, "half_even").tolist() == [-2, -2, 0, 0, 2, 2]
    assert shift_right(values, 1, "half_away").tolist() == [-3, -2, -1, 1, 2, 3]
    assert shift_right(values, 1, "half_up").tolist() == [-2, -1, 0, 1, 2, 3]
    assert shift_right(values, 1, "double").tolist() == [-2, -1, 0, 1, 2, 3]


def test_double_rounds_twice():
    value = (1 << 32) - 1
    assert shift_right(np.array([value]), 33, "half_away").tolist() == [0]
    assert shift_right(np.array([value]), 33, "double").tolist() == [1]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_shifting_by_nothing_changes_nothing_up_to_the_ends_of_int64(rounding):
    values = np.array([-(2**63), -1, 0, 1, 2**63 - 1])
    assert shift_right(values, 0, rounding).tolist() == values.tolist()
    assert shift_right(values, 62, rounding).tolist() == [-2, 0, 0, 0, 2]


def test_a_left_shift_saturates_instead_of_wrapping():
    assert apply([2**31 - 1, -(2**31)], 2**31 - 1, -31, "half_even", 0, -128, 127) == [127, -128]


def test_a_product_that_leaves_64_bits_is_refused_with_its_numbers():
    with pytest.raises(ValueError, match="value 4294967296 times multiplier 2147483648"):
        apply([2**32], 2**31, 31, "half_even", 0, 0, 255)


@pytest.mark.parametrize("shift", [-32, 63])
def test_shifts_outside_the_program_s_limits_are_refused(shift):
    with pytest.raises(ValueError, match="shift"):
        shift_right(np.array([1]), shift, "half_even")


def test_an_unknown_rounding_is_refused():
    with pytest.raises(ValueError, match="half_down"):
        shift_right(np.array([1]), 1, "half_down")


def test_every_channel_has_its_own_multiplier():
    values = np.arange(12).reshape(3, 4)
    found = requantize(values, (1, 2, 4), (0, 1, 1), "half_even", 0, 0, 255, channel_axis=0)
    assert found.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [16, 18, 20, 22]]
    with pytest.raises(ValueError, match="channel axis"):
        requantize(values, (1, 2, 4), (0, 1, 1), "half_even", 0, 0, 255)


@given(largest=st.integers(1, 2**54))
def test_a_width_leaves_room_for_the_product(largest):
    width = width_for(largest)
    assert largest * (2**width - 1) < 2**63
    assert largest * 2 ** (width + 1) >= 2**63


def test_a_value_that_leaves_no_room_for_a_multiplier_is_refused():
    with pytest.raises(ValueError, match="only 7 bits"):
        width_for(2**55)


@given(
    data=st.data(),
    rounding=st.sampled_from(ROUNDINGS),
    bounds=BOUNDS,
    channels=st.integers(1, 3),
    storage=st.sampled_from(["float32", "float64", "int64"]),
)
def test_the_fast_form_equals_the_definition(data, rounding, bounds, channels, storage):
    limit = 2**24 - 1 if storage == "float32" else 2**30 - 1
    numbers = st.lists(st.integers(-limit, limit), min_size=5, max_size=5)
    values = np.array(data.draw(st.lists(numbers, min_size=channels, max_size=channels)))
    bias = np.array(data.draw(st.lists(st.integers(-(2**30), 2**30), min_size=channels, max_size=channels)))
    pairs = data.draw(st.lists(st.tuples(MULTIPLIERS, st.integers(-4, 62)), min_size=channels, max_size=channels))
    multipliers, shifts = zip(*pairs, strict=True)
    fast = Requantizer(multipliers, shifts, rounding, *bounds, storage="int32", largest=2**31, bias=bias)
    found = fast(values.astype(storage), np.empty(values.shape, dtype=np.int32))
    wide = values + bias[:, None]
    assert found.tolist() == requantize(wide, multipliers, shifts, rounding, *bounds, channel_axis=0).tolist()


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shift", [31, 37, 38, 44, 45])
def test_the_fast_form_is_exact_next_to_every_tie_up_to_its_largest_shift(rounding, shift):
    multiplier = 2**31 - 1
    assert float64_is_exact((multiplier,), (shift,), 255).all()
    ties = [(2 * k + 1 << shift - 1) // multiplier for k in range(-300, 300)]
    values = np.array([tie + step for tie in ties for step in (-1, 0, 1, 2)])
    values = values[np.abs(values) < 2**31]
    fast = Requantizer((multiplier,), (shift,), rounding, 0, -255, 255, storage="int32", largest=2**31)
    found = fast(values[None].astype(np.float64), np.empty((1, values.size), dtype=np.int32))
    assert found[0].tolist() == apply(values, multiplier, shift, rounding, 0, -255, 255)


def test_a_channel_with_a_tiny_multiplier_takes_the_definition_and_the_others_do_not_notice():
    multipliers, shifts = (2**30 + 1, 2**30 + 1), (40, 55)
    assert float64_is_exact(multipliers, shifts, 255).tolist() == [True, False]
    values = np.array([[1000, 2**30], [2**30, -(2**30)]])
    fast = Requantizer(multipliers, shifts, "half_even", 0, 0, 255, storage="uint8", largest=2**31)
    found = fast(values, np.empty(values.shape, dtype=np.uint8))
    assert found.tolist() == requantize(values, multipliers, shifts, "half_even", 0, 0, 255, 0).tolist()


def test_the_fast_form_works_in_blocks_and_from_a_channel_on():
    generator = np.random.default_rng(0)
    values = generator.integers(-(2**20), 2**20, (7, 40000))
    multipliers = tuple(int(item) for item in generator.integers(2**30, 2**31, 9))
    shifts = (41,) * 9
    bias = generator.integers(-1000, 1000, 9)
    fast = Requantizer(multipliers, shifts, "half_even", 3, 0, 255, storage="uint8", largest=2**21, bias=bias)
    found = fast(values.astype(np.float32), np.empty(values.shape, dtype=np.uint8), first_channel=2)
    wide = values + bias[2:, None]
    expected = requantize(wide, multipliers[2:], shifts[2:], "half_even", 3, 0, 255, 0)
    assert np.array_equal(found, expected)


def test_the_fast_form_refuses_what_the_definition_refuses():
    with pytest.raises(ValueError, match="64 bits"):
        Requantizer((2**31,), (31,), "half_even", 0, 0, 255, storage="uint8", largest=2**32)
