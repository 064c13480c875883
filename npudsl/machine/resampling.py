"""Source positions of a resize: indices and integer weights for every ONNX coordinate transformation.

Coordinates are computed in float32, as onnxruntime does; which neighbour ``nearest`` takes can depend on that. Weights
of ``linear`` have 11 fraction bits (eq. 29).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.machine.lowering import RESIZE_WEIGHT_BITS

COORDINATE_MODES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
)
NEAREST_MODES = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")

Indices = NDArray[np.int32]


@dataclass(frozen=True)
class LinearPositions:
    """Per output position: the two source indices and the weight of ``high`` in 1/2048 (0..2048), unless said."""

    low: Indices
    high: Indices
    weight: Indices


def source_coordinates(
    size: int, output_size: int, mode: str = "half_pixel", scale: float | None = None
) -> NDArray[np.float32]:
    """Where each output position lies in an axis of ``size`` elements (eq. 29).

    ``scale`` is the model's factor; None: ``output_size / size``, as for a resize given by sizes. Raises ValueError for
    a mode outside ``COORDINATE_MODES``.
    """
    one, half = np.float32(1), np.float32(0.5)
    factor = np.float32(output_size) / np.float32(size) if scale is None else np.float32(scale)
    position = np.arange(output_size, dtype=np.float32)
    match mode:
        case "half_pixel":
            return (position + half) / factor - half
        case "half_pixel_symmetric":
            adjustment = np.float32(output_size) / (factor * np.float32(size))
            offset = np.float32(size) / np.float32(2) * (one - adjustment)
            return offset + ((position + half) / factor - half)
        case "pytorch_half_pixel":
            return (position + half) / factor - half if output_size > 1 else position * 0
        case "align_corners":
            return position * np.float32(size - 1) / np.float32(output_size - 1) if output_size > 1 else position * 0
        case "asymmetric":
            return position / factor
        case _:
            raise ValueError(f"coordinate transformation {mode!r} is none of {', '.join(COORDINATE_MODES)}")


def linear_positions(
    size: int, output_size: int, mode: str = "half_pixel", scale: float | None = None
) -> LinearPositions:
    """Indices and weights of one axis of ``resize_linear``; positions outside take the edge element."""
    low, high, fraction = linear_neighbours(size, output_size, mode, scale)
    weight = np.rint(fraction.astype(np.float64) * (1 << RESIZE_WEIGHT_BITS))
    return LinearPositions(low, high, weight.astype(np.int32))


TFLITE_WEIGHT_BITS = 10
TFLITE_MODES = ("half_pixel", "align_corners", "asymmetric")


def tflite_linear_positions(size: int, output_size: int, mode: str) -> LinearPositions:
    """Indices and weights of one axis as TensorFlow Lite's 8-bit kernel has them: everything in 1/1024 (eq. 39).

    ``mode`` is one of ``TFLITE_MODES``; the weight of ``high`` is in 1/1024 (0..1024).
    """
    unit = 1 << TFLITE_WEIGHT_BITS
    position = np.arange(output_size, dtype=np.int64)
    if mode == "align_corners" and output_size > 1:
        step = (unit * (size - 1) + (output_size - 1) // 2) // (output_size - 1)
    else:
        step = (unit * size + output_size // 2) // output_size
    scaled = position * step
    if mode == "half_pixel":
        scaled += step // 2 - unit // 2
    low = np.maximum(scaled, 0) // unit
    high = np.minimum(np.maximum(scaled + unit - 1, 0) // unit, size - 1)
    low = np.minimum(low, size - 1)
    weight = np.where(low == high, 0, scaled - low * unit)
    return LinearPositions(low.astype(np.int32), high.astype(np.int32), weight.astype(np.int32))


def linear_neighbours(
    size: int, output_size: int, mode: str = "half_pixel", scale: float | None = None
) -> tuple[Indices, Indices, NDArray[np.float32]]:
    """Both source indices of one axis and the share of the higher one, as real numbers."""
    coordinates = np.clip(source_coordinates(size, output_size, mode, scale), 0, size - 1)
    low = np.floor(coordinates).astype(np.int32)
    high = np.minimum(low + 1, size - 1).astype(np.int32)
    return low, high, coordinates - low.astype(np.float32)


def nearest_positions(
    size: int,
    output_size: int,
    mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    scale: float | None = None,
) -> Indices:
    """Source index of each output position of ``resize_nearest`` along one axis."""
    coordinates = source_coordinates(size, output_size, mode, scale)
    match nearest_mode:
        case "round_prefer_floor":
            picked: NDArray[Any] = np.ceil(coordinates - np.float32(0.5))
        case "round_prefer_ceil":
            picked = np.floor(coordinates + np.float32(0.5))
        case "floor":
            picked = np.floor(coordinates)
        case "ceil":
            picked = np.ceil(coordinates)
        case _:
            raise ValueError(f"nearest mode {nearest_mode!r} is none of {', '.join(NEAREST_MODES)}")
    indices: Indices = np.clip(picked, 0, size - 1).astype(np.int32)
    return indices
