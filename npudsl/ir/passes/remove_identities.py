"""Remove operators that hand their input on: Identity, Dropout at inference, and whatever happens to change nothing
here."""

from __future__ import annotations

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Graph, Node

SAME_TYPE_OPS = frozenset({"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Tile"})
"""They change nothing exactly when shape and element type stay."""

ONE_INPUT_OPS = frozenset({"Concat", "Sum", "Max", "Min", "Mean"})
"""They change nothing when they have one input."""


def remove_identities(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        current = editor.node(node.name)
        if current is not None and _changes_nothing(editor, current):
            editor.bypass(current)
    return editor.finish()


def _changes_nothing(editor: GraphEditor, node: Node) -> bool:
    if not node.inputs or any(editor.consumers(name) or name in editor.outputs for name in node.outputs[1:] if name):
        return False
    if node.op == "Dropout":
        return _is_false(editor, node, 2)
    if editor.types[node.inputs[0]] != editor.types[node.outputs[0]]:
        return False
    if node.op in SAME_TYPE_OPS:
        return True
    if node.op in ONE_INPUT_OPS:
        return len(node.inputs) == 1
    if node.op == "Transpose":
        return list(node.attributes.get("perm", ())) == list(range(len(editor.types[node.inputs[0]].shape)))
    if node.op == "Slice":
        return _only_forward(editor, node)
    if node.op == "Pad":
        pads = editor.constant(node.inputs[1])
        return pads is not None and not pads.any()
    return node.op == "Clip" and not any(node.inputs[1:])


def _is_false(editor: GraphEditor, node: Node, position: int) -> bool:
    """Whether an optional boolean input is absent or a constant False."""
    if len(node.inputs) <= position or not node.inputs[position]:
        return True
    value = editor.constant(node.inputs[position])
    return value is not None and not value.any()


def _only_forward(editor: GraphEditor, node: Node) -> bool:
    """Slices that keep the shape copy the tensor unless a step is negative."""
    if len(node.inputs) <= 4 or not node.inputs[4]:
        return True
    steps = editor.constant(node.inputs[4])
    return steps is not None and bool((steps > 0).all())
