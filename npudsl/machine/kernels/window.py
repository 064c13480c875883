"""Geometry that convolutions share: window, padded planes, and the number type that keeps their sums exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npudsl.machine.kernels.context import Array, LayerContext


@dataclass(frozen=True)
class Window:
    """Geometry of a 2-D convolution: all pairs are (height, width)."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]
    size: tuple[int, int]
    output: tuple[int, int]

    @property
    def is_pointwise(self) -> bool:
        return self.kernel == (1, 1) and not any(self.pads)


def convolution_window(context: LayerContext, weight_shape: tuple[int, ...]) -> Window:
    """The layer's geometry; a 1-D tensor (N, C, W) is viewed as (N, C, 1, W)."""
    size, output = context.input.shape[2:], context.output.shape[2:]
    return Window(
        kernel=(weight_shape[2], weight_shape[3]),
        strides=tuple(context.attribute("strides")),
        dilations=tuple(context.attribute("dilations")),
        pads=tuple(context.attribute("pads")),
        size=(1, size[0]) if len(size) == 1 else (size[0], size[1]),
        output=(1, output[0]) if len(output) == 1 else (output[0], output[1]),
    )


def working_type(bound: int) -> str:
    """The fastest numpy type that holds every integer up to ``bound`` exactly."""
    if bound < 2**24:
        return "float32"
    return "float64" if bound < 2**53 else "int64"


def padded_planes(image: Array, zero_point: int, window: Window, dtype: np.dtype[np.generic]) -> Array:
    """x - z of an image (C, H, W) with zeros around it (or cut off where a pad is negative)."""
    top, left, bottom, right = window.pads
    height, width = window.size
    planes = np.zeros((image.shape[0], height + top + bottom, width + left + right), dtype=dtype)
    cut = image[:, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
    inner = planes[:, max(top, 0) : max(top, 0) + cut.shape[1], max(left, 0) : max(left, 0) + cut.shape[2]]
    inner[...] = cut
    if zero_point:
        inner -= planes.dtype.type(zero_point)
    return planes
