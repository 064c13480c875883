"""A graph, or a piece of one, as ONNX: pinned versions, deterministic bytes, right numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_models import parse, random_inputs, simplified, weights

from npudsl.diagnostics import Problem
from npudsl.ir.float_run import run, session
from npudsl.ir.graph import Graph
from npudsl.ir.onnx_proto import IR_VERSION, OPSET, element_code, element_name, to_onnx


def network() -> Graph:
    body = """net (float[1,2,6,6] x, float[1,4,4,4] s) => (float[1,4,4,4] y) {
      [conv] a = Conv(x, k) [act] b = LeakyRelu<alpha=1>(a) [add] c = Add(b, s) [last] y = Mul(c, f)
    }"""
    return simplified(parse(body.replace("alpha=1>", "alpha=1.0>"), k=weights(4, 2, 3, 3), f=weights(4, 1, 1)))


def test_versions_are_pinned_and_bytes_are_deterministic() -> None:
    model = onnx.load_model_from_string(to_onnx(network()))
    assert (model.opset_import[0].version, model.ir_version) == (OPSET, IR_VERSION) == (19, 9)
    onnx.checker.check_model(model, full_check=True)
    assert to_onnx(network()) == to_onnx(network())


def test_whole_floats_stay_floats() -> None:
    model = onnx.load_model_from_string(to_onnx(network()))
    (alpha,) = next(node for node in model.graph.node if node.op_type == "LeakyRelu").attribute
    assert alpha.type == onnx.AttributeProto.FLOAT


def test_inner_outputs_tap_the_network_and_drop_what_they_do_not_need() -> None:
    graph = network()
    model = onnx.load_model_from_string(to_onnx(graph, outputs=["b", "a"]))
    assert [output.name for output in model.graph.output] == ["b", "a"]
    assert [node.name for node in model.graph.node] == ["conv", "act"]
    assert [item.name for item in model.graph.initializer] == ["k"]
    sample = random_inputs(graph)
    found = run(session(to_onnx(graph, outputs=["b", "a"])), sample)
    np.testing.assert_allclose(found["b"], found["a"])


def test_inner_inputs_cut_the_network() -> None:
    graph = network()
    whole = run(session(to_onnx(graph, outputs=["b", "y"])), random_inputs(graph))
    piece = session(to_onnx(graph, inputs=["b", "s"]))
    sample = {"b": whole["b"], "s": random_inputs(graph)["s"]}
    np.testing.assert_allclose(run(piece, sample)["y"], whole["y"], rtol=1e-6)


def test_named_nodes_are_a_piece_with_the_inputs_and_outputs_it_needs() -> None:
    model = onnx.load_model_from_string(to_onnx(network(), nodes=["add", "act"]))
    assert [node.name for node in model.graph.node] == ["act", "add"]
    assert [item.name for item in model.graph.input] == ["a", "s"]
    assert [item.name for item in model.graph.output] == ["c"]


def test_some_outputs_of_a_run_can_be_asked_for() -> None:
    graph = network()
    assert list(run(session(to_onnx(graph, outputs=["a", "y"])), random_inputs(graph), ["y"])) == ["y"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int64", "uint8", "bool", "int4"])
def test_element_types_have_one_name(dtype: str) -> None:
    assert element_name(element_code(dtype)) == dtype


def test_an_unknown_element_type_is_a_problem() -> None:
    with pytest.raises(Problem, match="number 77"):
        element_name(77)
