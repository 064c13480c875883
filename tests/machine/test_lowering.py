"""From scales to multipliers, shifts and bounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from machine_harness import PROFILES, apply_requantization, tensor

from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.ir.groups import Clamp
from npudsl.machine.lowering import (
    lower_add,
    lower_average_pool,
    lower_concat,
    lower_matmul,
    lower_mul,
    lower_quantize,
    lower_rescale,
    lower_resize_linear,
    lower_weighted,
    output_bounds,
    span,
    worst_accumulator,
)
from npudsl.numerics.requantize import multiplier, real_multiplier


def weight(type="i8", scales=(0.02,), shape=(4, 3, 3, 3), zero_point=0, fractional_length=None):
    scheme = "dfp" if fractional_length is not None else "asym"
    return WeightQuantization("w", "l", shape, type, scheme, tuple(scales), zero_point, fractional_length)


def real_of(requantize, index=0):
    return float(Fraction(requantize.multipliers[index]) / Fraction(2) ** requantize.shifts[index])


def test_bounds_are_the_type_s_narrowed_by_the_activation():
    target = tensor("y", (1,), "u8", 0.05, 20)
    assert output_bounds(target) == (0, 255)
    assert output_bounds(target, Clamp(0.0, None)) == (20, 255)
    assert output_bounds(target, Clamp(0.0, 6.0)) == (20, 140)
    assert output_bounds(target, Clamp(-100.0, 100.0)) == (0, 255)
    assert output_bounds(target, Clamp(50.0, 60.0)) == (255, 255)
    assert output_bounds(target, Clamp(float("-inf"), float("inf"))) == (0, 255)
    assert output_bounds(target, Clamp(None, -10.0)) == (0, 0)


def test_symmetric_saturation_leaves_out_the_lowest_code():
    assert output_bounds(tensor("y", (1,), "i8", fractional_length=4, saturation="symmetric")) == (-127, 127)
    assert output_bounds(tensor("y", (1,), "i16", fractional_length=4)) == (-32768, 32767)


@pytest.mark.parametrize("profile", PROFILES)
def test_weighted_layers_have_one_multiplier_per_weight_scale(profile):
    source, target = tensor("x", (1, 3, 8, 8), "u8", 0.1, 3), tensor("y", (1, 4, 8, 8), "u8", 0.3, 9)
    scales = (0.01, 0.02, 0.005, 0.5)
    found = lower_weighted(profile, "conv", source, weight(scales=scales), target)
    for index, scale in enumerate(scales):
        real = real_multiplier(profile, 0.1, scale, 0.3, per_channel=True)
        assert (found.multipliers[index], found.shifts[index]) == multiplier(real, profile)
        assert real_of(found, index) == pytest.approx(0.1 * scale / 0.3, rel=1.3e-4)
    assert (found.zero_point, found.low, found.high) == (9, 0, 255)


@pytest.mark.parametrize("profile", PROFILES)
def test_fixed_point_layers_are_pure_shifts_under_every_profile(profile):
    source = tensor("x", (1, 3), "i16", fractional_length=9)
    target = tensor("y", (1, 4), "i16", fractional_length=8)
    found = lower_weighted(profile, "linear", source, weight("i16", (2.0**-8,), (4, 3), 0, 8), target)
    assert (found.multipliers, found.shifts) == ((1,), (9,))
    product = lower_mul(profile, source, source, target)
    assert (product.multipliers, product.shifts) == ((1,), (10,))
    moved = lower_rescale(profile, target, source)
    assert (moved.multipliers, moved.shifts) == ((1,), (-1,))
    first, second = lower_add(profile, source, target, target)
    assert (first.multipliers[0], second.multipliers[0], first.shifts[0]) == (1, 2, 1)
    first, second = lower_add(profile, target, source, source)
    assert (first.multipliers[0], second.multipliers[0], first.shifts[0]) == (2, 1, 0)


def test_fixed_point_shifts_out_of_reach_leave_nothing_or_are_refused():
    source, tiny = tensor("x", (1, 3), "i16", fractional_length=50), tensor("t", (1, 3), "i16", fractional_length=-30)
    found = lower_rescale("exact", source, tiny)
    assert (found.multipliers, found.shifts) == ((0,), (0,))
    with pytest.raises(ValueError, match="left shift"):
        lower_rescale("exact", tiny, source)


def test_a_fixed_point_tensor_meets_an_affine_one_by_its_scale():
    source, target = tensor("x", (1, 3), "i16", fractional_length=9), tensor("y", (1, 3), "u8", 0.03, 7)
    assert real_of(lower_rescale("exact", source, target)) == pytest.approx(2.0**-9 / 0.03, rel=1e-9)


@pytest.mark.parametrize("profile", PROFILES)
def test_equal_scales_are_the_identity_under_every_profile(profile):
    source, target = tensor("x", (1, 3), "u8", 0.3, 7), tensor("y", (1, 3), "u8", 0.3, 9)
    for found in (lower_rescale(profile, source, target), *lower_concat(profile, [source, source], target)):
        assert (found.multipliers, found.shifts) == ((1,), (0,))
    first, second = lower_add(profile, source, source, target)
    assert (first.multipliers, second.multipliers, first.shifts) == ((1,), (1,), (0,))
    assert lower_resize_linear(profile, source, target).multipliers == (1,)
    assert lower_resize_linear(profile, source, target).shifts == (22,)


@pytest.mark.parametrize("profile", PROFILES)
def test_added_operands_share_shift_and_bounds(profile):
    first, second = tensor("a", (1, 3), "u8", 0.3, 7), tensor("b", (1, 3), "u8", 0.001, 9)
    target = tensor("y", (1, 3), "u8", 0.31, 100)
    left, right = lower_add(profile, first, second, target, Clamp(0.0, None))
    assert (left.shifts, left.rounding, left.low, left.high) == (right.shifts, right.rounding, 100, 255)
    assert real_of(left) == pytest.approx(0.3 / 0.31, rel=1.3e-4)
    assert real_of(right) == pytest.approx(0.001 / 0.31, abs=2.0 ** -left.shifts[0] * 1.01)


def test_wide_accumulators_get_a_narrower_multiplier_that_still_fits():
    source, target = tensor("x", (1, 5000), "i16", 1e-4, 100), tensor("y", (1, 4), "i16", 1e-3, -100)
    quantized = weight("i16", (1e-5,), (4, 5000))
    found = lower_weighted("exact", "linear", source, quantized, target)
    largest = worst_accumulator(source, quantized)
    assert largest > 2**32
    assert largest * found.multipliers[0] < 2**63
    assert real_of(found) == pytest.approx(1e-4 * 1e-5 / 1e-3, rel=1e-4)
    tight = lower_weighted("exact", "linear", source, quantized, target, largest=2**31)
    assert tight.multipliers[0].bit_length() == 31


@pytest.mark.parametrize("profile", PROFILES)
def test_products_and_means_fit_64_bits_for_every_type(profile):
    wide = tensor("x", (1, 2000), "i16", 1e-4, -32768)
    narrow = tensor("y", (1, 2000), "u8", 1e-2, 3)
    assert span(wide) == 65535
    for first, second in ((wide, wide), (narrow, wide), (narrow, narrow)):
        assert span(first) * span(second) * lower_mul(profile, first, second, wide).multipliers[0] < 2**63
        terms = 2000 * span(first) * span(second)
        assert terms * lower_matmul(profile, first, second, wide).multipliers[0] < 2**63
    (mean,) = lower_average_pool(profile, wide, narrow, (4096,))
    assert 4096 * span(wide) * mean.multipliers[0] < 2**63


def test_the_divisor_is_in_the_multiplier():
    source, target = tensor("x", (1, 3), "u8", 0.3, 7), tensor("y", (1, 3), "u8", 0.1, 9)
    found = lower_average_pool("exact", source, target, (4, 6, 9))
    assert [real_of(item) for item in found] == pytest.approx([0.3 / 0.1 / n for n in (4, 6, 9)], rel=1e-9)


@pytest.mark.parametrize("divisor", [2, 4, 16, 64])
def test_a_mean_over_a_power_of_two_keeps_its_ties(divisor):
    source, target = tensor("x", (1, 3), "i8", 0.1, 0), tensor("y", (1, 3), "i8", 0.1, 0)
    (part,) = lower_average_pool("exact", source, target, (divisor,))
    sums = np.arange(-128 * divisor, 127 * divisor)
    assert np.array_equal(apply_requantization(sums, part), np.rint(sums / divisor))


def test_quantize_has_bounds_and_zero_point_only():
    found = lower_quantize("exact", tensor("y", (1,), "i8", 0.1, -5))
    assert (found.multipliers, found.shifts, found.zero_point, found.low, found.high) == ((1,), (0,), -5, -128, 127)
