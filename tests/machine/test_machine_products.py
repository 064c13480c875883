"""Matrix products on the machine."""

from __future__ import annotations

import numpy as np
import pytest
from machine_harness import apply_requantization, offsets, random_codes, run_one, tensor

from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.machine.bounds import accumulator_bound
from npudsl.machine.lowering import lower_matmul, lower_weighted


@pytest.mark.parametrize(("shape", "result"), [((2, 6), (2, 5)), ((2, 3, 6), (2, 3, 5)), ((2, 6, 1, 1), (2, 5))])
@pytest.mark.parametrize("types", [("u8", "i8", "u8"), ("u8", "u8", "i8"), ("i16", "i16", "i16")])
def test_linear_equals_integer_matrix_product(shape, result, types):
    generator = np.random.default_rng(0)
    source, target = tensor("x", shape, types[0], 0.1, 4), tensor("y", result, types[2], 0.7, 3)
    weight_zero_point = 11 if types[1] == "u8" else 0
    weights = random_codes(generator, tensor("w", (5, 6), types[1]))
    bias = generator.integers(-900, 900, 5)
    scales = (0.01,) * 5 if types[1] == "i8" else (0.02,)
    quantized = WeightQuantization("w", "layer", (5, 6), types[1], "asym", scales, weight_zero_point)
    largest = accumulator_bound(weights, weight_zero_point, source, bias)
    requantize = lower_weighted("exact", "linear", source, quantized, target, None, largest)
    codes = random_codes(generator, source, stack=3)
    found = run_one(
        "linear",
        [source],
        target,
        [codes],
        {"weight_zero_point": weight_zero_point},
        {"weight": weights, "bias": bias},
        requantize,
    )
    sums = offsets(codes, source).reshape(-1, 6) @ (weights.astype(np.int64) - weight_zero_point).T + bias
    expected = apply_requantization(sums, requantize, channel_axis=1)
    assert np.array_equal(found, expected.reshape(result[0] * 3, *result[1:]))


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ((2, 3, 4), (2, 4, 5), (2, 3, 5)),
        ((2, 3, 4), (4, 5), (2, 3, 5)),
        ((3, 4), (2, 4, 5), (2, 3, 5)),
        ((2, 3, 4), (4,), (2, 3)),
        ((4,), (2, 4, 5), (2, 5)),
        ((2, 1, 3, 4), (1, 6, 4, 5), (2, 6, 3, 5)),
    ],
)
def test_matmul_broadcasts_like_numpy(first, second, result):
    generator = np.random.default_rng(0)
    a, b = tensor("a", first, "u8", 0.1, 120), tensor("b", second, "i8", 0.2, -3)
    target = tensor("y", result, "u8", 40.0, 128)
    requantize = lower_matmul("exact", a, b, target)
    codes = random_codes(generator, a), random_codes(generator, b)
    found = run_one("matmul", [a, b], target, codes, {}, {}, requantize)
    sums = np.matmul(offsets(codes[0], a), offsets(codes[1], b))
    assert np.array_equal(found, apply_requantization(sums, requantize))


def test_matmul_of_sixteen_bit_codes_does_not_overflow():
    a, b = tensor("a", (1, 1, 600), "i16", 0.1, -32768), tensor("b", (1, 600, 1), "i16", 0.1, -32768)
    target = tensor("y", (1, 1, 1), "i16", 0.1 * 0.1 * 600 * 65535, 0)
    requantize = lower_matmul("exact", a, b, target)
    codes = [np.full(item.shape, 32767, dtype=np.int16) for item in (a, b)]
    found = run_one("matmul", [a, b], target, codes, {}, {}, requantize)
    assert found.item() == 32767
    sums = np.full((1, 1, 1), 600 * 65535**2)
    assert np.array_equal(found, apply_requantization(sums, requantize))
