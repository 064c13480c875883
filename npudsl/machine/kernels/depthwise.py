"""Depthwise convolution as shifted multiply-adds.

A padded plane is read as one flat row, so that the tap (i, j) is the same row a constant distance further on and numpy
runs over long contiguous memory whatever the width is. The elements between the rows of the output are computed too
and dropped. With a stride s the plane is first split into its s x s phases, each of which is read with stride 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npudsl.machine.kernels.context import Array
from npudsl.machine.kernels.window import Window
from npudsl.numerics.fast_requantize import Requantizer

BLOCK_ELEMENTS = 1 << 16
"""Elements of the planes that are worked on at once: 256 KiB in float32."""


def depthwise_kernel(
    weights: Array, zero_point: int, window: Window, requantizer: Requantizer, group: int
) -> Callable[[Array, Array], None]:
    """From an image (C, H, W) to ``out`` (C * m, OH, OW); ``weights`` are (C * m, 1, kh, kw)."""
    kernel = _Depthwise(weights[:, 0], zero_point, window, requantizer)
    multiplicity = weights.shape[0] // group

    def run(image: Array, out: Array) -> None:
        kernel.run(image if multiplicity == 1 else np.repeat(image, multiplicity, axis=0), out)

    return run


class _Depthwise:
    def __init__(self, weights: Array, zero_point: int, window: Window, requantizer: Requantizer) -> None:
        self.weights = weights
        self.zero_point = zero_point
        self.window = window
        self.requantizer = requantizer
        reach = [
            (window.output[axis] - 1) * window.strides[axis] + (window.kernel[axis] - 1) * window.dilations[axis] + 1
            for axis in (0, 1)
        ]
        self.phase_size = tuple(-(-reach[axis] // window.strides[axis]) for axis in (0, 1))
        """Height and width of one phase plane."""

    def run(self, image: Array, out: Array) -> None:
        """One image (C, H, W) into ``out`` (C, OH, OW), a few channels at a time."""
        height, width = self.window.output
        row = self.phase_size[1]
        length = (height - 1) * row + width
        step = max(1, BLOCK_ELEMENTS // (self.phase_size[0] * row))
        codes = np.empty((min(step, image.shape[0]), height * row), dtype=out.dtype)
        for start in range(0, image.shape[0], step):
            channels = slice(start, start + step)
            phases = self._phases(image[channels])
            sums = self._sums(phases, self.weights[channels], length)
            block = codes[: sums.shape[0]]
            self.requantizer(sums, block[:, :length], start)
            out[channels] = block.reshape(-1, height, row)[:, :, :width]

    def _sums(self, phases: Array, weights: Array, length: int) -> Array:
        """The weighted sum over all taps: (C, length) with the gaps between rows filled by values nobody reads."""
        row = self.phase_size[1]
        sums: Array | None = None
        product = np.empty((weights.shape[0], length), dtype=weights.dtype)
        for i in range(weights.shape[1]):
            for j in range(weights.shape[2]):
                down, phase_row = divmod(i * self.window.dilations[0], self.window.strides[0])
                along, phase_column = divmod(j * self.window.dilations[1], self.window.strides[1])
                start = down * row + along
                tap = phases[phase_row, phase_column, :, start : start + length]
                if sums is None:
                    sums = tap * weights[:, i, j, None]
                else:
                    np.multiply(tap, weights[:, i, j, None], out=product)
                    sums += product
        assert sums is not None
        return sums

    def _phases(self, image: Array) -> Array:
        """x - z of an image, padded and split into phases: (sh, sw, C, flat plane)."""
        rows, columns = self.phase_size
        down, along = self.window.strides
        planes = np.zeros((image.shape[0], rows * down, columns * along), dtype=self.weights.dtype)
        self._fill(planes, image)
        split = planes.reshape(image.shape[0], rows, down, columns, along).transpose(2, 4, 0, 1, 3)
        return np.ascontiguousarray(split).reshape(down, along, image.shape[0], rows * columns)

    def _fill(self, planes: Array, image: Array) -> None:
        """Place x - z inside the planes; what no window reaches is left out."""
        top, left = self.window.pads[:2]
        cut = image[:, max(-top, 0) :, max(-left, 0) :]
        inner = planes[:, max(top, 0) : max(top, 0) + cut.shape[1], max(left, 0) : max(left, 0) + cut.shape[2]]
        inner[...] = cut[:, : inner.shape[1], : inner.shape[2]]
        if self.zero_point:
            inner -= planes.dtype.type(self.zero_point)
