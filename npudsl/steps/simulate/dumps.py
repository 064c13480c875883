"""Which tensors a simulation keeps besides the outputs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from npudsl.diagnostics import Problem
from npudsl.ir.graph import Graph
from npudsl.ir.groups import LayerGroup


def border_tensors(graph: Graph, groups: Sequence[LayerGroup]) -> tuple[str, ...]:
    """Graph inputs and float layer outputs, in graph order: everything that is quantized as an activation."""
    made = (name for group in groups for name in group.outputs if graph.types[name].dtype == "float32")
    return tuple(dict.fromkeys([*graph.inputs, *made]))


def dumped_tensors(
    words: Sequence[str], graph: Graph, groups: Sequence[LayerGroup], subject: str | None
) -> tuple[str, ...]:
    """The tensors that ``dump`` names, in graph order, the outputs (kept anyway) left out.

    Raises ``Problem`` E0213 for a name that is neither a layer nor a tensor.
    """
    borders = border_tensors(graph, groups)
    chosen: set[str] = set()
    for word in words:
        if word == "all":
            chosen.update(borders)
        elif word == "inputs":
            chosen.update(graph.inputs)
        elif word != "outputs":
            chosen.update(_named(word, graph, groups, borders, subject))
    return tuple(name for name in borders if name in chosen and name not in graph.outputs)


def _named(
    word: str, graph: Graph, groups: Sequence[LayerGroup], borders: Sequence[str], subject: str | None
) -> tuple[str, ...]:
    if word in borders:
        return (word,)
    node = graph.aliases.get(word, word)
    for group in groups:
        if node == group.name or node in group.nodes:
            return tuple(name for name in group.outputs if name in borders)
    names = [*(group.name for group in groups), *borders, *graph.aliases]
    near = difflib.get_close_matches(word, names, n=3)
    quoted = " or ".join(f'"{name}"' for name in near)
    raise Problem(
        "E0213",
        f'"{word}" is not a layer or tensor of the model',
        subject=subject,
        helps=(f"did you mean {quoted}?",) if near else (),
    )
