"""The editor that passes share: order, names, dead ends."""

from __future__ import annotations

import pytest

from npudsl.ir.edit import GraphEditor, topological_order
from npudsl.ir.graph import Graph, Node, TensorType


def chain() -> Graph:
    names = ("x", "a", "b", "y")
    nodes = [Node(f"n{at}", "Relu", (names[at],), (names[at + 1],)) for at in range(3)]
    return Graph("g", ("x",), ("y",), tuple(nodes), {name: TensorType((1,)) for name in names}, {})


def test_order_is_topological_and_ties_keep_the_given_order() -> None:
    nodes = [
        Node("join", "Add", ("l", "r"), ("y",)),
        Node("right", "Relu", ("x",), ("r",)),
        Node("left", "Relu", ("x",), ("l",)),
    ]
    assert [node.name for node in topological_order(nodes, ["x"])] == ["right", "left", "join"]


def test_a_cycle_is_reported_by_the_first_node_that_never_runs() -> None:
    nodes = [Node("a", "Relu", ("x",), ("p",)), Node("b", "Add", ("p", "s"), ("q",)), Node("c", "Relu", ("q",), ("s",))]
    with pytest.raises(ValueError, match="b"):
        topological_order(nodes, ["x"])


def test_stand_ins_are_followed_to_the_node_that_is_left() -> None:
    editor = GraphEditor(chain())
    first, second, third = editor.nodes
    editor.absorb(second, first, Node("n0", "Relu", ("x",), ("b",)))
    editor.absorb(third, editor.nodes[0], Node("n0", "Relu", ("x",), ("y",)))
    assert editor.finish().aliases == {"a": "n0", "b": "n0", "n1": "n0", "n2": "n0", "y": "n0"}


def test_a_name_whose_stand_in_is_dead_is_forgotten() -> None:
    editor = GraphEditor(chain())
    editor.stands_for(Node("gone", "Shape", (), ("s",)), "n2")
    editor.outputs = ("b",)
    assert "gone" not in editor.finish().aliases


def test_free_names_get_numbers() -> None:
    editor = GraphEditor(chain())
    assert [editor.free_name("new"), editor.free_name("a")] == ["new", "a.2"]


def test_bypassing_keeps_both_names_when_the_user_reads_both() -> None:
    editor = GraphEditor(chain())
    editor.outputs = ("b", "y")
    assert editor.bypass(editor.nodes[2]) is False
