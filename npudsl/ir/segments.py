"""Segments: contiguous runs of layer groups of about equal work, cut where few values cross.

A simulation works segment by segment: a change in one layer recomputes its segment and those behind it. What crosses
a cut is stored, so a cut wants few live tensors, best one. Because segments are runs of one topological order, the
tensors that are alive between two neighbours in that order are all that can cross; one sweep counts them exactly.
Rejected: articulation points or dominators of the graph (networkx): they find the same single-tensor cuts and say
nothing about the order in between.
"""

from __future__ import annotations

from dataclasses import replace

from npudsl.ir.graph import Graph
from npudsl.ir.groups import LayerGroup

SEGMENTS = 10
"""Wanted number of segments; a graph with fewer groups has one segment a group at most."""

REACH = 0.5
"""How far, in shares of a segment's work, a cut may move from the even place to cross fewer values."""


def assign_segments(graph: Graph, groups: tuple[LayerGroup, ...]) -> tuple[LayerGroup, ...]:
    """``groups`` with their segment numbers: 0, 1, ... in order, every number in use."""
    cuts = cut_positions(graph, groups, min(SEGMENTS, len(groups)))
    assigned = []
    segment = 0
    for position, group in enumerate(groups):
        if position in cuts:
            segment += 1
        assigned.append(replace(group, segment=segment))
    return tuple(assigned)


def cut_positions(graph: Graph, groups: tuple[LayerGroup, ...], count: int) -> frozenset[int]:
    """Positions (a cut lies before the group with that index) that make at most ``count`` segments."""
    work = _work_before(graph, groups)
    crossing = crossing_values(graph, groups)
    share = work[-1] / max(count, 1)
    cuts: list[int] = []
    for number in range(1, count):
        ideal = number * share
        earliest = cuts[-1] + 1 if cuts else 1
        free = [at for at in range(earliest, len(groups)) if abs(work[at] - ideal) <= REACH * share]
        if free:
            cuts.append(min(free, key=lambda at: (*crossing[at], abs(work[at] - ideal), at)))
    return frozenset(cuts)


def crossing_values(graph: Graph, groups: tuple[LayerGroup, ...]) -> list[tuple[int, int]]:
    """Per position: how many tensors are made (or given) before it and read behind it, and their elements."""
    made = {name: position + 1 for position, group in enumerate(groups) for name in group.outputs}
    made.update((name, 0) for name in graph.inputs)
    last_read: dict[str, int] = {}
    for position, group in enumerate(groups):
        for name in group.inputs:
            last_read[name] = position
    change = [[0, 0] for _ in range(len(groups) + 2)]
    for name, end in last_read.items():
        size = graph.types[name].size
        for place, sign in ((made[name], 1), (end + 1, -1)):
            change[place][0] += sign
            change[place][1] += sign * size
    crossing = []
    tensors = elements = 0
    for step in change[: len(groups) + 1]:
        tensors, elements = tensors + step[0], elements + step[1]
        crossing.append((tensors, elements))
    return crossing


def _work_before(graph: Graph, groups: tuple[LayerGroup, ...]) -> list[int]:
    """Per position, the work of all groups before it: products, and every element written counts too."""
    before = [0]
    for group in groups:
        written = sum(graph.types[name].size for name in group.outputs)
        before.append(before[-1] + group.macs + written)
    return before
