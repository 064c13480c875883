"""Dynamic fixed point."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npudsl.numerics import dfp


@pytest.mark.parametrize(
    ("low", "high", "type_name", "length"),
    [
        (0.0, 6.88, "i8", 4),
        (-9.214, 19.326, "i16", 10),
        (-40.6874, 16.7258, "i16", 9),
        (0.0, 6.0, "i16", 12),
        (-19.3, 1.0, "i16", 10),
        (-1.0, 1.0, "i16", 15),
        (-1.0, 1.0, "i8", 7),
    ],
)
def test_fractional_lengths_printed_in_vendor_tables_come_out(low, high, type_name, length):
    assert dfp.fractional_length_of_range(low, high, type_name) == length


@given(largest=st.floats(1e-30, 1e30, allow_subnormal=False), bits=st.sampled_from([8, 16]))
def test_the_length_is_the_largest_whose_range_reaches_the_value(largest, bits):
    length = dfp.fractional_length(largest, bits)
    assert Fraction(largest) <= Fraction(2) ** (bits - 1 - length)
    assert Fraction(largest) > Fraction(2) ** (bits - 2 - length)


@pytest.mark.parametrize("exponent", [-40, -1, 0, 1, 10, 29])
def test_the_exponent_is_exact_around_powers_of_two(exponent):
    power = 2.0**exponent
    assert dfp.fractional_length(power, 8) == 7 - exponent
    assert dfp.fractional_length(math.nextafter(power, 0), 8) == 7 - exponent
    assert dfp.fractional_length(math.nextafter(power, math.inf), 8) == 6 - exponent


def test_large_values_have_a_negative_length():
    assert dfp.fractional_length(300.0, 8) == -2
    assert dfp.quantize_dfp([300.0], -2, "i8").tolist() == [75]
    assert dfp.dequantize_dfp(np.array([75]), -2).tolist() == [300.0]


def test_a_tensor_of_zeros_has_length_zero():
    assert dfp.fractional_length(0.0, 8) == 0


@pytest.mark.parametrize("largest", [float("inf"), float("nan"), -1.0])
def test_a_magnitude_that_is_none_is_refused(largest):
    with pytest.raises(ValueError, match="magnitude"):
        dfp.fractional_length(largest, 8)


def test_the_two_clamp_rules_differ_in_the_lowest_code():
    assert dfp.quantize_dfp([-1.0, 1.0], 7, "i8", "full").tolist() == [-128, 127]
    assert dfp.quantize_dfp([-1.0, 1.0], 7, "i8", "symmetric").tolist() == [-127, 127]
    assert dfp.dfp_limits("i16", "symmetric") == (-32767, 32767)
    with pytest.raises(ValueError, match="signed"):
        dfp.dfp_limits("u8", "full")


def test_ties_go_to_the_even_code():
    assert dfp.quantize_dfp([0.25, 0.75, -0.25, -0.75, 1.25], 1, "i8").tolist() == [0, 2, 0, -2, 2]


@given(code=st.integers(-32768, 32767), length=st.integers(-8, 24))
def test_every_code_survives_the_round_trip(code, length):
    reals = dfp.dequantize_dfp(np.array([code]), length)
    assert dfp.quantize_dfp(reals, length, "i16").tolist() == [code]
    assert reals[0] == code * dfp.dfp_scale(length)
