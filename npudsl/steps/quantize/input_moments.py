"""Second moments of what a weighted layer reads: which rounding errors of its weights reach its output, and how much.

The output error of weights off by ``e`` is, over the samples, ``e' C e`` plus the square of its mean, and the mean is
what the corrected bias takes away. So C, the covariance of the input values under the kernel's taps, is all that
rounding needs to know of the data. It is summed over codes: integers below 2**53, exact in any order of additions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

POSITIONS = 1024
"""Output pixels of a sample that are looked at: of a larger image every n-th row and column."""

LARGEST_BLOCK = 1024
"""Taps whose errors are seen together. A kernel with more is cut into runs of so many, each looked at alone."""


@dataclass(frozen=True)
class InputMoments:
    """``covariance`` (groups, taps, taps) in squared input codes, from ``rows`` positions."""

    covariance: Array
    rows: int


def moments(
    codes: Array, zero_point: int, operation: str, shape: Sequence[int], attributes: Mapping[str, Any]
) -> list[tuple[slice, InputMoments]]:
    """Per run of taps of the weights of ``shape``: which taps, and their moments.

    ``codes`` are the samples' inputs, stacked on the first axis.
    """
    groups = int(attributes["group"]) if operation == "conv" else 1
    taps = int(np.prod(shape[1:]))
    runs = [_Run(slice(start, min(start + LARGEST_BLOCK, taps)), groups) for start in range(0, taps, LARGEST_BLOCK)]
    for values in _columns(codes, zero_point, operation, shape, attributes, groups):
        for run in runs:
            run.add(values[:, run.taps])
    return [(run.taps, run.moments()) for run in runs]


class _Run:
    """The sums of a run of taps."""

    def __init__(self, taps: slice, groups: int) -> None:
        count = taps.stop - taps.start
        self.taps = taps
        self._products = np.zeros((groups, count, count))
        self._sums = np.zeros((groups, count))
        self._rows = 0

    def add(self, values: Array) -> None:
        """Take in columns (groups, taps, positions)."""
        self._products += values @ values.transpose(0, 2, 1)
        self._sums += values.sum(axis=2)
        self._rows += values.shape[2]

    def moments(self) -> InputMoments:
        means = self._sums / self._rows
        return InputMoments(self._products / self._rows - means[:, :, None] * means[:, None, :], self._rows)


def _columns(
    codes: Array, zero_point: int, operation: str, shape: Sequence[int], attributes: Mapping[str, Any], groups: int
) -> Iterator[Array]:
    """Input values (groups, taps, positions), some at a time."""
    if operation == "linear":
        rows = codes.reshape(-1, shape[1])
        for start in range(0, rows.shape[0], POSITIONS):
            yield rows[start : start + POSITIONS].astype(np.float64).T[None] - zero_point
        return
    for image in _images(codes):
        yield _patches(image, zero_point, shape, attributes, groups)


def _images(codes: Array) -> Array:
    """(samples, channels, height, width); a 1-D signal is an image of height 1."""
    images: Array = codes if codes.ndim == 4 else codes[:, :, None, :]
    return images


def _patches(image: Array, zero_point: int, shape: Sequence[int], attributes: Mapping[str, Any], groups: int) -> Array:
    """Input values (groups, taps, positions) of an image (channels, height, width); padding is zero."""
    top, left, bottom, right = attributes["pads"]
    padded = np.pad(image.astype(np.float64) - zero_point, ((0, 0), (top, bottom), (left, right)))
    (down, along), (row_gap, column_gap) = attributes["strides"], attributes["dilations"]
    kernel = ((shape[2] - 1) * row_gap + 1, (shape[3] - 1) * column_gap + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))
    windows = windows[:, ::down, ::along, ::row_gap, ::column_gap]
    every = _thinning(windows.shape[1], windows.shape[2])
    windows = windows[:, ::every, ::every]
    taps = windows.transpose(0, 3, 4, 1, 2)
    positions = taps.shape[3] * taps.shape[4]
    values: Array = taps.reshape(groups, taps.shape[0] // groups * taps.shape[1] * taps.shape[2], positions)
    return values


def _thinning(height: int, width: int) -> int:
    every = 1
    while -(-height // every) * -(-width // every) > POSITIONS:
        every += 1
    return every
