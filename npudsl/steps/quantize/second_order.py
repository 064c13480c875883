"""Weights rounded so that the layer's output moves least, not the weights: second-order rounding and range search.

The output error of a row of weights off by ``e`` is ``e' C e`` with the covariance C of the layer's input. Weights are
rounded one by one, the tap whose input varies most first, and what rounding one of them did to the output is made up
for by the weights not yet rounded: with the Cholesky factor U of inv(C), column i adds ``-error / U[i, i] * U[i, i + 1
:]`` (the recursion of Optimal Brain Surgeon in the order-free form of Frantar and others, *GPTQ*, 2022; for a layer the
result is what AdaRound approaches by gradient descent). The range is searched at the same time: a narrower one clips a
few large weights and rounds all others finer, and the output says which of the two counts for more.

Deterministic: no random numbers, fixed order of rows, columns and candidates, float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.steps.quantize.input_moments import InputMoments

Array = NDArray[Any]

LEAST_DAMPING = 0.01
"""Share of the mean variance that is added to every tap's own: keeps the factorization away from zero."""

BLOCK = 64
"""Columns whose corrections are applied to the columns behind them in one product."""

ROW_ELEMENTS = 1 << 22
"""Elements of the rows that are worked on together (32 MiB)."""


@dataclass(frozen=True)
class Grid:
    """The codes that weights may take. ``scales`` has one entry, or one per output channel (groups * rows)."""

    scales: Array
    zero_point: int
    low: int
    high: int

    def rows(self, weights: Array) -> tuple[Array, Array]:
        """Scale and zero point (groups, rows) of every row of ``weights`` (groups, rows, taps)."""
        shape = weights.shape[:2]
        scales = np.broadcast_to(self.scales, shape[0] * shape[1]).reshape(shape)
        return scales, np.full(shape, float(self.zero_point))


class SecondOrder:
    """Rounds the weights of one layer (or of a run of its taps) under one set of input moments."""

    def __init__(self, moments: InputMoments) -> None:
        self._covariance = moments.covariance
        self._order, self._factors = _factors(moments)

    def rounded(self, weights: Array, grid: Grid) -> tuple[Array, Array]:
        """Codes (groups, rows, taps) of real ``weights`` of that shape, and the error (groups, rows) of every row.

        A row never comes out worse than rounded to the nearest.
        """
        plain = nearest(weights, grid)
        better = self._by_order(weights, grid)
        plain_error, better_error = self.errors(weights, plain, grid), self.errors(weights, better, grid)
        worse = better_error > plain_error
        return np.where(worse[:, :, None], plain, better), np.where(worse, plain_error, better_error)

    def errors(self, weights: Array, codes: Array, grid: Grid) -> Array:
        """Expected squared output error (groups, rows) in squared input codes, the mean of the error left out."""
        scales, zeros = grid.rows(weights)
        off = (codes - zeros[:, :, None]) * scales[:, :, None] - weights
        errors: Array = ((off @ self._covariance) * off).sum(axis=2)
        return errors

    def _by_order(self, weights: Array, grid: Grid) -> Array:
        groups, rows, taps = weights.shape
        scales, zeros = grid.rows(weights)
        order = self._order[:, None, :]
        codes = np.empty(weights.shape)
        height = max(1, ROW_ELEMENTS // max(1, groups * taps))
        for start in range(0, rows, height):
            part = slice(start, start + height)
            sorted_rows = np.take_along_axis(weights[:, part].astype(np.float64), order, axis=2)
            made = _rounded_in_order(sorted_rows, scales[:, part], zeros[:, part], grid, self._factors)
            block = np.empty(made.shape)
            np.put_along_axis(block, np.broadcast_to(order, made.shape), made, axis=2)
            codes[:, part] = block
        return codes


def nearest(weights: Array, grid: Grid) -> Array:
    """Codes (groups, rows, taps) by rounding every weight to the nearest."""
    scales, zeros = grid.rows(weights)
    codes: Array = np.clip(np.rint(weights / scales[:, :, None]) + zeros[:, :, None], grid.low, grid.high)
    return codes


def damping_of(moments: InputMoments) -> float:
    """The damping share: more where few positions were seen for many taps, up to plain rounding's metric."""
    taps: int = moments.covariance.shape[1]
    return min(1.0, max(LEAST_DAMPING, taps / moments.rows))


def _factors(moments: InputMoments) -> tuple[Array, Array]:
    """Per group: the order of taps, and the upper Cholesky factor of the inverse covariance in that order."""
    covariance = moments.covariance
    variances = np.einsum("gii->gi", covariance)
    order = np.argsort(-variances, axis=1, kind="stable")
    damping = np.maximum(damping_of(moments) * variances.mean(axis=1), 1.0 / moments.rows)
    sorted_ = np.take_along_axis(np.take_along_axis(covariance, order[:, :, None], 1), order[:, None, :], 2)
    taps = covariance.shape[1]
    sorted_ = sorted_ + damping[:, None, None] * np.eye(taps)
    inverse = np.linalg.inv(sorted_)
    lower = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2)
    return order, lower.transpose(0, 2, 1)


def _rounded_in_order(weights: Array, scales: Array, zeros: Array, grid: Grid, factors: Array) -> Array:
    """Codes of sorted ``weights``, which are used up."""
    codes = np.empty(weights.shape)
    taps = weights.shape[2]
    for start in range(0, taps, BLOCK):
        end = min(start + BLOCK, taps)
        errors = np.empty((*weights.shape[:2], end - start))
        for column in range(start, end):
            values = weights[:, :, column]
            chosen = np.clip(np.rint(values / scales) + zeros, grid.low, grid.high)
            codes[:, :, column] = chosen
            error = (values - (chosen - zeros) * scales) / factors[:, column, column][:, None]
            errors[:, :, column - start] = error
            weights[:, :, column + 1 : end] -= error[:, :, None] * factors[:, column, column + 1 : end][:, None, :]
        weights[:, :, end:] -= errors @ factors[:, start:end, end:]
    return codes
