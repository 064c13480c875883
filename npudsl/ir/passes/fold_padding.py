"""Make a zero Pad part of the Conv behind it.

Only Conv: what it pads with is zero as well. MaxPool pads with minus infinity and AveragePool may not count its
padding, so there a Pad is kept as it is.
"""

from __future__ import annotations

from dataclasses import replace

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Graph, Node


def fold_padding(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        if node.op != "Pad":
            continue
        reader = editor.only_consumer(node.outputs[0])
        added = _spatial_pads(editor, node)
        if reader is None or added is None or reader.op != "Conv" or reader.inputs[0] != node.outputs[0]:
            continue
        pads = [old + new for old, new in zip(reader.attributes["pads"], added, strict=True)]
        inputs = (node.inputs[0], *reader.inputs[1:])
        merged = replace(reader, inputs=inputs, attributes={**reader.attributes, "pads": pads})
        editor.absorb(reader, node, merged)
    return editor.finish()


def _spatial_pads(editor: GraphEditor, node: Node) -> list[int] | None:
    """What ``node`` adds on the axes behind the channels, in ONNX order; None when it does anything else."""
    pads = editor.constant(node.inputs[1])
    if pads is None or node.attributes.get("mode", "constant") != "constant" or not _is_zero(editor, node):
        return None
    rank = len(editor.types[node.inputs[0]].shape)
    axes = list(range(rank))
    if len(node.inputs) > 3 and node.inputs[3]:
        given = editor.constant(node.inputs[3])
        if given is None:
            return None
        axes = [int(axis) % rank for axis in given]
    begin, end = [0] * rank, [0] * rank
    for position, axis in enumerate(axes):
        begin[axis], end[axis] = int(pads[position]), int(pads[position + len(axes)])
    if any((*begin[:2], *end[:2])) or min(*begin, *end) < 0:
        return None
    return [*begin[2:], *end[2:]]


def _is_zero(editor: GraphEditor, node: Node) -> bool:
    if len(node.inputs) <= 2 or not node.inputs[2]:
        return True
    value = editor.constant(node.inputs[2])
    return value is not None and not value.any()
