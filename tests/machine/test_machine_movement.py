"""Data movement and float borders on the machine; every one also with several samples at once."""

from __future__ import annotations

import numpy as np
import pytest
from machine_harness import random_codes, run_one, tensor

from npudsl.artifacts.quantized_model import Requantization

SHAPE = (2, 4, 6, 8)


def each_sample(codes, function):
    """A function of one declared tensor, applied to both samples of a stack."""
    return np.concatenate([function(codes[:2]), function(codes[2:])])


CASES = {
    "reshape": ("reshape", (4, 96), {}, lambda x: x.reshape(4, 96)),
    "reshape that splits the batch": ("reshape", (3, 2, 64), {}, lambda x: x.reshape(3, 2, 64)),
    "identity": ("identity", SHAPE, {}, lambda x: x),
    "transpose": ("transpose", (2, 6, 8, 4), {"permutation": [0, 2, 3, 1]}, lambda x: x.transpose(0, 2, 3, 1)),
    "transpose of the batch": (
        "transpose",
        (4, 2, 8, 6),
        {"permutation": [1, 0, 3, 2]},
        lambda x: x.transpose(1, 0, 3, 2),
    ),
    "slice": (
        "slice",
        (2, 2, 2, 8),
        {"starts": [0, 1, 5, 0], "ends": [2, 3, 0, 8], "steps": [1, 1, -3, 1]},
        lambda x: x[:, 1:3, 5:0:-3],
    ),
    "slice backwards to the first element": (
        "slice",
        SHAPE,
        {"starts": [1, 0, 0, 7], "ends": [-1, 4, 6, -1], "steps": [-1, 1, 1, -1]},
        lambda x: x[::-1, :, :, ::-1],
    ),
    "pad": (
        "pad",
        (2, 4, 9, 8),
        {"pads": [0, 0, 1, 0, 0, 0, 2, 0], "code": 9, "mode": "constant"},
        lambda x: np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 0)), constant_values=9),
    ),
    "pad by reflection": (
        "pad",
        (2, 4, 6, 13),
        {"pads": [0, 0, 0, 3, 0, 0, 0, 2], "mode": "reflect"},
        lambda x: np.pad(x, ((0, 0), (0, 0), (0, 0), (3, 2)), mode="reflect"),
    ),
    "pad by the edge, cut on the other side": (
        "pad",
        (2, 4, 6, 8),
        {"pads": [0, 0, 0, 3, 0, 0, 0, -3], "mode": "edge"},
        lambda x: np.pad(x[..., :5], ((0, 0), (0, 0), (0, 0), (3, 0)), mode="edge"),
    ),
    "depth to space DCR": (
        "depth_to_space",
        (2, 1, 12, 16),
        {"block": 2, "mode": "DCR"},
        lambda x: x.reshape(2, 2, 2, 1, 6, 8).transpose(0, 3, 4, 1, 5, 2).reshape(2, 1, 12, 16),
    ),
    "depth to space CRD": (
        "depth_to_space",
        (2, 1, 12, 16),
        {"block": 2, "mode": "CRD"},
        lambda x: x.reshape(2, 1, 2, 2, 6, 8).transpose(0, 1, 4, 2, 5, 3).reshape(2, 1, 12, 16),
    ),
    "space to depth": (
        "space_to_depth",
        (2, 16, 3, 4),
        {"block": 2},
        lambda x: x.reshape(2, 4, 3, 2, 4, 2).transpose(0, 3, 5, 1, 2, 4).reshape(2, 16, 3, 4),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("type", ["u8", "i16"])
def test_codes_move_and_keep_their_value(name, type):
    operation, shape, attributes, function = CASES[name]
    source, target = tensor("x", SHAPE, type, 0.1, 5), tensor("y", shape, type, 0.1, 5)
    codes = random_codes(np.random.default_rng(0), source, stack=2)
    found = run_one(operation, [source], target, [codes], attributes)
    assert found.dtype == codes.dtype
    assert np.array_equal(found, each_sample(codes, function))


@pytest.mark.parametrize("indices", [np.array([3, 0, 0]), np.array(2), np.array([[1, -1]])])
@pytest.mark.parametrize("axis", [1, -1])
def test_gather_picks_constant_indices(indices, axis):
    shape = np.take(np.empty(SHAPE), indices, axis=axis).shape
    source, target = tensor("x", SHAPE, "u8"), tensor("y", shape, "u8")
    codes = random_codes(np.random.default_rng(1), source, stack=2)
    found = run_one("gather", [source], target, [codes], {"axis": axis}, {"indices": indices})
    assert np.array_equal(found, np.take(codes, indices, axis=axis))


def test_padding_without_a_code_is_the_zero_point():
    source, target = tensor("x", (1, 2), "u8", 0.1, 5), tensor("y", (1, 4), "u8", 0.1, 5)
    found = run_one("pad", [source], target, [np.array([[8, 9]], np.uint8)], {"pads": [0, 1, 0, 1]})
    assert found.tolist() == [[5, 8, 9, 5]]


def test_quantize_divides_rounds_to_even_and_saturates():
    source, target = tensor("x", (1, 6), "f32"), tensor("y", (1, 6), "u8", 0.5, 10)
    bounds = Requantization((1,), (0,), "half_even", 10, 0, 255)
    values = np.array([[0.25, 0.75, -0.25, 1e9, -np.inf, 0.0]], dtype=np.float32)
    found = run_one("quantize", [source], target, [values], {"scale": 0.5}, {}, bounds)
    assert found.tolist() == [[10, 12, 10, 255, 0, 10]]


def test_dequantize_rounds_the_exact_product_to_float32():
    source, target = tensor("x", (1, 256), "i8", 0.1, -7), tensor("y", (1, 256), "f32")
    codes = np.arange(-128, 128, dtype=np.int8)[None]
    found = run_one("dequantize", [source], target, [codes], {"scale": 0.1})
    assert found.dtype == np.float32
    assert np.array_equal(found, ((codes.astype(float) + 7) * 0.1).astype(np.float32))
