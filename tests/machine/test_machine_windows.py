"""Pools, reductions, resize and softmax on the machine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from machine_harness import apply_requantization, offsets, random_codes, run_one, tensor

from npudsl.machine.lowering import (
    lower_average_pool,
    lower_global_average_pool,
    lower_resize_linear,
)
from npudsl.machine.pooling import average_pool_divisors, pool_windows
from npudsl.machine.resampling import linear_positions, nearest_positions
from npudsl.machine.tables import softmax_denominator, softmax_exponential

WINDOWS = [
    {"kernel": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)},
    {"kernel": (3, 3), "strides": (2, 2), "pads": (1, 1, 1, 1)},
    {"kernel": (3, 2), "strides": (1, 2), "pads": (1, 0, 0, 1)},
    {"kernel": (3, 3), "strides": (2, 2), "pads": (0, 0, 0, 0), "ceil_mode": True},
]


def members(x, window, dilations, pads, i, j):
    """The elements of one window that lie inside the plane."""
    (kernel_h, kernel_w), (down, along) = window["kernel"], window["strides"]
    rows = [i * down - pads[0] + k * dilations[0] for k in range(kernel_h)]
    columns = [j * along - pads[1] + k * dilations[1] for k in range(kernel_w)]
    rows = [row for row in rows if 0 <= row < x.shape[0]]
    columns = [column for column in columns if 0 <= column < x.shape[1]]
    return x[np.ix_(rows, columns)]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("type", ["u8", "i8", "i16"])
@pytest.mark.parametrize("dilations", [(1, 1), (2, 1)])
def test_max_pool_takes_the_largest_code_inside_the_input(window, type, dilations):
    geometry = pool_windows((8, 7), dilations=dilations, **window)
    source, target = tensor("x", (2, 3, 8, 7), type, 0.1, 3), tensor("y", (2, 3, *geometry.output), type, 0.1, 3)
    codes = random_codes(np.random.default_rng(0), source, stack=2)
    attributes = {
        "kernel": list(window["kernel"]),
        "strides": list(window["strides"]),
        "pads": list(geometry.pads),
        "dilations": list(dilations),
    }
    found = run_one("max_pool", [source], target, [codes], attributes)
    for n, c, i, j in np.ndindex(*found.shape):
        assert found[n, c, i, j] == members(codes[n, c], window, dilations, geometry.pads, i, j).max()


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("profile", ["exact", "tflite"])
def test_average_pool_divides_by_the_elements_that_count(window, include, profile):
    geometry = pool_windows((8, 7), **window)
    counted = average_pool_divisors(
        (8, 7), window["kernel"], window["strides"], window["pads"], geometry.output, include
    )
    source, target = tensor("x", (2, 3, 8, 7), "u8", 0.1, 30), tensor("y", (2, 3, *geometry.output), "u8", 0.09, 3)
    parts = lower_average_pool(profile, source, target, counted.divisors)
    codes = random_codes(np.random.default_rng(1), source, stack=2)
    attributes = {
        "kernel": list(window["kernel"]),
        "strides": list(window["strides"]),
        "pads": list(geometry.pads),
        "divisors": list(counted.divisors),
    }
    found = run_one("average_pool", [source], target, [codes], attributes, {"divisor_index": counted.index}, parts)
    x = offsets(codes, source)
    for n, c, i, j in np.ndindex(*found.shape):
        inside = members(x[n, c], window, (1, 1), geometry.pads, i, j)
        if not include:
            assert counted.divisors[counted.index[i, j]] == inside.size
        expected = apply_requantization(inside.sum(), parts[counted.index[i, j]])
        assert found[n, c, i, j] == expected


@pytest.mark.parametrize("count", [2, 3, 6, 7, 9, 49])
def test_average_pool_of_tflite_is_the_integer_division_with_ties_away_from_zero(count):
    source, target = tensor("x", (1, 1, 1, count), "i8", 0.1, 0), tensor("y", (1, 1, 1, 1), "i8", 0.1, 0)
    (part,) = lower_average_pool("tflite", source, target, (count,))
    sums = np.arange(-128 * count, 127 * count + 1)
    expected = np.sign(sums) * ((2 * abs(sums) + count) // (2 * count))
    assert np.array_equal(apply_requantization(sums, part), expected)


@pytest.mark.parametrize(("axes", "keepdims"), [([2, 3], True), ([2, 3], False), ([1], False), ([-1], True)])
def test_global_average_pool_and_reduce_max_work_over_axes(axes, keepdims):
    shape = (2, 3, 4, 5)
    result = np.zeros(shape).max(axis=tuple(axes), keepdims=keepdims).shape
    source, target = tensor("x", shape, "u8", 0.1, 30), tensor("y", result, "u8", 0.04, 3)
    codes = random_codes(np.random.default_rng(2), source, stack=2)
    attributes = {"axes": axes, "keepdims": keepdims}
    count = math.prod(shape[axis] for axis in axes)
    requantize = lower_global_average_pool("exact", source, target, count)
    found = run_one("global_average_pool", [source], target, [codes], attributes, {}, requantize)
    sums = offsets(codes, source).sum(axis=tuple(axes), keepdims=keepdims)
    assert np.array_equal(found, apply_requantization(sums, requantize))
    same = tensor("y", result, "u8", 0.1, 30)
    largest = run_one("reduce_max", [source], same, [codes], attributes)
    assert np.array_equal(largest, codes.max(axis=tuple(axes), keepdims=keepdims))


@pytest.mark.parametrize("type", ["u8", "i8", "i16"])
@pytest.mark.parametrize("target_scale", [0.1, 0.13])
def test_resize_linear_equals_the_doubly_weighted_sum(type, target_scale):
    source, target = tensor("x", (1, 2, 4, 5), type, 0.1, 7), tensor("y", (1, 2, 9, 7), type, target_scale, 12)
    rows, columns = linear_positions(4, 9), linear_positions(5, 7)
    requantize = lower_resize_linear("exact", source, target)
    codes = random_codes(np.random.default_rng(3), source, stack=2)
    constants = {
        "row_low": rows.low,
        "row_high": rows.high,
        "row_weight": rows.weight,
        "column_low": columns.low,
        "column_high": columns.high,
        "column_weight": columns.weight,
    }
    found = run_one("resize_linear", [source], target, [codes], {"weight_bits": 11}, constants, requantize)
    x = offsets(codes, source)
    for n, c, i, j in np.ndindex(*found.shape):
        total = 0
        for row, row_weight in ((rows.low[i], 2048 - rows.weight[i]), (rows.high[i], rows.weight[i])):
            for column, weight in (
                (columns.low[j], 2048 - columns.weight[j]),
                (columns.high[j], columns.weight[j]),
            ):
                total += int(x[n, c, row, column]) * int(row_weight) * int(weight)
        assert found[n, c, i, j] == apply_requantization(np.array(total), requantize)


def test_resize_nearest_copies_codes():
    source, target = tensor("x", (1, 2, 3, 4), "i8", 0.1, 7), tensor("y", (1, 2, 6, 8), "i8", 0.1, 7)
    constants = {"rows": nearest_positions(3, 6), "columns": nearest_positions(4, 8)}
    codes = random_codes(np.random.default_rng(4), source, stack=2)
    found = run_one("resize_nearest", [source], target, [codes], {}, constants)
    assert np.array_equal(found, codes.repeat(2, axis=2).repeat(2, axis=3))


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize(
    ("source_type", "target"),
    [("u8", ("u8", 1 / 256, 0)), ("i8", ("i8", 1 / 256, -128)), ("i16", ("i16", 1 / 32768, 0))],
)
@pytest.mark.parametrize("scale", [0.5, 0.05, 0.002])
def test_softmax_is_the_correctly_rounded_share(axis, source_type, target, scale):
    source, result = tensor("x", (1, 6, 50), source_type, scale, 7), tensor("y", (1, 6, 50), *target)
    codes = random_codes(np.random.default_rng(5), source, stack=2)
    attributes = {"axis": axis, "denominator": softmax_denominator(result)}
    found = run_one("softmax", [source], result, [codes], attributes, {"exponential": softmax_exponential(source)})
    x = offsets(codes, source) * scale
    shares = np.exp(x - x.max(axis=axis, keepdims=True))
    shares /= shares.sum(axis=axis, keepdims=True)
    limits = np.iinfo(found.dtype)
    expected = np.clip(np.rint(shares / result.scale) + result.zero_point, limits.min, limits.max)
    tolerance = 0 if found.itemsize == 1 else 1
    assert abs(found.astype(int) - expected).max() <= tolerance


def test_softmax_of_equal_codes_is_an_equal_share():
    source, target = tensor("x", (1, 4), "u8", 0.1, 0), tensor("y", (1, 4), "u8", 1 / 256, 0)
    attributes = {"axis": -1, "denominator": 256}
    constants = {"exponential": softmax_exponential(source)}
    found = run_one("softmax", [source], target, [np.full((1, 4), 9, np.uint8)], attributes, constants)
    assert found.tolist() == [[64, 64, 64, 64]]
