"""Quotients, extremes, slopes, sums of rounded operands, lines and transposed windows against sums written out."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from machine_harness import apply_requantization, offsets, random_codes, run_one, tensor

from npudsl.artifacts.quantized_model import Requantization, WeightQuantization
from npudsl.machine.kernels.reductions import integer_logarithm, logarithm_table
from npudsl.machine.lowering import lower_weighted
from npudsl.machine.pair_lowering import lower_div, lower_extreme, lower_log_softmax, lower_prelu, lower_rounded_add
from npudsl.machine.tables import softmax_exponential
from npudsl.numerics.division import BEYOND, rounded_quotient

generator = np.random.default_rng(3)

INTEGERS = st.one_of(st.integers(-(2**61), 2**61), st.integers(-300, 300))


def rounded(value, rounding):
    """A fraction to the nearest integer."""
    floor = math.floor(value)
    rest = value - floor
    if rest != Fraction(1, 2):
        return floor + (rest > Fraction(1, 2))
    return {"half_even": floor + (floor & 1), "half_away": floor + (value > 0), "half_up": floor + 1}[rounding]


@settings(max_examples=300, deadline=None)
@given(INTEGERS, INTEGERS, st.sampled_from(["half_even", "half_away", "half_up"]))
def test_a_quotient_is_rounded_once(numerator, denominator, rounding):
    found = int(rounded_quotient(np.array([numerator]), np.array([denominator]), rounding)[0])

    if denominator:
        assert found == rounded(Fraction(numerator, denominator), rounding)
    else:
        assert found == (BEYOND if numerator > 0 else -BEYOND if numerator < 0 else 0)


def test_a_quotient_is_not_rounded_twice():
    with pytest.raises(ValueError, match="rounding 'double' is none of"):
        rounded_quotient(np.array([1]), np.array([2]), "double")


def test_published_quotients():
    """TIM-VX src/tim/vx/ops/div_test.cc: u8, scale 1 by scale 1 to scale 0.5, and halves that go to even."""
    first, second, target = tensor("a", (5,), "u8", 1.0), tensor("b", (5,), "u8", 1.0), tensor("y", (5,), "u8", 0.5)
    a, b = np.full(5, 255, np.uint8), np.array([1, 2, 3, 0, 255], np.uint8)
    rule = lower_div("vip16", first, second, target)
    assert run_one("div", [first, second], target, [a, b], requantize=rule).tolist() == [255, 255, 170, 255, 2]

    whole = tensor("y", (3,), "u8", 1.0)
    first, second = tensor("a", (3,), "u8", 1.0), tensor("b", (3,), "u8", 1.0)
    a, b = np.array([1, 3, 5], np.uint8), np.full(3, 2, np.uint8)
    rule = lower_div("vip16", first, second, whole)
    assert run_one("div", [first, second], whole, [a, b], requantize=rule).tolist() == [0, 2, 2]


@pytest.mark.parametrize("profile", ["exact", "tflite", "vip16", "rk15"])
@pytest.mark.parametrize("types", [("u8", "i8", "i8"), ("i16", "u8", "i16"), ("i16", "i16", "u8")], ids="-".join)
def test_a_quotient_is_float_division_within_the_width_of_the_multiplier(types, profile):
    first, second = (
        tensor("a", (500,), types[0], 0.031, 5),
        tensor("b", (500,), types[1], 0.07, -3 if types[1] != "u8" else 9),
    )
    target = tensor("y", (500,), types[2], 0.9 if types[2] == "i16" else 3.0, 7)
    a, b = random_codes(generator, first), random_codes(generator, second)
    b[b == second.zero_point] += 1
    found = run_one("div", [first, second], target, [a, b], requantize=lower_div(profile, first, second, target))
    real = offsets(a, first) * first.scale / (offsets(b, second) * second.scale) / target.scale + target.zero_point
    limits = np.iinfo(found.dtype)

    close = {"exact": 0.501, "tflite": 0.501}.get(profile, 0.5 + np.abs(real - 7).max() * 2.0**-13)
    assert np.abs(found - np.clip(real, limits.min, limits.max)).max() <= close


def test_a_quotient_that_needs_too_many_bits_is_refused():
    first, second = tensor("a", (1,), "i16", 1e6), tensor("b", (1,), "i16", 1e-6)
    with pytest.raises(ValueError, match="its quotient needs"):
        lower_div("exact", first, second, tensor("y", (1,), "i16", 1e-3))


def test_fixed_point_numbers_are_divided_by_shifts():
    first, second, target = (
        tensor(name, (4,), "i8", fractional_length=length) for name, length in (("a", 3), ("b", 5), ("y", 4))
    )
    rule = lower_div("exact", first, second, target)

    assert (rule.multipliers, rule.shifts) == ((1,), (-6,))
    codes = run_one(
        "div",
        [first, second],
        target,
        [np.array([8, -8, 3, 0], np.int8), np.array([32, 64, 127, 0], np.int8)],
        requantize=rule,
    )
    assert codes.tolist() == [16, -8, 2, 0]


def test_extremes_are_those_of_the_rounded_operands():
    first, second = tensor("a", (3, 4), "u8", 0.05, 100), tensor("b", (4,), "i8", 0.02, -7)
    target = tensor("y", (3, 4), "u8", 0.03, 120)
    a, b = random_codes(generator, first), random_codes(generator, second)
    rules = lower_extreme("exact", first, second, target)
    for operation, pick in (("minimum", np.minimum), ("maximum", np.maximum)):
        found = run_one(operation, [first, second], target, [a, b], requantize=rules)
        expected = pick(
            apply_requantization(offsets(a, first), rules[0]), apply_requantization(offsets(b, second), rules[1])
        )
        assert np.array_equal(found, expected)


def test_a_constant_operand_of_an_extreme_is_requantized_too():
    source, constant = tensor("a", (3,), "u8", 0.5, 10), tensor("c", (3,), "i8", 0.25, 0)
    target = tensor("y", (3,), "u8", 0.5, 10)
    rules = lower_extreme("exact", constant, source, target)
    found = run_one(
        "maximum",
        [source],
        target,
        [np.array([10, 30, 50], np.uint8)],
        {"operand_zero_point": 0, "operand_position": 0},
        {"operand": np.array([4, 4, 4], np.int8)},
        rules,
    )
    assert found.tolist() == [12, 30, 50]


def test_slopes_count_for_negative_values_only():
    source, target = tensor("x", (2, 3, 4), "i8", 0.1, 4), tensor("y", (2, 3, 4), "i8", 0.07, -20)
    slope = tensor("s", (3, 1), "u8", 1 / 256, 3)
    x, slopes = random_codes(generator, source), random_codes(generator, slope)
    rules = lower_prelu("exact", source, slope, target)
    attributes = {"operand_zero_point": 3, "operand_position": 1}
    found = run_one("prelu", [source], target, [x], attributes, {"operand": slopes}, rules)
    values = offsets(x, source)
    expected = np.where(
        values >= 0,
        apply_requantization(values, rules[0]),
        apply_requantization(values * offsets(slopes, slope), rules[1]),
    )
    assert np.array_equal(found, expected)


def test_a_sum_of_rounded_operands_is_three_requantizations():
    first, second = tensor("a", (50,), "i8", 0.05, 3), tensor("b", (50,), "i8", 0.011, -9)
    target = tensor("y", (50,), "i8", 0.06, 1)
    a, b = random_codes(generator, first), random_codes(generator, second)
    rules = lower_rounded_add("tflite", first, second, target)
    found = run_one("rounded_sub", [first, second], target, [a, b], {"left_shift": 20}, requantize=rules)
    left, right = (
        apply_requantization(offsets(codes, item) << 20, rule)
        for codes, item, rule in ((a, first, rules[0]), (b, second, rules[1]))
    )
    assert np.array_equal(found, apply_requantization(left - right, rules[2]))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"axis": 1, "keepdims": True, "last": False}, [[1], [0]]),
        ({"axis": 1, "keepdims": True, "last": True}, [[3], [3]]),
    ],
)
def test_the_position_of_the_largest_code(attributes, expected):
    source, target = tensor("x", (2, 4), "i8", 0.1, 0), tensor("y", (2, 1), "u8", 1.0, 5)
    codes = np.array([[-3, 7, 2, 7], [-128, -128, -128, -128]], np.int8)

    assert (run_one("arg_max", [source], target, [codes], attributes) - 5).tolist() == expected


def test_the_position_of_the_smallest_code_of_the_widest_type():
    source, target = tensor("x", (3,), "i16", 0.1, 0), tensor("y", (), "u8", 1.0, 0)
    codes = np.array([32767, -32768, 0], np.int16)
    attributes = {"axis": 0, "keepdims": False, "last": False}

    assert run_one("arg_min", [source], target, [codes], attributes).tolist() == [1]


def test_smallest_codes_and_sums_over_axes():
    source = tensor("x", (2, 3, 4), "u8", 0.1, 7)
    x = random_codes(generator, source, stack=3)
    smallest = run_one("reduce_min", [source], tensor("y", (2, 4), "u8", 0.1, 7), [x], {"axes": [1], "keepdims": 0})
    assert np.array_equal(smallest, x.min(axis=1))
    rule = Requantization((3,), (4,), "half_even", 9, -128, 127)
    sums = run_one(
        "reduce_sum", [source], tensor("y", (2, 4), "i8", 0.5, 9), [x], {"axes": [1], "keepdims": 0}, {}, rule
    )
    assert np.array_equal(sums, apply_requantization(offsets(x, source).sum(axis=1), rule))


@settings(max_examples=200, deadline=None)
@given(st.integers(2**24, 2**44))
def test_the_integer_logarithm_is_a_logarithm(total):
    found = int(integer_logarithm(np.array([total]), logarithm_table().astype(np.int64))[0])

    assert abs(found / 2**16 - math.log(total / 2**24)) < 1.8e-5 + (total.bit_length() - 24) * 2e-6


@pytest.mark.parametrize("type_name", ["u8", "i8", "i16"])
def test_log_softmax_is_the_logarithm_of_the_softmax(type_name):
    source = tensor("x", (40, 30), type_name, 0.05 if type_name != "i16" else 0.0005, 3)
    target = tensor("y", (40, 30), type_name, 0.06 if type_name != "i16" else 0.001, 120)
    x = random_codes(generator, source)
    constants = {"exponential": softmax_exponential(source), "logarithm": logarithm_table()}
    rules = lower_log_softmax("exact", source, target)
    found = run_one("log_softmax", [source], target, [x], {"axis": 1}, constants, rules)
    reals = offsets(x, source) * source.scale
    reals = reals - reals.max(axis=1, keepdims=True)
    reals = reals - np.log(np.exp(reals).sum(axis=1, keepdims=True))
    limits = np.iinfo(found.dtype)

    expected = np.clip(reals / target.scale + 120, limits.min, limits.max)
    assert np.abs(found - expected).max() < (0.52 if type_name != "i16" else 0.6)


def test_a_repetition_has_more_axes_than_its_input():
    source, target = tensor("x", (2, 3), "u8", 0.1, 7), tensor("y", (2, 4, 3), "u8", 0.1, 7)
    x = random_codes(generator, source, stack=2)
    found = run_one("tile", [source], target, [x], {"repeats": [2, 2, 1]})

    assert np.array_equal(found, np.concatenate([np.tile(part, (2, 2, 1)) for part in x.reshape(2, 2, 3)]))


def scattered(values, weights, strides, dilations, pads, group, output):
    """Every input value adds its kernel, in Python integers."""
    batch, _, _, _ = values.shape
    outputs, inputs, kernel_height, kernel_width = weights.shape
    sums = np.zeros((batch, outputs, *output), np.int64)
    for n, c, y, x in np.ndindex(values.shape):
        first = c // inputs * (outputs // group)
        for o, i, j in np.ndindex(outputs // group, kernel_height, kernel_width):
            row = y * strides[0] + i * dilations[0] - pads[0]
            column = x * strides[1] + j * dilations[1] - pads[1]
            if 0 <= row < output[0] and 0 <= column < output[1]:
                sums[n, first + o, row, column] += values[n, c, y, x] * weights[first + o, c % inputs, i, j]
    return sums


@pytest.mark.parametrize(
    ("group", "strides", "dilations", "pads", "output"),
    [
        (1, (2, 2), (1, 1), (0, 0), (9, 8)),
        (2, (2, 1), (1, 2), (1, 2), (8, 5)),
        (2, (3, 3), (2, 1), (1, 0), (13, 13)),
        (1, (1, 1), (1, 1), (1, 1), (4, 4)),
    ],
)
def test_a_transposed_convolution_adds_every_kernel(group, strides, dilations, pads, output):
    source = tensor("x", (2, 4, 4, 4), "u8", 0.1, 90)
    codes = generator.integers(0, 256, (6, 4 // group, 3, 2)).astype(np.uint8)
    bias = generator.integers(-5000, 5000, 6).astype(np.int32)
    target = tensor("y", (2, 6, *output), "i8", 40.0, -5)
    x = random_codes(generator, source)
    scales = tuple(float(item) for item in generator.uniform(0.5, 2, 6))
    weight = WeightQuantization("w", "layer", codes.shape, "u8", "perchannel", scales, 77)
    rule = lower_weighted("exact", "conv_transpose", source, weight, target)
    attributes = {
        "strides": list(strides),
        "dilations": list(dilations),
        "pads": [*pads, 0, 0],
        "group": group,
        "weight_zero_point": 77,
    }
    found = run_one("conv_transpose", [source], target, [x], attributes, {"weight": codes, "bias": bias}, rule)
    sums = scattered(offsets(x, source), codes.astype(np.int64) - 77, strides, dilations, pads, group, output)

    assert np.array_equal(found, apply_requantization(sums + bias[:, None, None], rule, channel_axis=1))
