"""Convolution on the machine against the sum written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from machine_harness import PROFILES, apply_requantization, offsets, random_codes, run_one, tensor

from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.ir.groups import Clamp
from npudsl.machine.bounds import accumulator_bound
from npudsl.machine.kernels.window import working_type
from npudsl.machine.lowering import lower_weighted


def slow_conv(x, weights, bias, strides, pads, dilations, group, output):
    """sum x w + bias on int64, one output element at a time; what lies outside the input adds nothing."""
    batch, _, height, width = x.shape
    channels, depth, kernel_h, kernel_w = weights.shape
    sums = np.zeros((batch, channels, *output), dtype=np.int64)
    for n, o, i, j in np.ndindex(*sums.shape):
        first = o // (channels // group) * depth
        total = int(bias[o])
        for c, ky, kx in itertools.product(range(depth), range(kernel_h), range(kernel_w)):
            row = i * strides[0] - pads[0] + ky * dilations[0]
            column = j * strides[1] - pads[1] + kx * dilations[1]
            if 0 <= row < height and 0 <= column < width:
                total += int(x[n, first + c, row, column]) * int(weights[o, c, ky, kx])
        sums[n, o, i, j] = total
    return sums


def output_size(size, kernel, strides, pads, dilations):
    return tuple(
        (size[a] + pads[a] + pads[a + 2] - dilations[a] * (kernel[a] - 1) - 1) // strides[a] + 1 for a in (0, 1)
    )


CASES = {
    "pointwise": {"channels": (5, 7), "kernel": (1, 1)},
    "pointwise with stride": {"channels": (5, 7), "kernel": (1, 1), "strides": (2, 3)},
    "pointwise with padding": {"channels": (3, 2), "kernel": (1, 1), "pads": (1, 0, 0, 2)},
    "3x3": {"channels": (3, 4), "kernel": (3, 3), "pads": (1, 1, 1, 1)},
    "stride and one-sided padding": {"channels": (3, 4), "kernel": (3, 3), "strides": (2, 2), "pads": (0, 0, 1, 1)},
    "dilated": {"channels": (2, 3), "kernel": (3, 2), "dilations": (2, 3), "pads": (2, 1, 2, 2)},
    "negative padding": {"channels": (2, 3), "kernel": (2, 2), "pads": (-1, 0, -1, -2)},
    "grouped": {"channels": (6, 4), "kernel": (3, 3), "group": 2, "pads": (1, 1, 1, 1)},
    "depthwise": {"channels": (5, 5), "kernel": (3, 3), "group": 5, "pads": (1, 1, 1, 1)},
    "depthwise with stride": {
        "channels": (4, 4),
        "kernel": (3, 3),
        "group": 4,
        "strides": (2, 2),
        "pads": (0, 0, 1, 1),
    },
    "depthwise with stride 3 and dilation 2": {
        "channels": (4, 4),
        "kernel": (3, 2),
        "group": 4,
        "strides": (3, 2),
        "dilations": (2, 3),
        "pads": (2, 1, 0, 1),
    },
    "depthwise with two outputs per input": {"channels": (3, 6), "kernel": (3, 3), "group": 3, "pads": (1, 1, 1, 1)},
    "depthwise with negative padding": {"channels": (3, 3), "kernel": (2, 2), "group": 3, "pads": (-1, -1, 0, -1)},
}


def run_case(
    channels,
    kernel,
    strides=(1, 1),
    pads=(0, 0, 0, 0),
    dilations=(1, 1),
    group=1,
    types=("u8", "i8", "u8"),
    zero_points=(7, 0, 3),
    per_channel=True,
    profile="exact",
    stack=1,
    clamp=None,
    seed=0,
):
    """Codes of the machine and of the slow reference."""
    generator = np.random.default_rng(seed)
    size = (7, 9)
    result = output_size(size, kernel, strides, pads, dilations)
    source = tensor("x", (2, channels[0], *size), types[0], 0.02, zero_points[0])
    target = tensor("y", (2, channels[1], *result), types[2], 0.3, zero_points[2])
    shape = (channels[1], channels[0] // group, *kernel)
    weights = random_codes(generator, tensor("w", shape, types[1]))
    scales = tuple(generator.uniform(0.001, 0.02, channels[1] if per_channel else 1))
    wide = types[0] == "i16"
    bias = generator.integers(-5000, 5000, channels[1]).astype(np.int64 if wide else np.int32)
    quantized = WeightQuantization("w", "layer", shape, types[1], "asym", scales, zero_points[1])
    largest = accumulator_bound(weights, zero_points[1], source, bias)
    requantize = lower_weighted(profile, "conv", source, quantized, target, clamp, largest)
    codes = random_codes(generator, source, stack)
    found = run_one(
        "conv",
        [source],
        target,
        [codes],
        {
            "strides": list(strides),
            "pads": list(pads),
            "dilations": list(dilations),
            "group": group,
            "weight_zero_point": zero_points[1],
        },
        {"weight": weights, "bias": bias},
        requantize,
    )
    sums = slow_conv(
        offsets(codes, source),
        weights.astype(np.int64) - zero_points[1],
        bias,
        strides,
        pads,
        dilations,
        group,
        result,
    )
    assert abs(sums).max() <= largest
    return found, apply_requantization(sums, requantize, channel_axis=1)


@pytest.mark.parametrize("name", CASES)
def test_convolution_equals_the_sum_written_out(name):
    found, expected = run_case(**CASES[name], stack=2)
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_gives_what_its_requantization_says(profile):
    for name in ("3x3", "depthwise"):
        found, expected = run_case(**CASES[name], profile=profile)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("types", [("u8", "u8", "u8"), ("i8", "i8", "i8"), ("i8", "u8", "i16"), ("u8", "i8", "i8")])
def test_types_and_weight_zero_points_mix(types):
    zero_points = tuple(9 if name == "u8" else -5 for name in types)
    for name in ("pointwise", "3x3", "depthwise"):
        found, expected = run_case(**CASES[name], types=types, zero_points=zero_points, per_channel=False)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["pointwise", "3x3", "grouped", "depthwise"])
def test_sixteen_bit_layers_do_not_overflow(name):
    found, expected = run_case(**CASES[name], types=("i16", "i16", "i16"), zero_points=(-300, 0, 12))
    assert found.dtype == np.int16
    assert np.array_equal(found, expected)


def test_a_fused_activation_is_a_clamp():
    found, expected = run_case(**CASES["3x3"], clamp=Clamp(0.0, 6.0))
    assert np.array_equal(found, expected)
    assert found.min() == 3
    assert found.max() == 3 + 20


def test_one_dimensional_convolution_runs_on_height_one():
    generator = np.random.default_rng(1)
    source, target = tensor("x", (1, 3, 10), "u8", 0.1, 5), tensor("y", (1, 4, 9), "u8", 3.0, 100)
    weights = random_codes(generator, tensor("w", (4, 3, 1, 2), "i8"))
    quantized = WeightQuantization("w", "layer", (4, 3, 2), "i8", "sym", (0.1,))
    requantize = lower_weighted("exact", "conv", source, quantized, target)
    codes = random_codes(generator, source, stack=3)
    attributes = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1, "weight_zero_point": 0}
    bias = np.zeros(4, dtype=np.int32)
    found = run_one("conv", [source], target, [codes], attributes, {"weight": weights, "bias": bias}, requantize)
    sums = slow_conv(offsets(codes, source)[:, :, None], weights, bias, (1, 1), (0,) * 4, (1, 1), 1, (1, 9))
    assert np.array_equal(found, apply_requantization(sums, requantize, 1)[:, :, 0])


def test_large_layers_are_worked_on_in_blocks():
    generator = np.random.default_rng(2)
    source, target = tensor("x", (1, 8, 96, 96), "u8", 0.1, 5), tensor("y", (1, 8, 96, 96), "u8", 30.0, 100)
    codes = random_codes(generator, source)
    for group, depth in ((1, 8), (8, 1)):
        weights = random_codes(generator, tensor("w", (8, depth, 3, 3), "i8"))
        quantized = WeightQuantization("w", "layer", weights.shape, "i8", "sym", (0.1,))
        requantize = lower_weighted("exact", "conv", source, quantized, target)
        attributes = {"strides": [1, 1], "pads": [1] * 4, "dilations": [1, 1], "group": group, "weight_zero_point": 0}
        constants = {"weight": weights, "bias": np.zeros(8, dtype=np.int32)}
        found = run_one("conv", [source], target, [codes], attributes, constants, requantize)
        padded = np.pad(offsets(codes, source), ((0, 0), (0, 0), (1, 1), (1, 1)))
        sums = np.zeros((1, 8, 96, 96), dtype=np.int64)
        for i, j in np.ndindex(3, 3):
            plane, tap = padded[0, :, i : i + 96, j : j + 96], weights[:, :, i, j].astype(np.int64)
            sums[0] += np.einsum("chw,oc->ohw", plane, tap) if depth == 8 else plane * tap[:, 0, None, None]
        assert np.array_equal(found, apply_requantization(sums, requantize))


def test_the_number_type_holds_every_partial_sum():
    assert working_type(2**24 - 1) == "float32"
    assert working_type(2**24) == "float64"
    assert working_type(2**53) == "int64"


def test_the_bound_is_reached_by_the_worst_codes():
    source = tensor("x", (1, 2, 1, 1), "u8", 1.0, 100)
    weights = np.array([[3, -2], [-1, -1]], dtype=np.int8)
    assert accumulator_bound(weights, 0, source) == 3 * 155 + 2 * 100
    assert accumulator_bound(weights, 0, source, np.array([-10, 1000])) == 1000 + 2 * 155


@pytest.mark.parametrize("zero_point", [0, 128, 255])
def test_the_bound_counts_the_weight_zero_point(zero_point):
    source = tensor("x", (1, 1, 1, 1), "u8", 1.0, 0)
    weights = np.array([[0, 255]], dtype=np.uint8)
    expected = 255 * max(abs(zero_point), abs(255 - zero_point))
    assert accumulator_bound(weights, zero_point, source) == expected
