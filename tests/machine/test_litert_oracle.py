"""Profile tflite gives what TensorFlow Lite's reference kernels give, code for code."""

from __future__ import annotations

import math

import numpy as np
import pytest
from litert_oracle import constant, given, made, run_operator, schema
from machine_harness import random_codes, run_one, tensor

from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.machine.kernels.reductions import logarithm_table
from npudsl.machine.lowering import (
    RESIZE_WEIGHT_BITS,
    lower_add,
    lower_average_pool,
    lower_mul,
    lower_quantize,
    lower_rescale,
    lower_resize_linear,
    lower_weighted,
)
from npudsl.machine.pair_lowering import (
    lower_div,
    lower_extreme,
    lower_log_softmax,
    lower_prelu,
    lower_rounded_add,
    rounds_operands,
)
from npudsl.machine.pooling import average_pool_divisors
from npudsl.machine.resampling import (
    TFLITE_MODES,
    TFLITE_WEIGHT_BITS,
    linear_positions,
    tflite_linear_positions,
)
from npudsl.machine.tables import leaky_relu_table, softmax_denominator, softmax_exponential, table_for
from npudsl.steps.quantize.emit_pooling import of_codes

PROFILE = "tflite"
TYPES = ("u8", "i8")
SAME, VALID = 0, 1
STORAGE = {"u8": "uint8", "i8": "int8"}
LIMITS = {"u8": (0, 255), "i8": (-128, 127)}


def scale(generator, low=-6.0, high=-2.0):
    """A random float32 scale."""
    return float(np.float32(2.0 ** generator.uniform(low, high)))


def affine(generator, name, shape, type_name, step=None):
    """A tensor with random scale and zero point."""
    low, high = LIMITS[type_name]
    step = scale(generator) if step is None else float(np.float32(step))
    middle = (low + high + 1) // 2
    return tensor(name, shape, type_name, step, middle + int(generator.integers(-30, 31)))


def like(item, codes):
    return given(codes, item.scale, item.zero_point)


def output_of(item, shape=None):
    return made(item.shape if shape is None else shape, STORAGE[item.type], item.scale, item.zero_point)


def nhwc(codes):
    return np.ascontiguousarray(codes.transpose(0, 2, 3, 1))


def nchw(codes):
    return np.ascontiguousarray(codes.transpose(0, 3, 1, 2))


def weight_of(generator, shape, type_name, per_channel):
    """Codes (O, ...) and their quantization; scales differ up to eightfold between channels."""
    low, high = (0, 255) if type_name == "u8" else (-127, 127)
    codes = generator.integers(low, high + 1, shape).astype(STORAGE[type_name])
    scales = tuple(scale(generator, -10.0, -7.0) for _ in range(shape[0] if per_channel else 1))
    zero_point = int(generator.integers(110, 146)) if type_name == "u8" else 0
    return codes, WeightQuantization(
        "w", "layer", shape, type_name, "perchannel" if per_channel else "asym", scales, zero_point
    )


def bias_of(generator, channels, source, weight):
    """Codes, and how TensorFlow Lite wants their scales."""
    scales = [float(np.float32(source.scale) * np.float32(item)) for item in weight.scales]
    return generator.integers(-20000, 20000, channels).astype(np.int32), scales


def step_for(source, weight, terms):
    """An output scale with which sums of random codes use most of the range."""
    return source.scale * max(weight.scales) * 74 * 74 * math.sqrt(terms) / 40


def same_pads(size, out, stride, reach):
    """Padding of TensorFlow's SAME: the smaller half in front."""
    total = [max((o - 1) * stride + reach - extent, 0) for o, extent in zip(out, size, strict=True)]
    return [total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2]


def assert_same(found, expected):
    """Equal, and no comparison of two saturated tensors."""
    assert np.array_equal(found, expected), f"{np.count_nonzero(found != expected)} of {found.size} differ"
    assert np.unique(found).size >= min(20, found.size // 4)


def assert_apart_by_one(found, expected, share):
    """At most one code apart, in at most this share of all codes."""
    difference = np.abs(found.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= share * difference.size


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["u8", "i8", "i8 per channel"])
def test_convolution(kind, seed):
    generator = np.random.default_rng(seed)
    type_name = kind[:2]
    channels, outputs, size, stride, dilation = 5, 7, (13, 12), 1 + seed % 2, 2 if seed == 4 else 1
    source = affine(generator, "x", (2, channels, *size), type_name)
    codes, weight = weight_of(generator, (outputs, channels, 3, 3), type_name, kind.endswith("channel"))
    bias, bias_scales = bias_of(generator, outputs, source, weight)
    reach = 2 * dilation + 1
    if seed % 3 == 0:
        padding, pads, out = VALID, [0] * 4, [(extent - reach) // stride + 1 for extent in size]
    else:
        padding, out = SAME, [-(-extent // stride) for extent in size]
        pads = same_pads(size, out, stride, reach)
    target = affine(generator, "y", (2, outputs, *out), type_name, step_for(source, weight, codes[0].size))
    x = random_codes(generator, source)
    attributes = {
        "strides": [stride] * 2,
        "pads": pads,
        "dilations": [dilation] * 2,
        "group": 1,
        "weight_zero_point": weight.zero_point,
    }
    rules = lower_weighted(PROFILE, "conv", source, weight, target)
    found = run_one("conv", [source], target, [x], attributes, {"weight": codes, "bias": bias}, rules)

    options = schema.Conv2DOptionsT()
    options.padding, options.strideH, options.strideW = padding, stride, stride
    options.dilationHFactor = options.dilationWFactor = dilation
    kernel = constant(nhwc(codes), weight.scales, weight.zero_point)
    expected = run_operator(
        "CONV_2D",
        [like(source, nhwc(x)), kernel, constant(bias, bias_scales)],
        output_of(target, (2, *out, outputs)),
        options,
    )
    assert_same(found, nchw(expected))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["u8", "i8", "i8 per channel"])
def test_depthwise_convolution(kind, seed):
    generator = np.random.default_rng(100 + seed)
    type_name = kind[:2]
    channels, size, stride = 6, (11, 10), 1 + seed % 2
    source = affine(generator, "x", (1, channels, *size), type_name)
    codes, weight = weight_of(generator, (channels, 1, 3, 3), type_name, kind.endswith("channel"))
    bias, bias_scales = bias_of(generator, channels, source, weight)
    out = [-(-extent // stride) for extent in size]
    target = affine(generator, "y", (1, channels, *out), type_name, step_for(source, weight, 9))
    x = random_codes(generator, source)
    attributes = {
        "strides": [stride] * 2,
        "pads": same_pads(size, out, stride, 3),
        "dilations": [1, 1],
        "group": channels,
        "weight_zero_point": weight.zero_point,
    }
    rules = lower_weighted(PROFILE, "conv", source, weight, target)
    found = run_one("conv", [source], target, [x], attributes, {"weight": codes, "bias": bias}, rules)

    options = schema.DepthwiseConv2DOptionsT()
    options.padding, options.strideH, options.strideW, options.depthMultiplier = SAME, stride, stride, 1
    options.dilationHFactor = options.dilationWFactor = 1
    kernel = constant(codes.transpose(1, 2, 3, 0), weight.scales, weight.zero_point, axis=3)
    expected = run_operator(
        "DEPTHWISE_CONV_2D",
        [like(source, nhwc(x)), kernel, constant(bias, bias_scales)],
        output_of(target, (1, *out, channels)),
        options,
    )
    assert_same(found, nchw(expected))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["u8", "i8", "i8 per channel"])
def test_transposed_convolution(kind, seed):
    generator = np.random.default_rng(200 + seed)
    type_name = kind[:2]
    channels, outputs, size, stride = 5, 4, (6, 5), 1 + seed % 3
    source = affine(generator, "x", (1, channels, *size), type_name)
    codes, weight = weight_of(generator, (outputs, channels, 3, 3), type_name, kind.endswith("channel"))
    bias, bias_scales = bias_of(generator, outputs, source, weight)
    out = [extent * stride for extent in size]
    pads = same_pads(out, size, stride, 3)
    target = affine(generator, "y", (1, outputs, *out), type_name, step_for(source, weight, codes[0].size / stride**2))
    x = random_codes(generator, source)
    attributes = {
        "strides": [stride] * 2,
        "pads": pads,
        "dilations": [1, 1],
        "group": 1,
        "weight_zero_point": weight.zero_point,
    }
    rules = lower_weighted(PROFILE, "conv_transpose", source, weight, target)
    found = run_one("conv_transpose", [source], target, [x], attributes, {"weight": codes, "bias": bias}, rules)

    options = schema.TransposeConvOptionsT()
    options.padding, options.strideH, options.strideW = SAME, stride, stride
    expected = run_operator(
        "TRANSPOSE_CONV",
        [
            constant(np.array([1, *out, outputs], np.int32)),
            constant(nhwc(codes), weight.scales, weight.zero_point),
            like(source, nhwc(x)),
            constant(bias, bias_scales),
        ],
        output_of(target, (1, *out, outputs)),
        options,
        version=3,
    )
    assert_same(found, nchw(expected))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("type_name", TYPES)
def test_fully_connected_layer(type_name, seed):
    generator = np.random.default_rng(300 + seed)
    rows, inputs, outputs = 4, 90, 33
    source = affine(generator, "x", (rows, inputs), type_name)
    codes, weight = weight_of(generator, (outputs, inputs), type_name, per_channel=False)
    bias, bias_scales = bias_of(generator, outputs, source, weight)
    target = affine(generator, "y", (rows, outputs), type_name, step_for(source, weight, inputs))
    x = random_codes(generator, source)
    rules = lower_weighted(PROFILE, "linear", source, weight, target)
    attributes = {"weight_zero_point": weight.zero_point}
    found = run_one("linear", [source], target, [x], attributes, {"weight": codes, "bias": bias}, rules)

    kernel = constant(codes, weight.scales, weight.zero_point)
    expected = run_operator(
        "FULLY_CONNECTED",
        [like(source, x), kernel, constant(bias, bias_scales)],
        output_of(target),
        schema.FullyConnectedOptionsT(),
    )
    assert_same(found, expected)


def two_operands(seed, type_name, shapes=((3, 40, 50), (3, 40, 50))):
    generator = np.random.default_rng(seed)
    first, second = (affine(generator, name, shape, type_name) for name, shape in zip("ab", shapes, strict=True))
    return generator, first, second, random_codes(generator, first), random_codes(generator, second)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("operator", ["ADD", "SUB"])
def test_sum_and_difference(operator, type_name, seed):
    generator, first, second, a, b = two_operands(400 + seed, type_name)
    target = affine(generator, "y", first.shape, type_name, (first.scale + second.scale) * generator.uniform(0.5, 2))
    rules = lower_rounded_add(PROFILE, first, second, target)
    name = f"rounded_{operator.lower()}"
    found = run_one(name, [first, second], target, [a, b], {"left_shift": 20}, requantize=rules)

    options = getattr(schema, f"{operator.title()}OptionsT")()
    expected = run_operator(operator, [like(first, a), like(second, b)], output_of(target), options, version=2)
    assert rounds_operands(PROFILE, first, second, target)
    assert_same(found, expected)


def test_one_rounding_of_a_sum_is_at_most_a_code_apart():
    generator, first, second, a, b = two_operands(450, "i8")
    target = affine(generator, "y", first.shape, "i8", first.scale + second.scale)
    found = run_one("add", [first, second], target, [a, b], requantize=lower_add("exact", first, second, target))
    expected = run_operator("ADD", [like(first, a), like(second, b)], output_of(target), schema.AddOptionsT(), 2)

    assert_apart_by_one(found, expected, 0.01)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("type_name", TYPES)
def test_product(type_name, seed):
    generator, first, second, a, b = two_operands(500 + seed, type_name, ((3, 40, 50), (1, 40, 1)))
    target = affine(generator, "y", first.shape, type_name, first.scale * second.scale * generator.uniform(50, 200))
    rules = lower_mul(PROFILE, first, second, target)
    found = run_one("mul", [first, second], target, [a, b], requantize=rules)
    expected = run_operator("MUL", [like(first, a), like(second, b)], output_of(target), schema.MulOptionsT(), 2)

    assert_same(found, expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(("operation", "operator"), [("minimum", "MINIMUM"), ("maximum", "MAXIMUM")])
def test_extremes(operation, operator, type_name, seed):
    _, first, _, a, _ = two_operands(550 + seed, type_name)
    generator = np.random.default_rng(seed)
    second = tensor("b", (40, 1), type_name, first.scale, first.zero_point)
    target = tensor("y", first.shape, type_name, first.scale, first.zero_point)
    b = random_codes(generator, second)
    found = run_one(
        operation, [first, second], target, [a, b], requantize=lower_extreme(PROFILE, first, second, target)
    )
    expected = run_operator(
        operator, [like(first, a), like(second, b)], output_of(target), schema.MaximumMinimumOptionsT(), 2
    )

    assert_same(found, expected)


@pytest.mark.parametrize("seed", range(6))
def test_quotient_is_at_most_a_code_apart(seed):
    """But for quotients near zero: there the reference shifts by more bits than it has, and gives the ends."""
    generator, first, second, a, b = two_operands(600 + seed, "u8")
    a[np.abs(a.astype(int) - first.zero_point) < 8] = 0
    b[b == second.zero_point] += 1
    target = affine(generator, "y", first.shape, "u8", first.scale / second.scale / 30)
    rules = lower_div(PROFILE, first, second, target)
    found = run_one("div", [first, second], target, [a, b], requantize=rules)
    expected = run_operator("DIV", [like(first, a), like(second, b)], output_of(target), schema.DivOptionsT(), 2)

    assert_apart_by_one(found, expected, 0.03)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("type_name", TYPES)
def test_requantization(type_name, seed):
    generator = np.random.default_rng(650 + seed)
    source = affine(generator, "x", (2, 256), type_name)
    target = affine(generator, "y", (2, 256), type_name, source.scale * generator.uniform(0.4, 4))
    x = np.tile(np.arange(*(LIMITS[type_name] + np.array([0, 1]))), (2, 1)).astype(STORAGE[type_name])
    found = run_one("rescale", [source], target, [x], requantize=lower_rescale(PROFILE, source, target))
    expected = run_operator("QUANTIZE", [like(source, x)], output_of(target), schema.QuantizeOptionsT(), 2)

    assert_same(found, expected)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("type_name", TYPES)
def test_slopes(type_name, seed):
    generator = np.random.default_rng(700 + seed)
    source = affine(generator, "x", (2, 9, 10, 7), type_name)
    slope = affine(generator, "s", (1, 1, 7), type_name, 2.0**-8)
    target = affine(generator, "y", source.shape, type_name, source.scale * generator.uniform(0.7, 2))
    x, slopes = random_codes(generator, source), random_codes(generator, slope)
    rules = lower_prelu(PROFILE, source, slope, target)
    attributes = {"operand_zero_point": slope.zero_point, "operand_position": 1}
    found = run_one("prelu", [source], target, [x], attributes, {"operand": slopes}, rules)
    expected = run_operator(
        "PRELU", [like(source, x), constant(slopes, (slope.scale,), slope.zero_point)], output_of(target), version=1
    )

    assert_same(found, expected)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("type_name", TYPES)
def test_average_pool(type_name, seed):
    generator = np.random.default_rng(800 + seed)
    size, kernel, stride = (12, 11), 2 + seed % 3, 1 + seed % 2
    source = affine(generator, "x", (2, 4, *size), type_name)
    out = [-(-extent // stride) for extent in size]
    pads = same_pads(size, out, stride, kernel)
    target = tensor("y", (2, 4, *out), type_name, source.scale, source.zero_point)
    x = random_codes(generator, source)
    divisors = average_pool_divisors(size, (kernel, kernel), (stride, stride), pads, out)
    rules, taken = of_codes(PROFILE, source, target, lower_average_pool(PROFILE, source, target, divisors.divisors))
    attributes = {
        "kernel": [kernel] * 2,
        "strides": [stride] * 2,
        "pads": pads,
        "divisors": list(divisors.divisors),
        **taken,
    }
    found = run_one("average_pool", [source], target, [x], attributes, {"divisor_index": divisors.index}, rules)

    options = schema.Pool2DOptionsT()
    options.padding, options.strideH, options.strideW = SAME, stride, stride
    options.filterHeight = options.filterWidth = kernel
    expected = run_operator("AVERAGE_POOL_2D", [like(source, nhwc(x))], output_of(target, (2, *out, 4)), options, 2)
    assert_same(found, nchw(expected))


def resized(source, target, x, size, out, mode, find_positions, bits):
    """``resize_linear`` of the machine and of the reference."""
    rows, columns = (find_positions(size[axis], out[axis], mode) for axis in (0, 1))
    constants = {
        f"{axis}_{role}": getattr(positions, role)
        for axis, positions in (("row", rows), ("column", columns))
        for role in ("low", "high", "weight")
    }
    rules, taken = of_codes(PROFILE, source, target, (lower_resize_linear(PROFILE, source, target, bits=bits),))
    attributes = {"weight_bits": bits, **taken}
    found = run_one("resize_linear", [source], target, [x], attributes, constants, rules)
    options = schema.ResizeBilinearOptionsT()
    options.alignCorners, options.halfPixelCenters = mode == "align_corners", mode == "half_pixel"
    expected = run_operator(
        "RESIZE_BILINEAR",
        [like(source, nhwc(x)), constant(np.array(out, np.int32))],
        output_of(target, (1, *out, 3)),
        options,
        version=3,
    )
    return found, nchw(expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", TFLITE_MODES)
@pytest.mark.parametrize("type_name", TYPES)
def test_bilinear_resize(type_name, mode, seed):
    generator = np.random.default_rng(830 + seed)
    size, out = ((5, 7), (10, 14)) if seed == 0 else ((6, 9), (11 + seed, 13))
    source = affine(generator, "x", (1, 3, *size), type_name)
    target = tensor("y", (1, 3, *out), type_name, source.scale, source.zero_point)
    x = random_codes(generator, source)
    if type_name == "i8":
        assert_same(*resized(source, target, x, size, out, mode, tflite_linear_positions, TFLITE_WEIGHT_BITS))
    else:
        found, expected = resized(source, target, x, size, out, mode, linear_positions, RESIZE_WEIGHT_BITS)
        assert_apart_by_one(found, expected, 0.05)


@pytest.mark.parametrize("mode", ["half_pixel", "asymmetric"])
def test_doubling_of_eight_bits_without_sign(mode):
    generator = np.random.default_rng(840)
    source = affine(generator, "x", (1, 3, 12, 15), "u8")
    target = tensor("y", (1, 3, 24, 30), "u8", source.scale, source.zero_point)
    x = random_codes(generator, source)

    assert_same(*resized(source, target, x, (12, 15), (24, 30), mode, linear_positions, RESIZE_WEIGHT_BITS))


@pytest.mark.parametrize("type_name", TYPES)
def test_max_pool(type_name):
    generator = np.random.default_rng(850)
    source = affine(generator, "x", (2, 4, 12, 11), type_name)
    target = tensor("y", (2, 4, 6, 6), type_name, source.scale, source.zero_point)
    x = random_codes(generator, source)
    attributes = {"kernel": [3, 3], "strides": [2, 2], "pads": same_pads((12, 11), (6, 6), 2, 3), "dilations": [1, 1]}
    found = run_one("max_pool", [source], target, [x], attributes)

    options = schema.Pool2DOptionsT()
    options.padding, options.strideH, options.strideW, options.filterHeight, options.filterWidth = SAME, 2, 2, 3, 3
    expected = run_operator("MAX_POOL_2D", [like(source, nhwc(x))], output_of(target, (2, 6, 6, 4)), options, 2)
    assert_same(found, nchw(expected))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize(("op", "operator"), [("Sigmoid", "LOGISTIC"), ("Tanh", "TANH")])
def test_sigmoid_and_tanh_of_every_code(op, operator, type_name, seed):
    generator = np.random.default_rng(900 + seed)
    source = affine(generator, "x", (256,), type_name, scale(generator, -7.0, -1.0))
    low = LIMITS[type_name][0]
    target = tensor("y", (256,), type_name, *((1 / 256, low) if op == "Sigmoid" else (1 / 128, low + 128)))
    x = np.arange(low, low + 256).astype(STORAGE[type_name])
    table = table_for(op, {}, source, target)
    found = run_one("table", [source], target, [x], constants={"table": table})

    assert np.array_equal(found, run_operator(operator, [like(source, x)], output_of(target), version=2))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("type_name", TYPES)
def test_leaky_relu(type_name, seed):
    generator = np.random.default_rng(950 + seed)
    source = affine(generator, "x", (256,), type_name)
    target = affine(generator, "y", (256,), type_name, source.scale * generator.uniform(0.6, 2))
    low = LIMITS[type_name][0]
    x = np.arange(low, low + 256).astype(STORAGE[type_name])
    options = schema.LeakyReluOptionsT()
    options.alpha = 0.1
    table = leaky_relu_table(0.1, source, target, PROFILE)
    found = run_one("table", [source], target, [x], constants={"table": table})
    expected = run_operator("LEAKY_RELU", [like(source, x)], output_of(target), options, 2)

    assert np.array_equal(found, expected)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("type_name", TYPES)
def test_softmax(type_name, seed):
    generator = np.random.default_rng(1000 + seed)
    source = affine(generator, "x", (200, 30), type_name, scale(generator, -6.0, -2.0))
    target = tensor("y", source.shape, type_name, 1 / 256, LIMITS[type_name][0])
    x = random_codes(generator, source)
    found = run_one(
        "softmax",
        [source],
        target,
        [x],
        {"axis": 1, "denominator": softmax_denominator(target)},
        {"exponential": softmax_exponential(source)},
        lower_quantize(PROFILE, target),
    )
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    expected = run_operator("SOFTMAX", [like(source, x)], output_of(target), options, 2)

    assert_apart_by_one(found, expected, 1e-3)


@pytest.mark.parametrize("type_name", TYPES)
def test_log_softmax(type_name):
    generator = np.random.default_rng(1100)
    source = affine(generator, "x", (200, 30), type_name, 2.0**-5)
    target = tensor("y", source.shape, type_name, 16 / 256, LIMITS[type_name][1])
    x = random_codes(generator, source)
    constants = {"exponential": softmax_exponential(source), "logarithm": logarithm_table()}
    rules = lower_log_softmax(PROFILE, source, target)
    found = run_one("log_softmax", [source], target, [x], {"axis": 1}, constants, rules)
    expected = run_operator("LOG_SOFTMAX", [like(source, x)], output_of(target), schema.LogSoftmaxOptionsT(), 2)

    assert_apart_by_one(found, expected, 0.01)
