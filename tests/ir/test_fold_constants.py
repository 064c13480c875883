"""What does not depend on the inputs is computed at import; every type is known."""

from __future__ import annotations

import numpy as np
from onnx_models import ops, parse, read, simplified, weights


def test_shape_arithmetic_of_an_exporter_folds_away() -> None:
    body = """net (float[N,2,3,4] x) => (float[N,m] y) {
      s = Shape(x)
      zero = Constant<value_int=0>()
      n = Gather(s, zero)
      axes = Constant<value_ints=[0]>()
      n1 = Unsqueeze(n, axes)
      rest = Constant<value_ints=[-1]>()
      target = Concat<axis=0>(n1, rest)
      [flat] y = Reshape(x, target)
    }"""
    graph = simplified(parse(body))
    assert ops(graph) == ["Reshape"]
    assert graph.types["y"].shape == (1, 24)
    assert list(graph.constants[graph.nodes[0].inputs[1]]) == [1, -1]


def test_a_weight_that_is_computed_from_constants_is_stored() -> None:
    body = "net (float[1,4] x) => (float[1,3] y) { [turn] t = Transpose(w) s = Mul(t, f) [dense] y = MatMul(x, s) }"
    graph = simplified(parse(body, w=weights(3, 4), f=np.float32(2)))
    assert ops(graph) == ["MatMul"]
    np.testing.assert_array_equal(graph.constants[graph.nodes[0].inputs[1]], weights(3, 4).T * 2)


def test_a_folded_node_is_answered_for_by_the_first_reader_of_its_value() -> None:
    body = """net (float[1,4] x) => (float[1,3] y) {
      [turn] t = Transpose(w) [scale] s = Mul(t, f) [dense] y = MatMul(x, s)
    }"""
    graph = read(parse(body, w=weights(3, 4), f=np.float32(2))).graph
    assert graph.aliases["turn"] == graph.aliases["scale"] == graph.aliases["t"] == "dense"


def test_quantization_inside_the_model_stays_visible() -> None:
    body = "net (float[1,4] x) => (float[1,3] y) { w = DequantizeLinear(q, s) y = MatMul(x, w) }"
    graph = read(parse(body, q=np.ones((4, 3), np.int8), s=np.float32(0.5))).graph
    assert ops(graph) == ["DequantizeLinear", "MatMul"]


def test_operators_defined_by_a_function_body_alone_are_written_out() -> None:
    body = "net (float[1,2,3,3] x) => (float[1,2,3,3] y) { [mvn] y = MeanVarianceNormalization(x) }"
    graph = simplified(parse(body))
    assert graph.types["y"].shape == (1, 2, 3, 3)
    assert "MeanVarianceNormalization" not in ops(graph)
    assert graph.aliases["mvn"] in {node.name for node in graph.nodes}


def test_optional_outputs_that_are_absent_have_no_type() -> None:
    body = """net (float[2,1,5] x) => (float[1,1,3] h) {
      , h = LSTM<hidden_size=3>(x, w, r)
    }"""
    graph = simplified(parse(body, w=weights(1, 12, 5), r=weights(1, 12, 3)))
    assert "" not in graph.types
    assert graph.types["h"].shape == (1, 1, 3)


def test_nodes_that_no_output_needs_are_gone_with_their_names() -> None:
    body = "net (float[1,4] x) => (float[1,4] y) { [dead] a = Exp(x) y = Relu(x) }"
    graph = simplified(parse(body))
    assert ops(graph) == ["Relu"]
    assert "dead" not in graph.aliases
