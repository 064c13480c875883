"""Element-wise operations and look-ups on the machine."""

from __future__ import annotations

import numpy as np
import pytest
from machine_harness import PROFILES, apply_requantization, offsets, random_codes, run_one, tensor

from npudsl.artifacts.quantized_model import Requantization
from npudsl.ir.groups import Clamp
from npudsl.machine.lowering import lower_add, lower_concat, lower_mul, lower_rescale
from npudsl.machine.tables import table_for

SHAPES = [((2, 3, 4, 5), (2, 3, 4, 5)), ((2, 3, 4, 5), (3, 1, 1)), ((1, 5), (2, 3, 4, 5)), ((2, 3, 1, 5), (2, 1, 4, 1))]


def slow_sum(a, b, first, second, parts, sign):
    """The products added as integers, then shifted and rounded once."""
    total = offsets(a, first) * parts[0].multipliers[0] + sign * offsets(b, second) * parts[1].multipliers[0]
    one = parts[0]
    return apply_requantization(
        total, Requantization((1,), one.shifts, one.rounding, one.zero_point, one.low, one.high)
    )


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("operation", ["add", "sub"])
@pytest.mark.parametrize("type", ["u8", "i8", "i16"])
def test_sums_equal_integer_arithmetic(shapes, operation, type):
    generator = np.random.default_rng(0)
    first, second = tensor("a", shapes[0], type, 0.031, 12), tensor("b", shapes[1], type, 0.0047, 90)
    target = tensor("y", (2, 3, 4, 5), type, 0.037, 20)
    parts = lower_add("exact", first, second, target, operation=operation)
    codes = random_codes(generator, first), random_codes(generator, second)
    found = run_one(operation, [first, second], target, codes, {}, {}, parts)
    assert np.array_equal(found, slow_sum(*codes, first, second, parts, 1 if operation == "add" else -1))


@pytest.mark.parametrize("profile", PROFILES)
def test_sums_follow_the_profile(profile):
    generator = np.random.default_rng(1)
    first, second = tensor("a", (1, 4000), "u8", 0.031, 12), tensor("b", (1, 4000), "u8", 0.0247, 90)
    target = tensor("y", (1, 4000), "u8", 0.04, 20)
    parts = lower_add(profile, first, second, target, Clamp(0.0, None))
    codes = random_codes(generator, first), random_codes(generator, second)
    found = run_one("add", [first, second], target, codes, {}, {}, parts)
    assert np.array_equal(found, slow_sum(*codes, first, second, parts, 1))
    real = 0.031 * offsets(codes[0], first) + 0.0247 * offsets(codes[1], second)
    exact = np.clip(np.rint(real / 0.04) + 20, 20, 255)
    assert abs(found - exact).max() <= 1


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("operation", ["sub", "mul"])
def test_a_constant_operand_stands_where_it_is_said_to_stand(operation, position):
    generator = np.random.default_rng(2)
    source, constant = tensor("x", (2, 3, 4), "u8", 0.02, 100), tensor("c", (3, 1), "i8", 0.05, -7)
    target = tensor("y", (2, 3, 4), "i8", 0.06, 5)
    codes, operand = random_codes(generator, source, stack=2), random_codes(generator, constant)
    order = [(codes, source), (operand, constant)] if position == 1 else [(operand, constant), (codes, source)]
    (a, first), (b, second) = order
    attributes = {"operand_zero_point": -7, "operand_position": position}
    if operation == "mul":
        parts = (lower_mul("exact", first, second, target),)
        expected = apply_requantization(offsets(a, first) * offsets(b, second), parts[0])
    else:
        parts = lower_add("exact", first, second, target, operation="sub")
        expected = slow_sum(a, b, first, second, parts, -1)
    found = run_one(operation, [source], target, [codes], attributes, {"operand": operand}, parts)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("type", ["u8", "i16"])
def test_products_equal_integer_arithmetic(shapes, type):
    generator = np.random.default_rng(3)
    first, second = tensor("a", shapes[0], type, 0.03, 12), tensor("b", shapes[1], type, 0.02, 200)
    target = tensor("y", (2, 3, 4, 5), type, 0.09, 20)
    requantize = lower_mul("exact", first, second, target)
    codes = random_codes(generator, first), random_codes(generator, second)
    found = run_one("mul", [first, second], target, codes, {}, {}, requantize)
    assert np.array_equal(found, apply_requantization(offsets(codes[0], first) * offsets(codes[1], second), requantize))


def test_long_tensors_are_worked_on_in_blocks():
    generator = np.random.default_rng(4)
    first, second = tensor("a", (1, 100_003), "u8", 0.03, 12), tensor("b", (1, 100_003), "u8", 0.02, 20)
    target = tensor("y", (1, 100_003), "u8", 0.05, 3)
    parts = lower_add("exact", first, second, target)
    codes = random_codes(generator, first), random_codes(generator, second)
    found = run_one("add", [first, second], target, codes, {}, {}, parts)
    assert np.array_equal(found, slow_sum(*codes, first, second, parts, 1))


@pytest.mark.parametrize("types", [("u8", "u8"), ("i8", "u8"), ("u8", "i16"), ("i16", "i8")])
@pytest.mark.parametrize("profile", ["exact", "tflite", "vip16", "rk15"])
def test_rescale_equals_the_definition_for_every_code(types, profile):
    source, target = tensor("x", (1, 256), types[0], 0.07, 3), tensor("y", (1, 256), types[1], 0.011, 9)
    requantize = lower_rescale(profile, source, target, Clamp(0.0, 6.0))
    codes = random_codes(np.random.default_rng(5), source, stack=9)
    found = run_one("rescale", [source], target, [codes], {}, {}, requantize)
    assert np.array_equal(found, apply_requantization(offsets(codes, source), requantize))


@pytest.mark.parametrize("profile", PROFILES)
def test_rescale_between_equal_quantizations_is_the_identity(profile):
    source, target = tensor("x", (1, 256), "u8", 0.07, 3), tensor("y", (1, 256), "u8", 0.07, 3)
    codes = np.arange(256, dtype=np.uint8)[None]
    found = run_one("rescale", [source], target, [codes], {}, {}, lower_rescale(profile, source, target))
    assert np.array_equal(found, codes)


@pytest.mark.parametrize(("source_type", "target_type"), [("u8", "u8"), ("i8", "u8"), ("u8", "i16"), ("i16", "i16")])
def test_a_table_is_looked_up_from_the_lowest_code(source_type, target_type):
    source, target = tensor("x", (1, 4, 50), source_type, 0.001, 3), tensor("y", (1, 4, 50), target_type, 1 / 256, -9)
    table = table_for("Sigmoid", {}, source, target)
    codes = random_codes(np.random.default_rng(6), source, stack=2)
    found = run_one("table", [source], target, [codes], {}, {"table": table})
    lowest = 0 if source_type == "u8" else -128 if source_type == "i8" else -32768
    assert np.array_equal(found, table[codes.astype(int) - lowest])


def test_a_strided_input_is_looked_up_like_any_other():
    source, target = tensor("x", (1, 3, 5), "i8", 0.05, 3), tensor("y", (1, 3, 5), "i8", 0.02, -9)
    table = table_for("Tanh", {}, source, target)
    codes = np.asfortranarray(random_codes(np.random.default_rng(7), source)[0])[None]
    found = run_one("table", [source], target, [codes], {}, {"table": table})
    assert np.array_equal(found, table[codes.astype(int) + 128])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_rescales_every_input_by_itself(axis):
    generator = np.random.default_rng(8)
    shapes = [[2, 3, 4], [2, 3, 4]]
    shapes[1][axis] = 7
    result = list(shapes[0])
    result[axis] += 7
    first, second = tensor("a", shapes[0], "u8", 0.05, 3), tensor("b", shapes[1], "i8", 0.02, -9)
    target = tensor("y", result, "u8", 0.05, 3)
    parts = lower_concat("exact", [first, second], target)
    codes = random_codes(generator, first), random_codes(generator, second)
    found = run_one("concat", [first, second], target, codes, {"axis": axis}, {}, parts)
    expected = np.concatenate([codes[0], apply_requantization(offsets(codes[1], second), parts[1])], axis=axis)
    assert np.array_equal(found, expected)
