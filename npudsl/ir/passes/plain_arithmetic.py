"""Few operators instead of many: sums, maxima and minima of any number of tensors become chains of two-input ones, and
norms become a ReduceSum with functions around it.

A Max or Min with one number is a Clip, so that it can be part of the layer in front. A constant matrix on the left of a
MatMul goes to the right, between two transpositions: weights belong to the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Graph, Node, TensorType

if TYPE_CHECKING:
    import numpy as np

CHAINS = {"Sum": "Add", "Mean": "Add", "Max": "Max", "Min": "Min"}
NORMS = frozenset({"ReduceL1", "ReduceL2", "ReduceSumSquare"})
REWRITTEN = NORMS | CHAINS.keys() | {"MatMul"}


def plain_arithmetic(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        if node.op not in REWRITTEN or editor.types[node.outputs[0]].dtype != "float32":
            continue
        if node.op in CHAINS:
            _write_chain(editor, node)
        elif node.op in NORMS:
            _write_norm(editor, node)
        else:
            _move_matrix(editor, node)
    return editor.finish()


def _write_chain(editor: GraphEditor, node: Node) -> None:
    """Two inputs at a time; the mean ends with a Mul."""
    op = CHAINS[node.op]
    if op != "Add" and len(node.inputs) == 2:
        _clip_instead(editor, node)
        return
    if len(node.inputs) < 2:
        return
    result, last = node.inputs[0], len(node.inputs) - 1
    nodes = []
    for position, name in enumerate(node.inputs[1:], 1):
        final = position == last and node.op != "Mean"
        inputs = (result, name)
        result = node.outputs[0] if final else _tensor(editor, node, f"part{position}", _broadcast(editor, inputs))
        nodes.append(Node(node.name if final else f"{node.name}/{position}", op, inputs, (result,)))
    if node.op == "Mean":
        factor = _number(editor, f"{node.name}/share", 1.0 / len(node.inputs))
        nodes.append(Node(node.name, "Mul", (result, factor), node.outputs))
    editor.replace(node, *nodes)
    for item in nodes:
        if op != "Add":
            _clip_instead(editor, item)


def _clip_instead(editor: GraphEditor, node: Node) -> None:
    """Max and Min of a tensor and one number."""
    for position, name in enumerate(node.inputs):
        bound, other = editor.constant(name), node.inputs[1 - position]
        if bound is None or bound.size != 1 or editor.types[other] != editor.types[node.outputs[0]]:
            continue
        scalar = name if bound.ndim == 0 else editor.add_constant(f"{node.name}/bound", bound.reshape(()))
        inputs = (other, scalar) if node.op == "Max" else (other, "", scalar)
        editor.replace(node, Node(node.name, "Clip", inputs, node.outputs))
        return


def _write_norm(editor: GraphEditor, node: Node) -> None:
    source = editor.types[node.inputs[0]]
    inner = _tensor(editor, node, "terms", source.shape)
    if node.op == "ReduceL1":
        terms = Node(f"{node.name}/terms", "Abs", node.inputs[:1], (inner,))
    else:
        terms = Node(f"{node.name}/terms", "Mul", (node.inputs[0], node.inputs[0]), (inner,))
    if node.op != "ReduceL2":
        total = replace(node, op="ReduceSum", inputs=(inner, *node.inputs[1:]))
        editor.replace(node, terms, total)
        return
    sums = _tensor(editor, node, "sum", editor.types[node.outputs[0]].shape)
    reduced = replace(node, name=f"{node.name}/sum", op="ReduceSum", inputs=(inner, *node.inputs[1:]), outputs=(sums,))
    editor.replace(node, terms, reduced, Node(node.name, "Sqrt", (sums,), node.outputs))


def _move_matrix(editor: GraphEditor, node: Node) -> None:
    """C X = (X' C')' for a constant C of rank 2."""
    import numpy as np

    matrix, other = editor.constant(node.inputs[0]), node.inputs[1]
    shape = editor.types[other].shape
    if matrix is None or matrix.ndim != 2 or len(shape) < 2 or other in editor.constants:
        return
    order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    turned = _tensor(editor, node, "turned", _swapped(shape))
    result = _tensor(editor, node, "product", _swapped(editor.types[node.outputs[0]].shape))
    stored = editor.change_constant(node.inputs[0], np.ascontiguousarray(matrix.T))
    editor.replace(
        node,
        Node(f"{node.name}/turned", "Transpose", (other,), (turned,), {"perm": order}),
        replace(node, inputs=(turned, stored), outputs=(result,)),
        Node(f"{node.name}/back", "Transpose", (result,), node.outputs, {"perm": order}),
    )


def _swapped(shape: Sequence[int]) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2])


def _broadcast(editor: GraphEditor, names: Sequence[str]) -> tuple[int, ...]:
    import numpy as np

    return tuple(int(extent) for extent in np.broadcast_shapes(*(editor.types[name].shape for name in names)))


def _tensor(editor: GraphEditor, node: Node, word: str, shape: Sequence[int]) -> str:
    """A new tensor of the node's element type."""
    name = editor.free_name(f"{node.outputs[0]}/{word}")
    editor.types[name] = TensorType(tuple(shape), editor.types[node.outputs[0]].dtype)
    return name


def _number(editor: GraphEditor, name: str, value: float) -> str:
    import numpy as np

    array: np.ndarray[Any, Any] = np.array(value, np.float32)
    return editor.add_constant(name, array)
