"""Compute once what does not depend on the inputs, and learn every type on the way.

One sweep in graph order: a node's input types and constants are known when it is reached, so its output types are,
and so is its value when it reads only constants. ``Shape`` and ``Size`` of a tensor are constants whatever the tensor
holds; that resolves the shape arithmetic which exporters leave in a graph.

Not folded: QuantizeLinear and DequantizeLinear (the embedded quantization of a model must stay visible). Refused:
what would blow a small constant up into a very large one, because a file must not make us allocate what it merely
claims.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from npudsl.diagnostics import Problem
from npudsl.ir.edit import GraphEditor
from npudsl.ir.evaluate import evaluate
from npudsl.ir.graph import Graph, Node, TensorType
from npudsl.ir.shapes import infer

if TYPE_CHECKING:
    import numpy as np

Expand = Callable[[Node, Mapping[str, TensorType]], Sequence[Node] | None]
"""Gives the nodes that a node is short for, or None when it is an operator by itself."""

KEPT_OPS = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})

LARGE = 1 << 24
"""Elements: a folded value of more than this must not be larger than what it is computed from."""


def fold_constants(graph: Graph, expand: Expand | None = None) -> Graph:
    """``graph`` with every type known and everything constant folded; ``types`` of inputs and constants must be
    given."""
    editor = GraphEditor(graph)
    known = {*graph.inputs, *graph.constants}
    editor.types = {name: type_ for name, type_ in graph.types.items() if name in known}
    waiting = deque(graph.nodes)
    kept: list[Node] = []
    folded: list[Node] = []
    while waiting:
        node = waiting.popleft()
        body = expand(node, editor.types) if expand is not None else None
        if body is not None:
            waiting.extendleft(reversed(body))
            editor.stands_for(node, body[-1].name)
            continue
        if node.op != "Constant":
            editor.types.update(infer(node, editor.types, editor.constants))
        values = _value(node, editor)
        if values is None:
            kept.append(node)
            continue
        folded.append(node)
        for name, value in values.items():
            editor.types.pop(name, None)
            editor.add_constant(name, value)
    _name_readers(editor, folded, kept)
    editor.take(kept)
    return editor.finish()


def _value(node: Node, editor: GraphEditor) -> dict[str, np.ndarray[Any, Any]] | None:
    """The outputs of ``node`` by name when they are constant and worth storing."""
    import numpy as np

    if node.op == "Constant":
        return {node.outputs[0]: node.attributes["value"]}
    if node.op == "Shape" and node.inputs[0] in editor.types:
        shape = editor.types[node.inputs[0]].shape
        start, end = node.attributes.get("start", 0), node.attributes.get("end", len(shape))
        return {node.outputs[0]: np.array(shape[start:end], np.int64)}
    if node.op == "Size" and node.inputs[0] in editor.types:
        return {node.outputs[0]: np.array(editor.types[node.inputs[0]].size, np.int64)}
    if node.op in KEPT_OPS or any(name and name not in editor.constants for name in node.inputs):
        return None
    made = sum(editor.types[name].size for name in node.outputs if name)
    read = sum(editor.constants[name].size for name in node.inputs if name)
    if made > LARGE and made > read:
        raise Problem(
            "E0401",
            f"layer `{node.name}` ({node.op}) blows a constant of {read} elements up to {made}",
            subject="model.file",
            helps=["export the model so that the large tensor depends on an input, or is stored in the file"],
        )
    return evaluate(node, editor.types, editor.constants)


def _name_readers(editor: GraphEditor, folded: list[Node], kept: list[Node]) -> None:
    """A folded node is answered for by the first node that reads its value, through other folded nodes if need be."""
    first_reader: dict[str, Node] = {}
    for node in [*kept, *folded]:
        for tensor in node.inputs:
            first_reader.setdefault(tensor, node)
    for node in folded:
        reader = next((first_reader[name] for name in node.outputs if name in first_reader), None)
        if reader is not None:
            editor.stands_for(node, reader.name)
