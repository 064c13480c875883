"""A BatchNormalization that no layer in front could take: a depthwise 1x1 Conv, or Mul and Add where there is no Conv
for the rank.

Rejected: Mul and Add everywhere. In integer arithmetic that is two roundings and an extra tensor to give a range to,
where a depthwise Conv has one rounding and per-channel weights, and every NPU has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Graph, Node
from npudsl.ir.passes.fold_affine import batch_norm_affine

if TYPE_CHECKING:
    import numpy as np

CONV_RANKS = (3, 4)


def replace_batch_norm(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        if node.op == "BatchNormalization":
            affine = batch_norm_affine(editor, node)
            if affine is not None and affine.scale is not None and affine.shift is not None:
                _replace(editor, node, affine.scale, affine.shift)
    return editor.finish()


def _replace(editor: GraphEditor, node: Node, scale: np.ndarray[Any, Any], shift: np.ndarray[Any, Any]) -> None:
    dtype = editor.constants[node.inputs[1]].dtype
    rank = len(editor.types[node.inputs[0]].shape)
    if rank in CONV_RANKS:
        spatial = [1] * (rank - 2)
        weight = editor.change_constant(node.inputs[1], scale.reshape(-1, 1, *spatial).astype(dtype))
        bias = editor.change_constant(node.inputs[2], shift.astype(dtype))
        editor.replace(
            node,
            Node(node.name, "Conv", (node.inputs[0], weight, bias), node.outputs[:1], _one_by_one(len(scale), spatial)),
        )
        return
    along = (len(scale), *(1 for _ in range(rank - 2)))
    factor = editor.change_constant(node.inputs[1], scale.reshape(along).astype(dtype))
    summand = editor.change_constant(node.inputs[2], shift.reshape(along).astype(dtype))
    product = editor.free_name(f"{node.outputs[0]}/scaled")
    editor.types[product] = editor.types[node.outputs[0]]
    multiply = Node(f"{node.name}/scale", "Mul", (node.inputs[0], factor), (product,))
    editor.replace(node, multiply, Node(node.name, "Add", (product, summand), node.outputs[:1]))


def _one_by_one(channels: int, spatial: list[int]) -> dict[str, Any]:
    return {
        "dilations": spatial,
        "group": channels,
        "kernel_shape": spatial,
        "pads": [0] * (2 * len(spatial)),
        "strides": spatial,
    }
