"""Take the flattening off around a Softmax that does not need it.

Before opset 13 Softmax worked on a tensor flattened to two axes; the opset converter writes that as Flatten, Softmax,
Reshape. When the flattened axis is one axis of the tensor (others behind it have extent 1), Softmax along that axis
says the same.
"""

from __future__ import annotations

from dataclasses import replace

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Graph, Node

SOFTMAXES = frozenset({"Softmax", "LogSoftmax"})
VIEWS = frozenset({"Flatten", "Reshape"})


def plain_softmax(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        if node.op in SOFTMAXES:
            _unwrap(editor, node)
    return editor.finish()


def _unwrap(editor: GraphEditor, node: Node) -> None:
    before = editor.producer(node.inputs[0])
    after = editor.only_consumer(node.outputs[0])
    if before is None or after is None or before.op not in VIEWS or after.op != "Reshape":
        return
    if editor.only_consumer(node.inputs[0]) is None or after.inputs[0] != node.outputs[0]:
        return
    source, result = before.inputs[0], after.outputs[0]
    shape = editor.types[source].shape
    flat = editor.types[node.inputs[0]].shape
    axis = next((at for at in reversed(range(len(shape))) if shape[at] != 1), None)
    works_on_last = node.attributes.get("axis", -1) in (-1, len(flat) - 1)
    if editor.types[result].shape != shape or axis is None or not works_on_last or shape[axis] != flat[-1]:
        return
    plain = replace(node, inputs=(source,), outputs=(result,), attributes={**node.attributes, "axis": axis})
    editor.absorb(after, node, plain)
    editor.absorb(before, plain, plain)
