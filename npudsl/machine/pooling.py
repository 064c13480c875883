"""Windows of pools: output size, padding with ``ceil_mode`` resolved, and how many elements each average divides by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PoolWindows:
    """``pads`` (top, left, bottom, right) cover every window; a window never starts behind the padded input."""

    output: tuple[int, int]
    pads: tuple[int, int, int, int]


@dataclass(frozen=True)
class PoolDivisors:
    """``divisors`` are distinct and ascending; ``index`` (uint8, output H x W) says which one a position uses."""

    divisors: tuple[int, ...]
    index: NDArray[np.uint8]


def pool_windows(
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    dilations: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> PoolWindows:
    """Output size and resolved padding of a pool over ``size`` (height, width), by the ONNX rules."""
    axes = [
        _axis_windows(size[axis], kernel[axis], strides[axis], pads[axis], pads[axis + 2], dilations[axis], ceil_mode)
        for axis in (0, 1)
    ]
    return PoolWindows((axes[0][0], axes[1][0]), (pads[0], pads[1], axes[0][1], axes[1][1]))


def average_pool_divisors(
    size: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[int],
    output: Sequence[int],
    count_include_pad: bool = False,
) -> PoolDivisors:
    """How many elements each output position averages over (eq. 28).

    ``pads`` are those of the model: ``count_include_pad`` counts them, but not what ``ceil_mode`` adds behind them.
    """
    counts = [
        _axis_counts(
            size[axis], kernel[axis], strides[axis], pads[axis], pads[axis + 2], output[axis], count_include_pad
        )
        for axis in (0, 1)
    ]
    grid = np.multiply.outer(counts[0], counts[1])
    divisors, index = np.unique(grid, return_inverse=True)
    if divisors.size > 256:
        raise ValueError(f"an average pool with {divisors.size} distinct divisors is more than 256")
    return PoolDivisors(tuple(int(item) for item in divisors), index.reshape(grid.shape).astype(np.uint8))


def _axis_windows(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, ceil_mode: bool
) -> tuple[int, int]:
    """Number of windows, and the padding behind that they reach or the model asks for, whichever is more."""
    reach = dilation * (kernel - 1) + 1
    room = size + before + after - reach
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + before:
        count -= 1
    needed = (count - 1) * stride + reach - size - before
    return count, max(after, needed)


def _axis_counts(
    size: int, kernel: int, stride: int, before: int, after: int, count: int, count_include_pad: bool
) -> NDArray[Any]:
    """Elements of the windows along one axis that take part in the divisor."""
    starts = np.arange(count) * stride - before
    first, last = (-before, size + after) if count_include_pad else (0, size)
    counts: NDArray[Any] = np.maximum(np.minimum(starts + kernel, last) - np.maximum(starts, first), 1)
    return counts
