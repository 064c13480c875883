"""The machine under the ``exact`` profile against onnxruntime's quantized operators.

onnxruntime multiplies by a float32 scale, so a real result within 1e-7 of a tie may fall on the other side: differences
are at most one code, and at most one output in ten thousand. QLinearAdd rounds each operand to float32 first.
"""

from __future__ import annotations

import numpy as np
import pytest
from machine_harness import random_codes, run_one, tensor
from onnx_oracle import run_node, scalar

from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.machine.lowering import (
    lower_add,
    lower_average_pool,
    lower_concat,
    lower_global_average_pool,
    lower_mul,
    lower_weighted,
)
from npudsl.machine.pooling import average_pool_divisors, pool_windows
from npudsl.machine.tables import table_for
from npudsl.numerics.affine import quantize

SEVEN_BITS = (-64, 64)
"""Range of int8 weights: wider ones saturate inside x86 processors without VNNI."""


def quantization(tensor):
    """Scale and zero point as ONNX constants."""
    storage = {"u8": np.uint8, "i8": np.int8}[tensor.type]
    return scalar(f"{tensor.name}_scale", float(tensor.scale)), scalar(
        f"{tensor.name}_zero", storage(tensor.zero_point)
    )


def assert_same(found, expected, share=1e-4):
    difference = abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= share


def rounded_scale(value):
    """A scale that is a float32 number, as an ONNX file has it."""
    return float(np.float32(value))


@pytest.mark.parametrize("types", [("u8", "u8"), ("u8", "i8"), ("i8", "i8")])
@pytest.mark.parametrize("group", [1, 4])
def test_conv(types, group):
    generator = np.random.default_rng(0)
    source = tensor("x", (1, 4, 40, 40), types[0], rounded_scale(0.0213), 7)
    target = tensor("y", (1, 8, 20, 20), types[0], rounded_scale(0.31 / group), 11)
    per_channel = types[1] == "i8"
    zero_point = 0 if per_channel else 120
    low, high = SEVEN_BITS if per_channel else (0, 256)
    weights = generator.integers(low, high, (8, 4 // group, 3, 3)).astype(np.int8 if per_channel else np.uint8)
    scales = generator.uniform(0.002, 0.01, 8 if per_channel else 1).astype(np.float32)
    bias = generator.integers(-3000, 3000, 8).astype(np.int32)
    quantized = WeightQuantization("w", "l", weights.shape, types[1], "asym", tuple(map(float, scales)), zero_point)
    requantize = lower_weighted("exact", "conv", source, quantized, target)
    codes = random_codes(generator, source)
    pads, strides = [1, 1, 0, 0], [2, 2]
    attributes = {
        "strides": strides,
        "pads": pads,
        "dilations": [1, 1],
        "group": group,
        "weight_zero_point": zero_point,
    }
    found = run_one("conv", [source], target, [codes], attributes, {"weight": weights, "bias": bias}, requantize)
    (expected,) = run_node(
        "QLinearConv",
        [
            ("x", codes, False),
            *quantization(source),
            ("w", weights, True),
            ("w_scale", scales if per_channel else scales[0], True),
            ("w_zero", np.zeros(8, np.int8) if per_channel else np.uint8(zero_point), True),
            *quantization(target),
            ("bias", bias, True),
        ],
        {"strides": strides, "pads": pads, "group": group},
    )
    assert_same(found, expected)


def test_matmul_with_constant_weights():
    generator = np.random.default_rng(1)
    source = tensor("x", (300, 64), "u8", rounded_scale(0.02), 7)
    target = tensor("y", (300, 32), "u8", rounded_scale(0.4), 100)
    weights = generator.integers(0, 256, (64, 32)).astype(np.uint8)
    quantized = WeightQuantization("w", "l", (32, 64), "u8", "asym", (rounded_scale(0.011),), 130)
    requantize = lower_weighted("exact", "linear", source, quantized, target)
    codes = random_codes(generator, source)
    constants = {"weight": np.ascontiguousarray(weights.T), "bias": np.zeros(32, np.int32)}
    found = run_one("linear", [source], target, [codes], {"weight_zero_point": 130}, constants, requantize)
    weight_constants = [("w", weights, True), scalar("w_scale", 0.011), scalar("w_zero", np.uint8(130))]
    inputs = [("x", codes, False), *quantization(source), *weight_constants, *quantization(target)]
    assert_same(found, run_node("QLinearMatMul", inputs)[0])


@pytest.mark.parametrize("type", ["u8", "i8"])
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_sum_and_product(op, type):
    generator = np.random.default_rng(2)
    first = tensor("a", (1, 40000), type, rounded_scale(0.0317), 12)
    second = tensor("b", (1, 40000), type, rounded_scale(0.0211), -3 if type == "i8" else 140)
    target = tensor("y", (1, 40000), type, rounded_scale(0.047), 20)
    codes = random_codes(generator, first), random_codes(generator, second)
    inputs = [("a", codes[0], False), *quantization(first), ("b", codes[1], False), *quantization(second)]
    (expected,) = run_node(op, [*inputs, *quantization(target)], domain="com.microsoft")
    if op == "QLinearAdd":
        found = run_one("add", [first, second], target, codes, {}, {}, lower_add("exact", first, second, target))
    else:
        found = run_one("mul", [first, second], target, codes, {}, {}, lower_mul("exact", first, second, target))
    assert_same(found, expected, share=2e-3 if op == "QLinearAdd" else 1e-4)


@pytest.mark.parametrize("include", [0, 1])
def test_average_pool(include):
    generator = np.random.default_rng(3)
    window = {"kernel": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)}
    geometry = pool_windows((31, 31), **window)
    source = tensor("x", (1, 3, 31, 31), "u8", rounded_scale(0.0317), 12)
    target = tensor("y", (1, 3, *geometry.output), "u8", rounded_scale(0.0283), 20)
    counted = average_pool_divisors((31, 31), output=geometry.output, count_include_pad=bool(include), **window)
    codes = random_codes(generator, source)
    attributes = {"kernel": [3, 3], "strides": [2, 2], "pads": [1] * 4, "divisors": list(counted.divisors)}
    parts = lower_average_pool("exact", source, target, counted.divisors)
    found = run_one("average_pool", [source], target, [codes], attributes, {"divisor_index": counted.index}, parts)
    (expected,) = run_node(
        "QLinearAveragePool",
        [("x", codes, False), *quantization(source), *quantization(target)],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "count_include_pad": include},
        domain="com.microsoft",
    )
    assert_same(found, expected)


def test_global_average_pool():
    generator = np.random.default_rng(4)
    source = tensor("x", (4, 64, 7, 7), "u8", rounded_scale(0.0317), 12)
    target = tensor("y", (4, 64, 1, 1), "u8", rounded_scale(0.0083), 20)
    codes = generator.integers(0, 90, source.shape).astype(np.uint8)
    requantize = lower_global_average_pool("exact", source, target, 49)
    attributes = {"axes": [2, 3], "keepdims": True}
    found = run_one("global_average_pool", [source], target, [codes], attributes, {}, requantize)
    inputs = [("x", codes, False), *quantization(source), *quantization(target)]
    (expected,) = run_node("QLinearGlobalAveragePool", inputs, {"channels_last": 0}, domain="com.microsoft")
    assert_same(found, expected, share=0.005)


@pytest.mark.parametrize("op", ["Sigmoid", "LeakyRelu"])
@pytest.mark.parametrize("type", ["u8", "i8"])
def test_functions_by_table(op, type):
    lowest = 0 if type == "u8" else -128
    codes = np.arange(lowest, lowest + 256).astype(np.uint8 if type == "u8" else np.int8)[None]
    source = tensor("x", (1, 256), type, rounded_scale(0.0417), lowest + 120)
    target = tensor("y", (1, 256), type, rounded_scale(0.0043 if op == "Sigmoid" else 0.0391), lowest + 60)
    attributes = {"alpha": 0.125} if op == "LeakyRelu" else {}
    inputs = [("x", codes, False), *quantization(source), *quantization(target)]
    (expected,) = run_node(f"QLinear{op}", inputs, attributes, domain="com.microsoft")
    found = run_one("table", [source], target, [codes], {}, {"table": table_for(op, attributes, source, target)})
    assert np.array_equal(found, expected)


def test_concat():
    generator = np.random.default_rng(5)
    first = tensor("a", (2, 300), "u8", rounded_scale(0.0317), 12)
    second = tensor("b", (2, 300), "u8", rounded_scale(0.0211), 140)
    target = tensor("y", (2, 600), "u8", rounded_scale(0.0317), 12)
    codes = random_codes(generator, first), random_codes(generator, second)
    found = run_one(
        "concat", [first, second], target, codes, {"axis": 1}, {}, lower_concat("exact", [first, second], target)
    )
    inputs = [("a", codes[0], False), *quantization(first), ("b", codes[1], False), *quantization(second)]
    (expected,) = run_node("QLinearConcat", [*quantization(target), *inputs], {"axis": 1}, domain="com.microsoft")
    assert_same(found, expected, share=0.005)


@pytest.mark.parametrize("type", ["u8", "i8"])
def test_quantize(type):
    generator = np.random.default_rng(6)
    scale = rounded_scale(0.03125)
    values = np.concatenate([generator.normal(0, 3, 5000), np.arange(-300, 300) * scale / 2]).astype(np.float32)
    storage = np.uint8 if type == "u8" else np.int8
    constants = [scalar("scale", scale), scalar("zero", storage(17))]
    (expected,) = run_node("QuantizeLinear", [("x", values, False), *constants])
    assert np.array_equal(quantize(values, scale, 17, type), expected)
