"""Multipliers of the arithmetic profiles, and what is said about each."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npudsl.numerics.profiles import PROFILES, fidelity, profile_named, rounding_of
from npudsl.numerics.requantize import common_multipliers, multiplier, real_multiplier

REALS = st.floats(1e-8, 1e4)


def float32_fields(real):
    """Exponent and mantissa bits of a float32, as a driver reads them."""
    (bits,) = struct.unpack("<I", struct.pack("<f", real))
    return bits >> 23 & 0xFF, bits & 0x7FFFFF


@given(real=REALS)
def test_vip16_keeps_the_top_fifteen_mantissa_bits_and_the_hidden_one(real):
    exponent, mantissa = float32_fields(real)
    assert multiplier(real, "vip16") == (1 << 15 | mantissa >> 8, 15 + 127 - exponent)


@given(real=REALS)
def test_vip24_keeps_the_whole_mantissa(real):
    exponent, mantissa = float32_fields(real)
    assert multiplier(real, "vip24") == (1 << 23 | mantissa, 23 + 127 - exponent)


@given(real=REALS)
def test_rk15_keeps_fourteen_mantissa_bits_and_adds_one(real):
    exponent, mantissa = float32_fields(real)
    assert multiplier(real, "rk15") == ((1 << 14 | mantissa >> 9) + 1, 14 + 127 - exponent)


@given(real=REALS)
@pytest.mark.parametrize("profile", ["exact", "tflite", "nna"])
def test_wide_profiles_round_to_31_bits(profile, real):
    factor, shift = multiplier(real, profile)
    assert 2**30 <= factor < 2**31
    assert abs(Fraction(factor) / Fraction(2) ** shift - Fraction(real)) <= Fraction(1, 2) / Fraction(2) ** shift


def test_a_multiplier_that_rounds_up_to_the_next_power_of_two_stays_in_31_bits():
    assert multiplier(1.0 - 2.0**-40, "exact") == (2**30, 30)


def test_real_numbers_out_of_reach_of_the_shift_lose_bits_or_are_refused():
    assert multiplier(2.0**-40, "exact") == (2**22, 62)
    assert multiplier(2.0**-70, "exact") == (0, 62)
    assert multiplier(2.0**-40, "tflite") == (0, 0)
    assert multiplier(2.0**61, "exact") == (2**30, -31)
    with pytest.raises(ValueError, match="left shift"):
        multiplier(2.0**62, "exact")


@pytest.mark.parametrize("real", [0.0, -1.0, float("nan"), float("inf")])
def test_a_multiplier_of_no_positive_number_is_refused(real):
    with pytest.raises(ValueError, match="positive"):
        multiplier(real, "exact")


@given(real=REALS, width=st.integers(8, 40))
def test_a_narrow_accumulator_budget_narrows_the_multiplier(real, width):
    factor, shift = multiplier(real, "exact", width)
    assert factor <= 2 ** min(width, 31)
    assert factor / 2.0**shift == pytest.approx(real, rel=2.0 ** -(min(width, 31) - 1))


@given(first=st.floats(1e-3, 1e3), second=st.floats(1e-3, 1e3), profile=st.sampled_from(sorted(PROFILES)))
def test_two_operands_share_one_shift_and_the_larger_has_the_full_width(first, second, profile):
    factors, shift = common_multipliers((first, second), profile)
    assert multiplier(max(first, second), profile) == (max(factors), shift)
    for factor, real in zip(factors, (first, second), strict=True):
        assert abs(factor / 2.0**shift - real) <= 1.01 / 2.0**shift + real * 2.0**-23


def test_equal_operands_get_equal_multipliers():
    factors, _ = common_multipliers((0.7, 0.7), "rk15")
    assert factors[0] == factors[1]


def test_the_scale_product_is_formed_in_the_precision_of_the_profile():
    scales = 0.1, 0.3, 0.7
    single = np.float32(0.1) * np.float32(0.3)
    assert real_multiplier("exact", *scales) == 0.1 * 0.3 / 0.7
    assert real_multiplier("vip16", *scales) == float(np.float32(single / np.float32(0.7)))
    assert real_multiplier("tflite", *scales) == float(single) / float(np.float32(0.7))
    product = float(np.float32(0.1)) * float(np.float32(0.3))
    assert real_multiplier("tflite", *scales, per_channel=True) == product / float(np.float32(0.7))


def test_roundings_are_those_of_the_profile_except_where_a_runtime_is_known_to_differ():
    assert rounding_of("exact", "conv") == "half_even"
    assert rounding_of("tflite", "conv") == "double"
    assert rounding_of("tflite", "linear") == "half_up"
    assert rounding_of("tflite", "average_pool") == "half_away"
    assert rounding_of("rk15", "conv") == "half_away"


def test_an_unknown_profile_is_refused_with_the_names():
    with pytest.raises(ValueError, match="exact, tflite, vip16, vip24, rk15, nna"):
        profile_named("vip8")


def operations(repository: Path) -> list[str]:
    """The first column of the table in the description of the integer program."""
    rows = [
        line for line in (repository / "docs/integer-program.md").read_text().splitlines() if line.startswith("| `")
    ]
    return [word.strip("` ") for row in rows for word in row.split("|")[1].split(",") if "(" not in word]


def test_every_operation_has_a_label_and_a_source_under_every_profile(repository):
    for profile in PROFILES:
        for operation in operations(repository):
            row = fidelity(profile, operation)
            assert row.label in ("exact", "documented", "inferred", "assumed")
            assert row.source


def test_only_what_was_compared_is_called_exact():
    assert fidelity("tflite", "conv").label == "exact"
    assert fidelity("tflite", "add").label == "assumed"
    assert fidelity("vip16", "conv").label == "inferred"
    assert fidelity("vip16", "conv", fixed_point=True).label == "documented"
    assert fidelity("vip16", "transpose").label == "exact"
    assert fidelity("nna", "conv").label == "assumed"
    assert fidelity("vip16", "float").label == "assumed"
