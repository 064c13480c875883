"""Scale, zero point, codes and bias of affine quantization."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npudsl.numerics import affine
from npudsl.numerics.types import element_type

REALS = st.floats(-1e6, 1e6, allow_nan=False)
INTEGER_TYPES = st.sampled_from(["u8", "i8", "i16"])


@pytest.mark.parametrize(
    ("low", "high", "narrow", "scale", "zero_point"),
    [
        (-2.880463123321533, 2.7051823139190674, True, 0.0219907301, 132),
        (-2.880463123321533, 2.7051823139190674, False, 0.0219044919, 132),
        (-1.0, 0.9765625, False, 0.007751225493848324, 129),
    ],
)
def test_scales_and_zero_points_printed_in_vendor_guides_come_out(low, high, narrow, scale, zero_point):
    found, code = affine.affine_parameters(low, high, "u8", narrow_range=narrow)
    assert found == pytest.approx(scale, rel=5e-9)
    assert code == zero_point


def test_signed_zero_points_are_counted_from_the_lowest_code():
    assert affine.affine_parameters(0.0, 255.0, "i8") == (1.0, -128)
    assert affine.affine_parameters(-65535.0, 0.0, "i16") == (1.0, 32767)


def test_a_range_of_zeros_gets_scale_one_and_the_lowest_code():
    assert affine.affine_parameters(0.0, 0.0, "i8") == (1.0, -128)
    assert affine.affine_parameters(0.0, 0.0, "u8") == (1.0, 0)
    assert affine.symmetric_parameters(0.0, 0.0, "i8") == (1.0, 0)


def test_a_range_too_small_for_a_float32_scale_counts_as_zeros():
    assert affine.affine_parameters(-1e-42, 1e-42, "u8") == (1.0, 0)


def test_a_range_without_zero_is_extended_to_it():
    assert affine.affine_parameters(2.0, 5.1, "u8") == affine.affine_parameters(0.0, 5.1, "u8")
    assert affine.affine_parameters(-5.1, -2.0, "u8") == affine.affine_parameters(-5.1, 0.0, "u8")


@pytest.mark.parametrize(("low", "high"), [(0.0, float("inf")), (float("nan"), 1.0), (1.0, -1.0), (-1e308, 1e308)])
def test_a_range_that_is_none_is_refused(low, high):
    with pytest.raises(ValueError, match="range"):
        affine.affine_parameters(low, high, "u8")


@given(low=REALS, high=REALS, type_name=INTEGER_TYPES, narrow=st.booleans())
def test_zero_has_a_code_of_its_own(low, high, type_name, narrow):
    scale, zero_point = affine.affine_parameters(min(low, high), max(low, high), type_name, narrow)
    codes = affine.quantize(0.0, scale, zero_point, type_name, narrow_range=narrow)
    assert codes == zero_point
    assert affine.dequantize(codes, scale, zero_point) == 0.0


@given(low=REALS, high=REALS, share=st.floats(0, 1), type_name=INTEGER_TYPES)
def test_the_error_inside_the_range_is_at_most_half_a_step_and_the_rounding_of_the_zero_point(
    low, high, share, type_name
):
    low, high = affine.range_with_zero(min(low, high), max(low, high))
    scale, zero_point = affine.affine_parameters(low, high, type_name)
    element = element_type(type_name)
    value = low + share * (high - low)
    representable = np.clip(value, (element.minimum - zero_point) * scale, (element.maximum - zero_point) * scale)
    found = affine.dequantize(affine.quantize(value, scale, zero_point, type_name), scale, zero_point)
    tolerance = scale * 0.5 * (1 + 1e-9)
    assert abs(found - representable) <= tolerance
    assert abs(value - representable) <= tolerance


def test_ties_go_to_the_even_code_and_infinities_saturate():
    values = [0.5, 1.5, 2.5, -0.5, -1.5, np.inf, -np.inf]
    assert affine.quantize(values, 1.0, 10, "u8").tolist() == [10, 12, 12, 10, 8, 255, 0]


def test_a_value_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="not a number"):
        affine.quantize([1.0, float("nan")], 1.0, 0, "u8")


def test_codes_are_found_by_division_not_by_a_reciprocal():
    scale, value = 0.0036, 0.0036 * 2.5
    assert affine.quantize(value, scale, 0, "u8") == np.rint(value / scale)


def test_float_inputs_published_for_a_scale_give_the_published_codes():
    values = np.float32([0.8458, 0.6214, 0.4666, 0.6065, 0.8895, 0.1535])
    assert affine.quantize(values, 0.0036, 0, "u8").tolist() == [235, 173, 130, 168, 247, 43]


def test_channel_scales_are_symmetric_and_a_zero_channel_has_scale_one():
    weights = np.array([[[-2.54, 1.0]], [[0.0, 0.0]], [[0.5, 1.27]]], dtype=np.float32)
    scales = affine.channel_scales(weights)
    assert scales == pytest.approx([0.02, 1.0, 0.01])
    assert affine.quantize(weights, scales, 0, "i8", axis=0).reshape(-1).tolist() == [-127, 50, 0, 0, 50, 127]


def test_one_channel_is_a_channel():
    assert affine.channel_scales(np.array([[3.0, -12.7]])) == pytest.approx([0.1])


def test_symmetric_parameters_put_the_largest_magnitude_on_the_last_code():
    assert affine.symmetric_parameters(-12.7, 3.0, "i8") == (pytest.approx(0.1), 0)
    assert affine.symmetric_parameters(-1.0, 3.2767, "i16") == (pytest.approx(1e-4), 0)
    assert affine.symmetric_parameters(-1.0, 12.7, "u8") == (pytest.approx(0.1), 128)


def test_bias_has_the_product_scale_and_is_rounded_to_even():
    codes = affine.quantize_bias([1.0, 0.25, -0.75], 0.5, [1.0, 1.0, 1.0])
    assert codes.tolist() == [2, 0, -2]
    assert codes.dtype == np.int32
    assert affine.quantize_bias([1.0], 2.0**-20, [2.0**-20], bits=64).dtype == np.int64


def test_a_bias_that_does_not_fit_names_the_channel():
    with pytest.raises(ValueError, match="bias 1 has code"):
        affine.quantize_bias([0.0, 1.0], 1e-5, [1.0, 1e-6])


def test_scales_are_raised_only_where_the_bias_would_not_fit():
    scales = affine.scales_for_bias(np.array([1e-3, 1e-12]), np.array([1.0, 1.0]), 0.02)
    assert scales[0] == 1e-3
    assert abs(int(affine.quantize_bias([1.0, 1.0], 0.02, scales)[1])) == affine.BIAS_LIMIT
    assert affine.scales_for_bias(np.array([1e-12]), np.array([0.5, -1.0]), 0.02) == pytest.approx([1 / 0.02 / 2**30])


@given(value=st.floats(-1e30, 1e30), digits=st.sampled_from([6, 8]))
def test_a_rounded_number_survives_being_written_and_read(value, digits):
    rounded = affine.round_to_digits(value, digits)
    assert float(f"{rounded:.{digits}g}") == rounded
    assert affine.round_to_digits(rounded, digits) == rounded
    assert rounded == pytest.approx(value, rel=10.0 ** (1 - digits), abs=0)


def test_ranges_of_sixteen_bit_types_are_written_with_eight_digits():
    assert [affine.significant_digits(name) for name in ("u8", "i8", "i16", "f32")] == [6, 6, 8, 8]


def test_float_types_have_no_codes():
    with pytest.raises(ValueError, match="f32"):
        affine.affine_parameters(-1, 1, "f32")


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        affine.quantize([1.0], scale, 0, "u8")
