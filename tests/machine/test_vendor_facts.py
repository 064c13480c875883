"""Inputs and outputs that VeriSilicon publishes for its NPU: TIM-VX unit tests, run on its simulator and boards.

Sources: VeriSilicon/TIM-VX, src/tim/vx/ops/conv2d_test.cc, groupedconv2d_test.cc, avg_pool_test.cc and
resize1d/2d tests (MIT). Only the numbers are taken. Every profile that stands for a VIP must give all of them.
"""

from __future__ import annotations

import numpy as np
import pytest
from machine_harness import run_one, tensor

from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.machine.lowering import lower_average_pool, lower_resize_linear, lower_weighted
from npudsl.machine.pooling import average_pool_divisors, pool_windows
from npudsl.machine.resampling import linear_positions
from npudsl.numerics.affine import affine_parameters, dequantize, quantize

PROFILES = ("vip16", "vip24", "exact")


def convolve(profile, source, target, codes, weights, scales, bias, zero_point=0, length=None, **geometry):
    quantized = WeightQuantization("w", "l", weights.shape, source.type, "asym", tuple(scales), zero_point, length)
    attributes = {"strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1, "weight_zero_point": zero_point}
    attributes.update(geometry)
    requantize = lower_weighted(profile, "conv", source, quantized, target)
    return run_one("conv", [source], target, [codes], attributes, {"weight": weights, "bias": bias}, requantize)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("scales", "weights", "bias", "reals"),
    [
        ([1.0], [1, 3, 3, 5, 2, 4, 4, 6, 7, 5, 3, 1, 8, 6, 4, 2], [6, -4], [31, -57, 56, -44]),
        ([1.0, 2.0], [1, 3, 3, 5, 2, 4, 4, 6, 4, 3, 2, 1, 4, 3, 2, 1], [6, -2], [31, -57, 64, -46]),
    ],
)
def test_int8_convolution_per_tensor_and_per_channel(profile, scales, weights, bias, reals):
    source, target = tensor("x", (1, 2, 2, 3), "i8", 0.5, -1), tensor("y", (1, 2, 1, 2), "i8", 0.5, -1)
    codes = quantize([3, 1, -2, 4, 2, -3, 2, -1, -3, 3, -2, -4], 0.5, -1, "i8").reshape(1, 2, 2, 3)
    kernel = np.array(weights, np.int8).reshape(2, 2, 2, 2)
    found = convolve(profile, source, target, codes, kernel, scales, np.array(bias, np.int32))
    assert found.reshape(-1).tolist() == quantize(reals, 0.5, -1, "i8").tolist()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_sum_beyond_the_type_saturates(profile):
    source, target = tensor("x", (1, 128, 1, 1), "i8", 0.5, -1), tensor("y", (1, 1, 1, 1), "i8", 0.5, -1)
    codes, weights = np.full((1, 128, 1, 1), 1, np.int8), np.full((1, 128, 1, 1), 1, np.int8)
    found = convolve(profile, source, target, codes, weights, [1.0], np.array([2], np.int32))
    assert found.item() == 127


@pytest.mark.parametrize("profile", PROFILES)
def test_uint8_convolution_with_a_stride_of_3_by_1(profile):
    scale, zero_point = affine_parameters(-63.5, 64, "u8")
    out_scale, out_zero = affine_parameters(-127, 128, "u8")
    source, target = (
        tensor("x", (1, 1, 3, 6), "u8", scale, zero_point),
        tensor("y", (1, 1, 2, 2), "u8", out_scale, out_zero),
    )
    reals = [3, 2, 1, -1, -2, -3, 4, 3, 2, -2, -3, -4, 5, 4, 3, -3, -4, -5]
    codes = quantize(reals, scale, zero_point, "u8").reshape(1, 1, 3, 6)
    kernel = quantize([1, 2, 3, 4], scale, zero_point, "u8").reshape(1, 1, 2, 2)
    bias = np.array([round(-1 / scale**2)], np.int32)
    found = convolve(profile, source, target, codes, kernel, [scale], bias, zero_point, strides=[1, 3])
    assert dequantize(found, out_scale, out_zero).reshape(-1).tolist() == [30, -24, 40, -34]


@pytest.mark.parametrize("profile", PROFILES)
def test_uint8_convolution_with_dilation_3(profile):
    scale, zero_point = affine_parameters(-128, 127, "u8")
    source = tensor("x", (1, 1, 9, 9), "u8", scale, zero_point)
    target = tensor("y", (1, 1, 3, 3), "u8", *affine_parameters(0, 255, "u8"))
    reals = np.zeros((9, 9))
    reals[3:6, 3:6] = 1
    codes = quantize(reals, scale, zero_point, "u8").reshape(1, 1, 9, 9)
    kernel = quantize(np.arange(1, 10), scale, zero_point, "u8").reshape(1, 1, 3, 3)
    found = convolve(
        profile, source, target, codes, kernel, [scale], np.zeros(1, np.int32), zero_point, dilations=[3, 3]
    )
    assert found.reshape(-1).tolist() == [5] * 9


@pytest.mark.parametrize("profile", PROFILES)
def test_depthwise_uint8_convolution_pads_with_the_zero_point(profile):
    source, target = tensor("x", (1, 6, 3, 3), "u8", 0.5, 10), tensor("y", (1, 6, 2, 2), "u8", 0.25, 85)
    codes = [
        [9, 9, 9, 10, 12, 10, 11, 11, 11],
        [7, 8, 8, 9, 12, 11, 12, 12, 13],
        [5, 6, 6, 7, 13, 13, 14, 14, 15],
        [3, 4, 4, 5, 15, 15, 16, 16, 17],
        [1, 2, 2, 3, 17, 17, 18, 18, 19],
        [3, 0, 0, 1, 19, 19, 16, 4, 3],
    ]
    weights = [[8, 9, 8, 9], [12, 11, 12, 11], [4, 5, 4, 5], [16, 15, 16, 15], [0, 17, 0, 17], [6, 5, 6, 13]]
    published = [
        [62, 62, 60, 60],
        [53, 62, 75, 74],
        [113, 74, 33, 44],
        [11, 94, 179, 150],
        [217, 90, 73, 0],
        [229, 108, 111, 126],
    ]
    found = convolve(
        profile,
        source,
        target,
        np.array(codes, np.uint8).reshape(1, 6, 3, 3),
        np.array(weights, np.uint8).reshape(6, 1, 2, 2),
        [0.5],
        np.array([-24, -20, -16, 16, -4, 20], np.int32),
        9,
        strides=[2, 2],
        pads=[0, 0, 1, 1],
        group=6,
    )
    assert found.reshape(6, 4).tolist() == published


@pytest.mark.parametrize("profile", PROFILES)
def test_fixed_point_int16_convolution_with_an_int64_bias(profile):
    source = tensor("x", (1, 1, 2, 4), "i16", fractional_length=9)
    target = tensor("y", (1, 3, 2, 4), "i16", fractional_length=8)
    codes = np.array([512, 512, 512, 512, 1024, 1024, 1536, 1024], np.int16).reshape(1, 1, 2, 4)
    weights = np.array([256, 512, 768, 1024, -256, 256, -256, 256, -256, -256, 256, 256], np.int16).reshape(3, 1, 2, 2)
    bias = np.array([1, 2, 3], np.int64) << 17
    found = convolve(profile, source, target, codes, weights, [2.0**-8], bias, length=8, pads=[0, 0, 1, 1])
    published = [18, 22, 21, 8, 7, 9, 8, 3, 2, 3, 1, -1, 2, 3, 1, 0, 5, 6, 6, 4, -1, -2, -2, 1]
    assert (found.reshape(-1) / 2**8).tolist() == published


@pytest.mark.parametrize("profile", PROFILES)
def test_uint8_average_pool_without_padding(profile):
    scale, zero_point = affine_parameters(-128, 127, "u8")
    source, target = (tensor(name, (1, 1, n, n), "u8", scale, zero_point) for name, n in (("x", 3), ("y", 2)))
    codes = quantize(np.arange(1, 10), scale, zero_point, "u8").reshape(1, 1, 3, 3)
    parts = lower_average_pool(profile, source, target, (4,))
    attributes = {"kernel": [2, 2], "strides": [1, 1], "pads": [0] * 4, "divisors": [4]}
    constants = {"divisor_index": np.zeros((2, 2), np.uint8)}
    found = run_one("average_pool", [source], target, [codes], attributes, constants, parts)
    assert dequantize(found, scale, zero_point).reshape(-1).tolist() == [3, 4, 6, 7]


@pytest.mark.parametrize("profile", PROFILES)
def test_large_uint8_average_pool_counts_only_what_is_inside(profile):
    scale, zero_point = affine_parameters(-128, 127, "u8")
    window = {"kernel": (35, 35), "strides": (5, 5), "pads": (30, 30, 30, 30)}
    geometry = pool_windows((52, 60), **window)
    assert geometry.output == (16, 18)
    counted = average_pool_divisors((52, 60), output=geometry.output, **window)
    source = tensor("x", (1, 1, 52, 60), "u8", scale, zero_point)
    target = tensor("y", (1, 1, 16, 18), "u8", scale, zero_point)
    codes = quantize(np.tile(np.arange(60), (52, 1)), scale, zero_point, "u8")[None, None]
    parts = lower_average_pool(profile, source, target, counted.divisors)
    attributes = {"kernel": [35, 35], "strides": [5, 5], "pads": [30] * 4, "divisors": list(counted.divisors)}
    found = run_one("average_pool", [source], target, [codes], attributes, {"divisor_index": counted.index}, parts)
    published = [2, 4.5, 7, 9.5, 12, 14.5, 17, 22, 27, 32, 37, 42, 44.5, 47, 49.5, 52, 54.5, 57]
    assert abs(dequantize(found, scale, zero_point)[0, 0] - published).max() <= 0.51


@pytest.mark.parametrize("profile", PROFILES)
def test_uint8_resize_with_aligned_corners_hits_the_corners(profile):
    source, target = tensor("x", (1, 1, 3, 3), "u8", 1.0, 128), tensor("y", (1, 1, 2, 2), "u8", 1.0, 128)
    positions = linear_positions(3, 2, "align_corners")
    constants = {
        f"{axis}_{role}": getattr(positions, role) for axis in ("row", "column") for role in ("low", "high", "weight")
    }
    codes = np.arange(130, 148, 2, dtype=np.uint8).reshape(1, 1, 3, 3)
    requantize = lower_resize_linear(profile, source, target)
    found = run_one("resize_linear", [source], target, [codes], {"weight_bits": 11}, constants, requantize)
    assert found.reshape(-1).tolist() == [130, 134, 142, 146]
