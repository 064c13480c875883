"""Old and new opsets, functions, and operators that no graph can hold."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx_models import assert_same_results, ops, parse, read, simplified, weights

from npudsl.diagnostics import Diagnostic, Problem
from npudsl.ir.passes import simplify


def refusal(model: bytes) -> Diagnostic:
    with pytest.raises(Problem) as caught:
        read(model)
    return caught.value.diagnostics[0]


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 19, 20, 21, 22, 23])
def test_the_same_network_reads_the_same_from_every_opset(opset: int) -> None:
    body = "net (float[1,2,5,5] x) => (float[1,2,3,3] y) { a = Conv(x, w, b) y = Relu(a) }"
    graph = simplified(parse(body, opset, w=weights(2, 2, 3, 3), b=weights(2)))
    assert ops(graph) == ["Conv", "Relu"]


def test_bounds_of_an_old_clip_become_constants() -> None:
    graph = simplified(parse("net (float[1,4] x) => (float[1,4] y) { [relu6] y = Clip<min=0.0, max=6.0>(x) }", 9))
    (clip,) = graph.nodes
    assert clip.name == "relu6"
    assert [float(graph.constants[name]) for name in clip.inputs[1:]] == [0.0, 6.0]


def test_an_old_upsample_becomes_a_resize() -> None:
    body = 'net (float[1,2,3,3] x) => (float[1,2,6,6] y) { [up] y = Upsample<mode="nearest">(x, s) }'
    graph = simplified(parse(body, 9, s=np.array([1, 1, 2, 2], np.float32)))
    assert ops(graph) == ["Resize"]
    assert {graph.nodes[0].name, *graph.aliases} >= {"up"}


def test_an_old_softmax_over_the_last_axis_stays_one_layer_with_its_name() -> None:
    graph = simplified(parse("net (float[2,3,5] x) => (float[2,3,5] y) { [soft] y = Softmax<axis=2>(x) }", 9))
    assert ops(graph) == ["Softmax"]
    assert graph.nodes[0].name == "soft" or graph.aliases["soft"] == graph.nodes[0].name


def test_an_old_softmax_over_several_axes_keeps_its_meaning() -> None:
    simplified(parse("net (float[2,3,5] x) => (float[2,3,5] y) { y = Softmax<axis=1>(x) }", 9))


def test_an_old_softmax_over_channels_of_one_pixel_works_on_the_channels() -> None:
    graph = simplified(parse("net (float[1,5,1,1] x) => (float[1,5,1,1] y) { y = Softmax<axis=1>(x) }", 9))
    assert ops(graph) == ["Softmax"]
    assert graph.nodes[0].attributes["axis"] in (1, -3)


def test_gelu_of_a_newer_opset_is_written_out() -> None:
    graph = simplified(parse("net (float[2,3] x) => (float[2,3] y) { [act] y = Gelu(x) }", 20))
    assert "Gelu" not in ops(graph)
    assert graph.aliases["act"] in {node.name for node in graph.nodes}


def test_group_normalization_is_written_out() -> None:
    body = "net (float[1,4,3,3] x) => (float[1,4,3,3] y) { y = GroupNormalization<num_groups=2>(x, s, b) }"
    simplified(parse(body, 21, s=weights(4), b=weights(4)))


def test_grid_sample_takes_its_old_mode_names_back() -> None:
    body = 'net (float[1,1,4,4] x, float[1,2,2,2] g) => (float[1,1,2,2] y) { y = GridSample<mode="linear">(x, g) }'
    graph = simplified(parse(body, 20))
    assert graph.nodes[0].attributes["mode"] == "bilinear"


def test_an_attribute_that_came_later_is_refused_by_name() -> None:
    body = 'net (float[1,4] x) => (float16[1,4] y) { [narrow] y = Cast<to=17, round_mode="down">(x) }'
    problem = refusal(parse(body, 24))
    assert problem.code == "E0407"
    assert "`narrow`" in problem.message


def test_an_opset_from_the_future_is_refused_with_both_numbers() -> None:
    problem = refusal(parse("net (float[1,4] x) => (float[1,4] y) { y = Relu(x) }", 99))
    assert problem.code in ("E0401", "E0407")
    assert "99" in problem.message


def test_local_functions_are_inlined() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
    net (float[1,4] x) => (float[1,4] y) { y = local.double(x) }
    <domain: "local", opset_import: ["" : 17]>
    double (a) => (b) { b = Add(a, a) }"""
    found = read(onnx.parser.parse_model(text).SerializeToString())
    assert ops(found.graph) == ["Add"]
    assert_same_results(found.reference, simplify(found.graph))


def test_control_flow_is_refused_by_layer() -> None:
    body = """net (float[1,4] x, bool c) => (float[1,4] y) {
      [choice] y = If (c) <then_branch = a () => (float[1,4] p) { p = Relu(x) },
                           else_branch = b () => (float[1,4] q) { q = Neg(x) }>
    }"""
    problem = refusal(parse(body, 17))
    assert problem.code == "E0407"
    assert "layer `choice` is control flow (If)" in problem.message


def test_control_flow_that_is_cut_away_does_not_matter() -> None:
    body = """net (float[1,4] x, bool c) => (float[1,4] y, float[1,4] z) {
      z = Tanh(x)
      y = If (c) <then_branch = a () => (float[1,4] p) { p = Relu(x) },
                  else_branch = b () => (float[1,4] q) { q = Neg(x) }>
    }"""
    assert ops(read(parse(body, 17), outputs=["z"]).graph) == ["Tanh"]


def test_an_operator_of_another_domain_is_refused_with_that_domain() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
    net (float[1,4] x) => (float[1,4] y) { [fast] y = com.microsoft.FastGelu(x) }"""
    problem = refusal(onnx.parser.parse_model(text).SerializeToString())
    assert problem.code == "E0407"
    assert "`fast` is the operator FastGelu of `com.microsoft`" in problem.message


def test_random_layers_are_refused() -> None:
    problem = refusal(parse("net (float[1,4] x) => (float[1,4] y) { r = RandomNormalLike(x) y = Add(x, r) }", 17))
    assert "draws random numbers" in problem.message


def test_a_shape_that_depends_on_data_is_refused_with_a_place_to_cut() -> None:
    problem = refusal(parse("net (float[1,4] x) => (int64[2,n] y) { a = Relu(x) [find] y = NonZero(a) }", 17))
    assert problem.code == "E0407"
    assert "made by layer `find` (NonZero), is not known before the data is" in problem.message
    assert any("`a`" in text for text in problem.helps)


def test_training_mode_is_refused() -> None:
    body = """net (float[2,3,4,4] x) => (float[2,3,4,4] y) {
      [bn] y, m, v = BatchNormalization<training_mode=1>(x, g, b, mean, var)
    }"""
    constants = {name: np.ones(3, np.float32) for name in ("g", "b", "mean", "var")}
    assert "training mode" in refusal(parse(body, 15, **constants)).message
