"""Import compares the simplified graph with the untouched model and refuses what differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from onnx_models import parse, read, simplified, weights

from npudsl.diagnostics import Problem
from npudsl.ir.graph import Graph
from npudsl.ir.onnx_proto import to_onnx
from npudsl.ir.passes import simplify
from npudsl.steps.import_model.self_test import check_same_results, difference, samples

BODY = """net (float[1,2,6,6] x) => (float[1,4,6,6] y) {
  [first] a = Conv<pads=[1,1,1,1]>(x, k) [second] b = Sigmoid(a) [third] y = Conv<pads=[1,1,1,1]>(b, m)
}"""


def model() -> bytes:
    return parse(BODY, k=weights(4, 2, 3, 3), m=weights(4, 4, 3, 3))


def with_constant(graph: Graph, name: str, value: np.ndarray) -> Graph:
    return replace(graph, constants={**graph.constants, name: value})


def test_an_equal_graph_passes() -> None:
    graph = simplified(model())
    check_same_results(read(model()).reference, graph, to_onnx(graph))


def test_the_first_tensor_that_differs_is_named_with_both_values() -> None:
    graph = simplified(model())
    broken = with_constant(graph, "k", graph.constants["k"] * np.float32(1.001))
    with pytest.raises(Problem) as caught:
        check_same_results(read(model()).reference, broken, to_onnx(broken))
    (problem,) = caught.value.diagnostics
    assert problem.code == "E0409"
    assert "`a`, made by layer `first` (Conv), is " in problem.message
    assert "instead of" in problem.message


def test_a_small_fault_in_a_late_layer_is_found_there() -> None:
    graph = simplified(model())
    kernel = graph.constants["m"].copy()
    kernel[0, 0, 0, 0] += 0.01
    broken = with_constant(graph, "m", kernel)
    with pytest.raises(Problem, match="made by layer `third`"):
        check_same_results(read(model()).reference, broken, to_onnx(broken))


def test_asymmetric_padding_on_the_wrong_side_is_found() -> None:
    body = "net (float[1,2,6,6] x) => (float[1,4,3,3] y) { y = Conv<pads=[0,0,1,1], strides=[2,2]>(x, k) }"
    data = parse(body, k=weights(4, 2, 3, 3))
    graph = simplified(data)
    (conv,) = graph.nodes
    turned = replace(graph, nodes=(replace(conv, attributes={**conv.attributes, "pads": [1, 1, 0, 0]}),))
    with pytest.raises(Problem, match="does not compute"):
        check_same_results(read(data).reference, turned, to_onnx(turned))


def test_a_steep_network_is_measured_by_its_own_steepness() -> None:
    """exp(300 x) moves by about 1e-4 when x moves in its last digits: no reason to refuse a folded constant."""
    body = "net (float[1,8] x) => (float[1,8] y) { a = Mul(x, c) b = Mul(a, d) y = Exp(b) }"
    data = parse(body, c=np.float32(17.3), d=np.float32(3.1))
    found = read(data)
    graph = simplify(found.graph)
    mul, _, exp = graph.nodes
    factor = np.float32(17.3) * np.float32(3.1)
    folded = replace(with_constant(graph, "c", np.asarray(factor)), nodes=(replace(mul, outputs=("b",)), exp))
    check_same_results(found.reference, folded, to_onnx(folded))


def test_a_sample_that_gives_no_numbers_is_tried_at_another_scale() -> None:
    data = parse("net (float[1,8] x) => (float[1,8] y) { y = Log(x) }")
    graph = simplified_without_check(data)
    check_same_results(read(data).reference, graph, to_onnx(graph))


def test_a_model_that_never_gives_numbers_is_refused() -> None:
    data = parse("net (float[1,8] x) => (float[1,8] y) { a = Sub(x, x) y = Div(x, a) }")
    graph = simplified_without_check(data)
    with pytest.raises(Problem, match="NaN or infinity in `y`"):
        check_same_results(read(data).reference, graph, to_onnx(graph))


def test_what_the_runtime_cannot_run_is_run_by_the_reference_evaluator() -> None:
    body = 'net (float[1,2,7,7] x) => (float[1,3,7,7] y) { y = Conv<auto_pad="SAME_UPPER", dilations=[2,2]>(x, k) }'
    data = parse(body, k=weights(3, 2, 3, 3))
    graph = simplified_without_check(data)
    assert graph.nodes[0].attributes["pads"] == [2, 2, 2, 2]
    check_same_results(read(data).reference, graph, to_onnx(graph))


def test_samples_are_always_the_same() -> None:
    graph = simplified(model())
    for first, second in zip(samples(graph), samples(graph), strict=True):
        np.testing.assert_array_equal(first["x"], second["x"])


@pytest.mark.parametrize(
    ("expected", "found", "apart"),
    [
        ([2.0, 4.0], [2.0, 5.0], 0.25),
        ([0.0], [0.5], 0.5),
        ([1.0], [np.nan], np.inf),
        ([1.0], [1.0, 2.0], np.inf),
        ([], [], 0),
    ],
)
def test_differences_are_relative_to_the_largest_magnitude(expected, found, apart) -> None:
    assert difference(np.array(expected, np.float32), np.array(found, np.float32)) == apart


def simplified_without_check(data: bytes) -> Graph:
    return simplify(read(data).graph)
