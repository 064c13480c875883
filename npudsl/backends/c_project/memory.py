"""Where every activation lies in the arena.

Greedy by size: buffers are placed from large to small, each at the lowest gap among the buffers that live at the same
time. The result is compared with the lower bound (the most bytes that are alive in one layer); both are reported.
Rejected: an exact search (the greedy plan is at the bound for most networks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT = 16
"""Bytes; enough for every vector unit we know and a whole number of every element."""


@dataclass(frozen=True)
class Lifetime:
    """A buffer of ``size`` bytes that is in use in the layers ``first`` to ``last`` (both included)."""

    name: str
    size: int
    first: int
    last: int

    def overlaps(self, other: Lifetime) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class MemoryPlan:
    """Offsets by buffer name, all multiples of ``ALIGNMENT``; ``size`` is the arena, ``bound`` the least possible."""

    offsets: dict[str, int]
    size: int
    bound: int


def plan_memory(buffers: Sequence[Lifetime]) -> MemoryPlan:
    """Place all buffers; those that live at the same time do not overlap."""
    placed: list[tuple[int, Lifetime]] = []
    offsets: dict[str, int] = {}
    for buffer in sorted(buffers, key=lambda item: (-item.size, item.first, item.name)):
        neighbours = sorted(
            (offset, offset + aligned(other.size)) for offset, other in placed if other.overlaps(buffer)
        )
        offset = 0
        for start, end in neighbours:
            if start - offset >= aligned(buffer.size):
                break
            offset = max(offset, end)
        placed.append((offset, buffer))
        offsets[buffer.name] = offset
    size = max((offset + aligned(buffer.size) for offset, buffer in placed), default=0)
    return MemoryPlan(offsets, size, _most_alive(buffers))


def aligned(size: int) -> int:
    """``size`` rounded up to whole multiples of ``ALIGNMENT``, at least one."""
    return max(-(-size // ALIGNMENT), 1) * ALIGNMENT


def _most_alive(buffers: Sequence[Lifetime]) -> int:
    """The most bytes in use in any layer: the sum only rises where a buffer begins."""
    return max(
        (
            sum(aligned(buffer.size) for buffer in buffers if buffer.first <= moment <= buffer.last)
            for moment in {buffer.first for buffer in buffers}
        ),
        default=0,
    )
