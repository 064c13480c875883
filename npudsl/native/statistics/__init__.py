"""The compiled pass of calibration: ``statistics.c`` behind a function that takes addresses."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from npudsl.native.library import load

if TYPE_CHECKING:
    import ctypes

NAME = "statistics"
SOURCE = "statistics.c"
LANES = 4
"""Counters of each pattern during the pass."""
NO_PATTERNS = (0, 1 << 15)
"""Where the patterns that occurred end, without and with the sign bit, before the first one."""


class StatisticsKernel:
    """The function of the library. It releases the interpreter lock; the caller keeps the memory alive."""

    def __init__(self, library: ctypes.CDLL) -> None:
        from ctypes import c_uint64, c_void_p

        self._observe = library.npudsl_observe
        self._observe.argtypes = (c_void_p, c_uint64, c_void_p, c_void_p, c_void_p, c_void_p)
        self._observe.restype = c_uint64

    def observe(self, values: int, count: int, lanes: int, counters: int, ends: int, extremes: int) -> int:
        """Count ``count`` (at least one) aligned float32 at ``values`` into int64 (65536,) at ``counters``.

        ``lanes`` are uint32 (65536, 4) zeros, and are zeros again afterwards. Raises the uint32 pair at ``ends``
        (``NO_PATTERNS`` at first) and writes minimum and maximum to ``extremes`` (float32 (2,), minus zero as zero).
        Returns the index of the first value that is not finite, else ``count``.
        """
        return int(self._observe(values, count, lanes, counters, ends, extremes))


def statistics_kernel() -> StatisticsKernel | None:
    """The kernel, compiled at its first use; None when it cannot be (``npudsl.native.why_not``)."""
    library = load(NAME, {SOURCE: (resources.files(__name__) / SOURCE).read_bytes()})
    return StatisticsKernel(library) if library is not None else None
