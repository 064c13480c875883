"""The compiled pass of calibration: ``statistics.c`` behind two functions that take addresses."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from npudsl.native.library import load

if TYPE_CHECKING:
    import ctypes

SOURCE = "statistics.c"
NAME = "statistics"
PATTERNS = 1 << 16
LANES = 4
LANE_LIMIT = (1 << 32) - 1
"""The largest count that a lane holds."""
NO_PATTERNS = (0, PATTERNS // 2)
"""Where the patterns that occurred end, without and with the sign bit, before the first one."""


class StatisticsKernel:
    """The functions of the library. They release the interpreter lock; the caller keeps the memory alive."""

    def __init__(self, library: ctypes.CDLL) -> None:
        from ctypes import c_uint64, c_void_p

        self._observe = library.npudsl_observe
        self._observe.argtypes = (c_void_p, c_uint64, c_void_p, c_void_p, c_void_p)
        self._observe.restype = c_uint64
        self._collect = library.npudsl_collect
        self._collect.argtypes = (c_void_p, c_void_p, c_void_p, c_void_p)
        self._collect.restype = c_uint64

    def observe(self, values: int, count: int, lanes: int, ends: int, extremes: int) -> int:
        """Count ``count`` (at least one) aligned float32 at ``values`` into uint32 (65536, 4) at ``lanes``.

        Raises the uint32 pair at ``ends`` (``NO_PATTERNS`` at first) and writes minimum and maximum to ``extremes``
        (float32 (2,), minus zero as zero). Returns the index of the first value that is not finite, else ``count``.
        """
        return int(self._observe(values, count, lanes, ends, extremes))

    def collect(self, lanes: int, ends: int, patterns: int, counts: int) -> int:
        """Write the patterns that occurred (uint16, ascending) and how often (int64); returns how many they are."""
        return int(self._collect(lanes, ends, patterns, counts))


def statistics_kernel() -> StatisticsKernel | None:
    """The kernel, compiled at its first use; None when it cannot be (``npudsl.native.why_not``)."""
    library = load(NAME, {SOURCE: (resources.files(__name__) / SOURCE).read_bytes()})
    return StatisticsKernel(library) if library is not None else None
