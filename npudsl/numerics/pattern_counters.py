"""Counters and extremes of many tensors over many samples: one pass over each array, compiled where that is possible.

``NumpyCounters`` is the definition (``ranges_counters`` says what is counted), ``NativeCounters`` the fast path; they
agree bit for bit, and ``pattern_counters`` gives the fastest there is. Neither keeps a value.
"""

from __future__ import annotations

import mmap
from typing import Any, NamedTuple, Protocol

import numpy as np

from npudsl.native.statistics import LANES, NO_PATTERNS, StatisticsKernel, statistics_kernel
from npudsl.numerics.ranges_counters import PATTERNS, count_patterns, extremes_of, sparse

Array = np.ndarray[Any, Any]


class Seen(NamedTuple):
    """What one pass found: exact minimum and maximum (minus zero as zero), both NaN when a value is not finite."""

    minimum: np.float32
    maximum: np.float32
    not_finite: int | None
    """Flat index of the first NaN or infinity."""


class PatternCounters(Protocol):
    """Counters of a number of tensors. One thread may use an object at a time."""

    def add(self, tensor: int, values: Array) -> Seen:
        """Count the float32 ``values`` (at least one). After a value that is not finite the counters are void."""
        ...

    def sparse(self, tensor: int) -> tuple[Array, Array]:
        """Patterns that occurred (uint16, ascending) and how often (int64)."""
        ...


def pattern_counters(tensors: int) -> PatternCounters:
    """Empty counters for ``tensors`` tensors."""
    kernel = statistics_kernel()
    return NativeCounters(kernel, tensors) if kernel is not None else NumpyCounters(tensors)


class NumpyCounters:
    """The definition."""

    def __init__(self, tensors: int) -> None:
        self._counters: list[Array | None] = [None] * tensors

    def add(self, tensor: int, values: Array) -> Seen:
        low, high = extremes_of(values)
        if not (np.isfinite(low) and np.isfinite(high)):
            return _spoilt(int(np.flatnonzero(~np.isfinite(values.reshape(-1)))[0]))
        counted = count_patterns(values)
        before = self._counters[tensor]
        if before is not None:
            counted += before
        self._counters[tensor] = counted
        return Seen(low, high, None)

    def sparse(self, tensor: int) -> tuple[Array, Array]:
        counted = self._counters[tensor]
        return sparse(counted if counted is not None else np.zeros(0, dtype=np.int64))


class NativeCounters:
    """Compiled. Each tensor has 512 KiB of addresses, of which only the pages of patterns that occur become memory."""

    def __init__(self, kernel: StatisticsKernel, tensors: int) -> None:
        self._kernel = kernel
        self._lanes = np.zeros((PATTERNS, LANES), dtype=np.uint32)
        self._counters = _untouched(tensors)
        self._ends = np.tile(np.array(NO_PATTERNS, dtype=np.uint32), (tensors, 1))
        self._extremes = np.zeros(2, dtype=np.float32)
        self._addresses = [
            (_address(self._lanes), _address(counters), _address(ends), _address(self._extremes))
            for counters, ends in zip(self._counters, self._ends, strict=True)
        ]

    def add(self, tensor: int, values: Array) -> Seen:
        flags = values.flags
        if values.dtype != np.float32 or not (flags.c_contiguous and flags.aligned):
            values = np.require(values, np.float32, ["C", "A"])
        size = values.size
        if not size:
            raise ValueError("there are no values to count")
        finite = self._kernel.observe(_address(values), size, *self._addresses[tensor])
        if finite != size:
            return _spoilt(finite)
        return Seen(self._extremes[0], self._extremes[1], None)

    def sparse(self, tensor: int) -> tuple[Array, Array]:
        """Nothing behind the ends is looked at: reading memory that was never written costs page faults."""
        counters = self._counters[tensor]
        halves = [
            first + np.flatnonzero(counters[first:end])
            for first, end in zip(NO_PATTERNS, self._ends[tensor].tolist(), strict=True)
        ]
        patterns = np.concatenate(halves)
        return patterns.astype(np.uint16), counters[patterns]


def _untouched(tensors: int) -> Array:
    """Zeros, int64 (tensors, 65536), that take memory page by page as they are written.

    numpy would ask for huge pages, and every tensor would take its whole 512 KiB.
    """
    if not tensors:
        return np.zeros((0, PATTERNS), dtype=np.int64)
    private = mmap.mmap(-1, tensors * PATTERNS * 8, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        private.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(private, dtype=np.int64).reshape(tensors, PATTERNS)


def _address(array: Array) -> int:
    """Where the elements lie; a third of the time of ``array.ctypes.data``."""
    address: int = array.__array_interface__["data"][0]
    return address


def _spoilt(index: int) -> Seen:
    return Seen(np.float32(np.nan), np.float32(np.nan), index)
