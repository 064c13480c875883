"""How far two runs of a network are apart: cosine, Euclidean distance, SQNR and their kin.

Every figure of one tensor and one sample is a function of eight sums (``Accumulator``), so a simulation keeps eight
numbers instead of two activations. Sums are made in float64, block by block in a fixed order: the same two arrays give
the same bits wherever they lie in memory, whatever they were stacked with and whatever processor adds them. In a block,
element i belongs to lane i mod 256; a lane adds its elements in order, starting from 0; then lanes i and i + 128 are
added, i and i + 64, and so on. ``runtime_c/host_floats.c`` adds in the same order.

With r the reference, c the candidate, e = c - r, n elements:

- cosine = sum(r c) / sqrt(sum(r r) sum(c c)); two zero vectors are equal (1), one has nothing in
  common with the other (0);
- euclidean = sqrt(sum(e e));
- std_dev = sqrt(sum((e - mean(e))^2) / n), the population standard deviation of the error;
- max_abs_error = max |e|;
- max_rel_error = max |e| / max |r|; 0 when both are 0, infinite when only the reference is 0;
- sqnr = 10 log10(sum(r r) / sum(e e)) in dB; infinite without error, minus infinite when only the reference is 0.

NaN in either array makes every figure that it takes part in NaN. Rejected: ``numpy.dot``, ``einsum`` and a plain
``sum`` (their order of additions depends on the BLAS, its threads, or the processor's vectors).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BLOCK = 1 << 15
"""Elements that are summed at once: their float64 blocks stay in a core's cache."""

LANES = 256
"""Sums that are made side by side."""


@dataclass(frozen=True)
class Accumulator:
    """The sums of one tensor and one sample. ``deviation_square`` is the sum of (e - mean(e))^2."""

    count: float
    dot: float
    reference_square: float
    candidate_square: float
    error_square: float
    deviation_square: float
    max_abs_error: float
    max_abs_reference: float

    def row(self) -> tuple[float, ...]:
        """The eight numbers in field order, as stored in a float64 array."""
        return astuple(self)

    @classmethod
    def from_row(cls, row: Iterable[float]) -> Accumulator:
        return cls(*(float(value) for value in row))

    @property
    def cosine(self) -> float:
        return cosine_of(self.dot, self.reference_square, self.candidate_square)

    @property
    def euclidean(self) -> float:
        return math.sqrt(self.error_square)

    @property
    def std_dev(self) -> float:
        return math.sqrt(self.deviation_square / self.count) if self.count else 0.0

    @property
    def max_rel_error(self) -> float:
        if self.max_abs_reference == 0:
            return 0.0 if self.max_abs_error == 0 else _nan_or(self.max_abs_error, math.inf)
        return self.max_abs_error / self.max_abs_reference

    @property
    def sqnr(self) -> float:
        return sqnr_of(self.reference_square, self.error_square)


ROW_LENGTH = len(Accumulator.__dataclass_fields__)


def accumulate(reference: Array, candidate: Array) -> Accumulator:
    """The sums of one sample of one tensor; both arrays have the same number of elements and any shape."""
    if reference.size != candidate.size:
        raise ValueError(f"{reference.size} reference values, {candidate.size} candidate values")
    left, right = np.asarray(reference).reshape(-1), np.asarray(candidate).reshape(-1)
    buffers = np.empty((4, min(BLOCK, left.size)))
    total = _Sums()
    for start in range(0, left.size, BLOCK):
        total.add(_block(left[start : start + BLOCK], right[start : start + BLOCK], buffers))
    return Accumulator(
        count=total.count,
        dot=total.dot,
        reference_square=total.reference_square,
        candidate_square=total.candidate_square,
        error_square=total.error_square,
        deviation_square=total.deviation_square,
        max_abs_error=total.max_abs_error,
        max_abs_reference=total.max_abs_reference,
    )


def cosine_of(dot: float, reference_square: float, candidate_square: float) -> float:
    """Cosine from its three sums; exactly 1 for equal vectors, never outside -1..1."""
    if reference_square == 0 or candidate_square == 0:
        if math.isnan(reference_square) or math.isnan(candidate_square):
            return math.nan
        return 1.0 if reference_square == candidate_square else 0.0
    product = reference_square * candidate_square
    # One root of the product is exact for equal vectors; two roots are only taken where the product leaves the range.
    norm = math.sqrt(product) if 0 < product < math.inf else math.sqrt(reference_square) * math.sqrt(candidate_square)
    value = dot / norm
    return value if math.isnan(value) else max(-1.0, min(1.0, value))


def sqnr_of(signal_square: float, error_square: float) -> float:
    """Signal to quantization noise ratio in dB."""
    if math.isnan(signal_square) or math.isnan(error_square):
        return math.nan
    if error_square == 0:
        return math.inf
    if signal_square == 0:
        return -math.inf
    return 10.0 * (math.log10(signal_square) - math.log10(error_square))


def cosine(reference: Array, candidate: Array) -> float:
    """Cosine of the angle between two arrays, both taken as vectors."""
    return accumulate(reference, candidate).cosine


def euclidean(reference: Array, candidate: Array) -> float:
    """Euclidean distance of two arrays."""
    return accumulate(reference, candidate).euclidean


def std_dev(reference: Array, candidate: Array) -> float:
    """Population standard deviation of the error."""
    return accumulate(reference, candidate).std_dev


def max_abs_error(reference: Array, candidate: Array) -> float:
    """Largest absolute error."""
    return accumulate(reference, candidate).max_abs_error


def max_rel_error(reference: Array, candidate: Array) -> float:
    """Largest absolute error over the largest absolute reference value."""
    return accumulate(reference, candidate).max_rel_error


def sqnr(reference: Array, candidate: Array) -> float:
    """Signal to quantization noise ratio in dB."""
    return accumulate(reference, candidate).sqnr


def top_k(values: Array, k: int) -> Array:
    """Indices of the ``k`` largest of the flattened values, largest first; ties by lowest index, NaN last."""
    flat = values.reshape(-1).astype(np.float64)
    return np.argsort(-flat, kind="stable")[:k]


def in_top_k(values: Array, label: int, k: int) -> bool:
    """Whether class ``label`` is among the ``k`` largest values."""
    return bool(np.any(top_k(values, k) == label))


@dataclass
class _Sums:
    """The sums of a run of elements; ``mean`` is that of the error."""

    count: float = 0.0
    mean: float = 0.0
    dot: float = 0.0
    reference_square: float = 0.0
    candidate_square: float = 0.0
    error_square: float = 0.0
    deviation_square: float = 0.0
    max_abs_error: float = 0.0
    max_abs_reference: float = 0.0

    def add(self, other: _Sums) -> None:
        """Take in the elements that follow."""
        count = self.count + other.count
        apart = other.mean - self.mean
        self.deviation_square += other.deviation_square + apart * apart * self.count * other.count / count
        self.mean += apart * other.count / count
        self.count = count
        self.dot += other.dot
        self.reference_square += other.reference_square
        self.candidate_square += other.candidate_square
        self.error_square += other.error_square
        self.max_abs_error = _larger(self.max_abs_error, other.max_abs_error)
        self.max_abs_reference = _larger(self.max_abs_reference, other.max_abs_reference)


def _block(left: Array, right: Array, buffers: Array) -> _Sums:
    """The sums of at most ``BLOCK`` elements; ``buffers`` are four rows of float64 to work in."""
    reference, candidate, error, product = buffers[:, : left.size]
    np.copyto(reference, left)
    np.copyto(candidate, right)
    with np.errstate(invalid="ignore", over="ignore"):
        np.subtract(candidate, reference, out=error)
        mean = _sum(error) / error.size
        sums = _Sums(
            count=float(error.size),
            mean=mean,
            dot=_product_sum(reference, candidate, product),
            reference_square=_product_sum(reference, reference, product),
            candidate_square=_product_sum(candidate, candidate, product),
            error_square=_product_sum(error, error, product),
            max_abs_error=_largest_magnitude(error),
            max_abs_reference=_largest_magnitude(reference),
        )
        sums.deviation_square = _deviation_square(error, mean, sums.error_square, product)
        return sums


def _deviation_square(error: Array, mean: float, error_square: float, product: Array) -> float:
    """Sum of (e - mean)^2; changes ``error`` where it must be summed anew."""
    shift = error.size * mean * mean
    if shift <= 0.5 * error_square:
        # Subtracting less than half of it loses at most one bit.
        return error_square - shift
    np.subtract(error, mean, out=error)
    return _product_sum(error, error, product)


def _product_sum(left: Array, right: Array, product: Array) -> float:
    np.multiply(left, right, out=product)
    return _sum(product)


def _sum(values: Array) -> float:
    """Lane by lane, then the lanes in halves. Along the first axis numpy adds row after row."""
    whole = values.size // LANES * LANES
    lanes: Array = np.add.reduce(values[:whole].reshape(-1, LANES), axis=0, initial=0.0)
    rest = lanes[: values.size - whole]
    np.add(rest, values[whole:], out=rest)
    while lanes.size > 1:
        lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
    return float(lanes[0])


def _largest_magnitude(values: Array) -> float:
    return max(abs(float(np.maximum.reduce(values))), abs(float(np.minimum.reduce(values))))


def _larger(first: float, second: float) -> float:
    return math.nan if math.isnan(first) or math.isnan(second) else max(first, second)


def _nan_or(value: float, otherwise: float) -> float:
    return math.nan if math.isnan(value) else otherwise
