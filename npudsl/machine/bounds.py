"""How large an accumulator can get, from the real weights: decides which arithmetic is exact and which widths fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.numerics.affine import integer_type


def accumulator_bound(
    weights: NDArray[Any], weight_zero_point: int, input: TensorQuantization, bias: NDArray[Any] | None = None
) -> int:
    """Bound of |sum (x - z)(w - z_w) + bias| for any input codes (eq. 30).

    ``weights`` have the output channel first. The bound also holds for every partial sum in any order: it adds only the
    products that push one way, and padding adds none.
    """
    largest = np.maximum(*partial_sums(weights, weight_zero_point, input))
    if bias is not None:
        largest = largest + np.abs(np.asarray(bias, dtype=np.int64))
    return int(largest.max(initial=0))


def partial_sums(
    weights: NDArray[Any], weight_zero_point: int, input: TensorQuantization
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per output channel: the largest positive partial sum, and the magnitude of the largest negative one."""
    element = integer_type(input.type)
    above, below = element.maximum - input.zero_point, input.zero_point - element.minimum
    rows = weights.reshape(weights.shape[0], -1)
    total = rows.sum(axis=1, dtype=np.int64) - rows.shape[1] * weight_zero_point
    # numpy subtracts in the weights' own type otherwise
    magnitudes = np.abs(rows.astype(np.int32) - weight_zero_point).sum(axis=1, dtype=np.int64)
    positive, negative = (magnitudes + total) // 2, (magnitudes - total) // 2
    return positive * above + negative * below, positive * below + negative * above
