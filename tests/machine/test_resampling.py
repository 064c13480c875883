"""Resize positions against onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from machine_harness import run_one, tensor
from onnx_oracle import run_node

from npudsl.machine.float_ops.table import FLOAT_OPS
from npudsl.machine.lowering import lower_resize_linear
from npudsl.machine.resampling import (
    COORDINATE_MODES,
    NEAREST_MODES,
    linear_positions,
    nearest_positions,
    source_coordinates,
)

FACTORS = [2.0, 3.0, 0.5, 1.5, 0.6, 2.3]
PAIRS = [
    (coordinate, factor)
    for coordinate in COORDINATE_MODES
    for factor in FACTORS
    if coordinate != "half_pixel_symmetric" or factor not in (0.6, 1.5)
]
"""Without the two whose float32 ties depend on the order of operations inside onnxruntime."""


def resized(x, mode, coordinate, nearest="round_prefer_floor", scales=None, sizes=None):
    """onnxruntime's result."""
    inputs = [("x", x, False), ("", None, True)]
    if scales is not None:
        inputs.append(("scales", np.array(scales, np.float32), True))
    else:
        inputs += [("", None, True), ("sizes", np.array(sizes, np.int64), True)]
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinate}
    if mode == "nearest":
        attributes["nearest_mode"] = nearest
    return run_node("Resize", inputs, attributes)[0]


def ours(x, mode, coordinate, nearest="round_prefer_floor", scales=None, sizes=None):
    inputs = [x, None, None if scales is None else np.array(scales, np.float32), None]
    inputs[3] = None if sizes is None else np.array(sizes, np.int64)
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinate, "nearest_mode": nearest}
    return FLOAT_OPS["Resize"](inputs, attributes)[0]


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).normal(size=(1, 2, 10, 7)).astype(np.float32)


@pytest.mark.parametrize(("coordinate", "factor"), PAIRS)
@pytest.mark.parametrize("nearest", NEAREST_MODES)
def test_nearest_positions_are_those_of_onnxruntime(image, coordinate, nearest, factor):
    scales = [1.0, 1.0, factor, factor]
    expected = resized(image, "nearest", coordinate, nearest, scales)
    rows = nearest_positions(10, expected.shape[2], coordinate, nearest, factor)
    columns = nearest_positions(7, expected.shape[3], coordinate, nearest, factor)
    assert np.array_equal(image[:, :, rows][:, :, :, columns], expected)
    assert np.array_equal(ours(image, "nearest", coordinate, nearest, scales), expected)


@pytest.mark.parametrize("coordinate", COORDINATE_MODES)
@pytest.mark.parametrize("factor", FACTORS)
def test_linear_positions_are_those_of_onnxruntime(image, coordinate, factor):
    scales = [1.0, 1.0, factor, factor]
    expected = resized(image, "linear", coordinate, scales=scales)
    assert ours(image, "linear", coordinate, scales=scales) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("coordinate", COORDINATE_MODES)
@pytest.mark.parametrize("size", [(20, 14), (5, 3), (13, 1), (1, 1), (10, 9)])
def test_a_resize_given_by_sizes_uses_their_ratio(image, mode, coordinate, size):
    sizes = [1, 2, *size]
    expected = resized(image, mode, coordinate, sizes=sizes)
    assert ours(image, mode, coordinate, sizes=sizes) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("coordinate", COORDINATE_MODES)
@pytest.mark.parametrize("factor", [2.0, 0.6, 2.3])
def test_the_integer_resize_is_the_real_one_rounded(coordinate, factor):
    codes = np.random.default_rng(1).integers(0, 256, (1, 2, 10, 7)).astype(np.uint8)
    expected = resized(codes.astype(np.float32), "linear", coordinate, scales=[1.0, 1.0, factor, factor])
    source, target = tensor("x", codes.shape, "u8", 0.1, 30), tensor("y", expected.shape, "u8", 0.1, 30)
    rows = linear_positions(10, expected.shape[2], coordinate, factor)
    columns = linear_positions(7, expected.shape[3], coordinate, factor)
    constants = {
        **{f"row_{role}": getattr(rows, role) for role in ("low", "high", "weight")},
        **{f"column_{role}": getattr(columns, role) for role in ("low", "high", "weight")},
    }
    requantize = lower_resize_linear("exact", source, target)
    found = run_one("resize_linear", [source], target, [codes], {"weight_bits": 11}, constants, requantize)
    assert abs(found - expected).max() <= 0.5 + 255 * 2 * 2.0**-12 + 1e-3


def test_weights_and_indices_stay_inside():
    positions = linear_positions(5, 17)
    assert positions.low.min() == 0
    assert positions.high.max() == 4
    assert positions.weight.min() >= 0
    assert positions.weight.max() <= 2048


def test_unknown_modes_are_refused_with_the_names():
    with pytest.raises(ValueError, match="half_pixel, half_pixel_symmetric"):
        source_coordinates(3, 6, "tf_crop_and_resize")
    with pytest.raises(ValueError, match="round_prefer_floor"):
        nearest_positions(3, 6, nearest_mode="nearest")
