"""Nodes that change nothing go; their names stay known."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import ops, parse, simplified, weights


def test_dropout_and_identity_disappear_and_their_names_lead_to_the_node_in_front() -> None:
    body = """net (float[1,4] x) => (float[1,4] y) {
      [act] a = Relu(x) [drop] b = Dropout(a) [same] c = Identity(b) y = Exp(c)
    }"""
    graph = simplified(parse(body))
    assert ops(graph) == ["Relu", "Exp"]
    assert {name: graph.aliases[name] for name in ("drop", "same", "b", "c")} == dict.fromkeys(
        ("drop", "same", "b", "c"), "act"
    )


def test_an_identity_behind_the_input_is_answered_for_by_its_reader() -> None:
    graph = simplified(parse("net (float[1,4] x) => (float[1,4] y) { [same] a = Identity(x) [act] y = Relu(a) }"))
    assert ops(graph) == ["Relu"]
    assert graph.aliases["same"] == "act"


def test_the_name_of_an_output_survives_the_identity_that_made_it() -> None:
    graph = simplified(parse("net (float[1,4] x) => (float[1,4] y) { [act] a = Relu(x) [same] y = Identity(a) }"))
    assert graph.outputs == ("y",)
    assert [(node.name, node.outputs) for node in graph.nodes] == [("act", ("y",))]
    assert graph.aliases == {"a": "act", "same": "act", "y": "act"}


def test_an_identity_between_two_outputs_is_kept() -> None:
    graph = simplified(parse("net (float[1,4] x) => (float[1,4] a, float[1,4] y) { a = Relu(x) y = Identity(a) }"))
    assert ops(graph) == ["Relu", "Identity"]


def test_an_identity_from_input_to_output_is_kept() -> None:
    body = "net (float[1,4] x) => (float[1,4] y, float[1,4] z) { y = Identity(x) z = Relu(x) }"
    assert ops(simplified(parse(body))) == ["Identity", "Relu"]


@pytest.mark.parametrize(
    "node",
    [
        "Cast<to=1>(x)",
        "Reshape(x, shape)",
        "Transpose<perm=[0,1,2]>(x)",
        "Concat<axis=1>(x)",
        "Slice(x, zero, far, one)",
        "Expand(x, shape)",
        "Tile(x, ones)",
        "Pad(x, pads)",
        "Sum(x)",
        "Clip(x)",
    ],
)
def test_operators_that_change_nothing_here_disappear(node: str) -> None:
    body = f"net (float[1,3,4] x) => (float[1,3,4] y) {{ a = {node} y = Relu(a) }}"
    constants = {
        "shape": np.array([1, 3, 4]),
        "zero": np.array([0]),
        "far": np.array([9]),
        "one": np.array([1]),
        "ones": np.array([1, 1, 1]),
        "pads": np.zeros(6, np.int64),
    }
    assert ops(simplified(parse(body, **constants))) == ["Relu"]


def test_a_slice_backwards_keeps_the_shape_and_is_kept() -> None:
    body = "net (float[1,4] x) => (float[1,4] y) { a = Slice(x, start, end, axis, step) y = Relu(a) }"
    constants = {
        "start": np.array([-1]),
        "end": np.array([-99]),
        "axis": np.array([1]),
        "step": np.array([-1]),
    }
    assert ops(simplified(parse(body, **constants))) == ["Slice", "Relu"]


def test_a_dropout_whose_mask_is_used_is_kept() -> None:
    body = "net (float[1,4] x) => (float[1,4] y, bool[1,4] m) { a, m = Dropout(x) y = Relu(a) }"
    assert "Dropout" in ops(simplified(parse(body)))


def test_constants_behind_a_dropped_identity_fold() -> None:
    body = "net (float[1,4] x) => (float[1,3] y) { i = Identity(w) y = MatMul(x, i) }"
    graph = simplified(parse(body, w=weights(4, 3)))
    assert ops(graph) == ["MatMul"]
    assert graph.aliases["i"] == graph.nodes[0].name
