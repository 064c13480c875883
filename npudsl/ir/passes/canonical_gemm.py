"""One form of Gemm: constant matrix as (out, in), factors inside the constants, a flat bias or none.

A Gemm whose matrix is no constant, or whose first operand is transposed, stays as it is. A bias that differs from row
to row becomes an Add of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Graph, Node

if TYPE_CHECKING:
    import numpy as np

CANONICAL = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
"""The attributes of a Gemm with a constant matrix, written out."""


def canonical_gemm(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        if node.op == "Gemm" and not node.attributes.get("transA", 0) and node.inputs[1] in editor.constants:
            _rewrite(editor, node)
        elif node.op == "MatMul":
            _flatten_bias(editor, node)
    return editor.finish()


def _rewrite(editor: GraphEditor, node: Node) -> None:
    import numpy as np

    matrix = editor.constants[node.inputs[1]]
    alpha, beta = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0)
    stored = matrix if node.attributes.get("transB", 0) else matrix.T
    if alpha != 1.0:
        stored = (stored.astype(np.float64) * alpha).astype(matrix.dtype)
    bias_name = node.inputs[2] if len(node.inputs) > 2 else ""
    bias = editor.constants.get(bias_name)
    flat = _flat_bias(bias, stored.shape[0]) if bias is not None else None
    if bias_name and flat is None:
        _with_separate_bias(editor, node)
        return
    inputs = [node.inputs[0], node.inputs[1]]
    if stored is not matrix:
        inputs[1] = editor.change_constant(node.inputs[1], np.ascontiguousarray(stored))
    if flat is not None and bias is not None:
        scaled = (flat.astype(np.float64) * beta).astype(bias.dtype) if beta != 1.0 else flat
        same = scaled is flat and bias.shape == flat.shape
        inputs.append(bias_name if same else editor.change_constant(bias_name, scaled))
    editor.replace(node, replace(node, inputs=tuple(inputs), attributes=dict(CANONICAL)))


def _flat_bias(bias: np.ndarray[Any, Any], outputs: int) -> np.ndarray[Any, Any] | None:
    """``bias`` of shape (outputs,); None when it differs from row to row."""
    import numpy as np

    if bias.size == 1:
        return np.full(outputs, bias.reshape(())[()], bias.dtype)
    if bias.size == outputs and bias.shape[-1] == outputs:
        return bias if bias.shape == (outputs,) else bias.reshape(outputs)
    return None


def _with_separate_bias(editor: GraphEditor, node: Node) -> None:
    """Gemm without bias, and an Add; only when the bias needs no factor."""
    if node.attributes.get("beta", 1.0) != 1.0:
        return
    product = editor.free_name(f"{node.outputs[0]}/product")
    editor.types[product] = editor.types[node.outputs[0]]
    plain = replace(node, inputs=node.inputs[:2], outputs=(product,))
    add = Node(f"{node.name}/bias", "Add", (product, node.inputs[2]), node.outputs)
    editor.replace(node, plain, add)
    _rewrite(editor, plain)


def _flatten_bias(editor: GraphEditor, node: Node) -> None:
    """The constant that an Add behind a MatMul adds per output feature, as a flat array."""
    add = editor.only_consumer(node.outputs[0])
    features = editor.types[node.outputs[0]].shape[-1:]
    if add is None or add.op != "Add" or not any(name in editor.constants for name in node.inputs):
        return
    other = next((name for name in add.inputs if name != node.outputs[0]), "")
    bias = editor.constants.get(other)
    if bias is None or bias.ndim < 2 or bias.size != bias.shape[-1] or bias.shape[-1:] != features:
        return
    if bias.ndim > len(editor.types[node.outputs[0]].shape):
        return
    flat = editor.change_constant(other, bias.reshape(-1))
    editor.replace(add, replace(add, inputs=tuple(flat if name == other else name for name in add.inputs)))
