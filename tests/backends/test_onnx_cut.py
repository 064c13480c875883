"""Input shapes and cuts: what is taken from the file, what from the program, and what is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx_models import assert_same_results, ops, parse, read, simplified, weights

from npudsl.diagnostics import Diagnostic, Problem
from npudsl.ir.passes import simplify

CHAIN = """net (float[N,4] x) => (float[N,4] y, float[N,4] z) {
  [first] a = Relu(x)
  [second] b = Sigmoid(a)
  [third] y = Tanh(b)
  [fourth] z = Neg(b)
}"""

TWO_INPUTS = """net (float[1,4] left, float[1,4] right) => (float[1,4] y) {
  [l] a = Relu(left)
  [r] b = Relu(right)
  [sum] y = Add(a, b)
}"""

IMAGE = "net (float[{shape}] x) => (float[a,b,c,d] y) {{ y = Conv(x, w) }}"


def refusal(*arguments, **options) -> Diagnostic:
    with pytest.raises(Problem) as caught:
        read(*arguments, **options)
    return caught.value.diagnostics[0]


def test_a_free_batch_becomes_one() -> None:
    assert read(parse(CHAIN)).graph.types["x"].shape == (1, 4)


def test_a_declared_shape_fills_free_extents() -> None:
    model = parse(IMAGE.format(shape="N,3,H,W"), w=weights(2, 3, 3, 3))
    assert read(model, [("x", (2, 3, 8, 9))]).graph.types["y"].shape == (2, 2, 6, 7)
    assert read(model, [("x", (0, 0, 8, 9))]).graph.types["x"].shape == (1, 3, 8, 9)


def test_another_free_extent_without_a_shape_is_refused_by_axis_and_name() -> None:
    problem = refusal(parse(IMAGE.format(shape="N,3,height,9"), w=weights(2, 3, 3, 3)))
    assert problem.code == "E0403"
    assert problem.subject == "input[x].shape"
    assert "axis 2 of input `x` is free in the model, called `height`" in problem.message
    assert any("shape = 1x3x?x9" in text for text in problem.helps)


def test_an_input_without_any_shape_needs_one_declared() -> None:
    model = onnx.load_model_from_string(parse(CHAIN))
    model.graph.input[0].type.tensor_type.ClearField("shape")
    assert refusal(model.SerializeToString()).code == "E0403"
    assert read(model.SerializeToString(), [("x", (3, 4))]).graph.types["x"].shape == (3, 4)


def test_the_batch_of_a_fixed_shape_may_be_declared_anew() -> None:
    graph = read(parse(IMAGE.format(shape="64,3,8,8"), w=weights(2, 3, 3, 3)), [("x", (1, 3, 8, 8))]).graph
    assert graph.types["y"].shape == (1, 2, 6, 6)


def test_a_declared_shape_in_another_axis_order_says_which_order_counts() -> None:
    problem = refusal(parse(IMAGE.format(shape="1,3,8,9"), w=weights(2, 3, 3, 3)), [("x", (1, 8, 9, 3))])
    assert problem.code == "E0403"
    assert "the model says 1x3x8x9 for `x`, the program says 1x8x9x3" in problem.message
    assert any("write 1x3x8x9" in text for text in problem.helps)


def test_a_declared_extent_that_is_not_the_models_is_refused() -> None:
    problem = refusal(parse(IMAGE.format(shape="1,3,8,8"), w=weights(2, 3, 3, 3)), [("x", (1, 3, 16, 16))])
    assert problem.code == "E0403"


def test_a_shape_that_does_not_go_through_the_layers_names_the_layer() -> None:
    model = parse("net (float[N,4] x) => (float[N,3] y) { [dense] y = MatMul(x, w) }", w=weights(4, 3))
    found = onnx.load_model_from_string(model)
    found.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 5
    problem = refusal(found.SerializeToString())
    assert problem.code == "E0403"
    assert "`dense` (MatMul)" in problem.message


def test_stale_shapes_inside_the_file_do_not_count() -> None:
    model = onnx.load_model_from_string(parse(CHAIN))
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [7, 9]))
    assert read(model.SerializeToString()).graph.types["a"].shape == (1, 4)


def test_outputs_cut_the_graph_and_drop_what_they_do_not_need() -> None:
    graph = read(parse(CHAIN), outputs=["a"]).graph
    assert graph.outputs == ("a",)
    assert ops(graph) == ["Relu"]


def test_outputs_keep_the_order_of_the_program() -> None:
    assert read(parse(CHAIN), outputs=["z", "y"]).graph.outputs == ("z", "y")


def test_an_output_named_by_its_node_is_called_what_the_program_calls_it() -> None:
    graph = simplified(parse(CHAIN), outputs=["second"])
    assert graph.outputs == ("second",)
    assert graph.nodes[-1].name == "second"


def test_an_inner_tensor_can_be_an_input() -> None:
    found = read(parse(CHAIN), ["b"], ["y"])
    assert found.graph.inputs == ("b",)
    assert found.graph.types["b"].shape == (1, 4)
    assert_same_results(found.reference, simplify(found.graph))


def test_an_input_named_by_a_node_begins_behind_that_node() -> None:
    graph = simplified(parse(CHAIN), ["second"], ["y"])
    assert graph.inputs == ("second",)
    assert ops(graph) == ["Tanh"]


def test_inputs_keep_the_order_of_the_program() -> None:
    assert read(parse(TWO_INPUTS), ["right", "left"]).graph.inputs == ("right", "left")


def test_an_input_that_is_needed_and_not_declared_is_refused_with_its_reader() -> None:
    problem = refusal(parse(TWO_INPUTS), ["left"])
    assert problem.code == "E0402"
    assert "layer `r` reads the input `right`, which has no `input` block" in problem.message


def test_an_input_behind_every_output_is_refused() -> None:
    problem = refusal(parse(TWO_INPUTS), ["left", "right"], ["a"])
    assert problem.code == "E0402"
    assert "no declared output depends on the input `right`" in problem.message


def test_the_same_tensor_under_two_names_is_refused() -> None:
    problem = refusal(parse(CHAIN), outputs=["second", "b"])
    assert problem.code == "E0402"
    assert "`second` and `b` are the same tensor `b`" in problem.message


def test_a_tensor_cannot_be_input_and_output() -> None:
    assert refusal(parse(CHAIN), ["b"], ["b"]).code == "E0402"


def test_an_unknown_output_lists_near_names_and_the_heads() -> None:
    problem = refusal(parse(CHAIN), outputs=["Second"])
    assert problem.code == "E0402"
    assert problem.subject == "output[Second]"
    assert "did you mean `second`" in problem.helps[0]
    assert problem.helps[-1] == "outputs of the model: `y`, `z`"


def test_an_unknown_input_lists_the_inputs() -> None:
    problem = refusal(parse(TWO_INPUTS), ["lefd", "right"])
    assert problem.subject == "input[lefd]"
    assert problem.helps == (
        "did you mean `left`? names are case-sensitive",
        "inputs of the model: `left`, `right`",
    )


def test_a_constant_is_no_place_to_cut() -> None:
    problem = refusal(parse("net (float[1,4] x) => (float[1,3] y) { y = MatMul(x, w) }", w=weights(4, 3)), ["w"])
    assert "`w` is a constant of the model" in problem.message


def test_an_input_is_no_output() -> None:
    assert "is an input of the model" in refusal(parse(CHAIN), outputs=["x"]).message


def test_an_output_that_depends_on_no_input_is_refused() -> None:
    problem = refusal(
        parse("net (float[1,4] x) => (float[1,4] y, float[3] z) { y = Relu(x) z = Neg(c) }", c=weights(3))
    )
    assert problem.code == "E0402"
    assert "the output `z` is the same for every sample" in problem.message


def test_initializers_that_are_also_inputs_are_constants() -> None:
    model = onnx.load_model_from_string(
        parse("net (float[1,4] x) => (float[1,3] y) { y = MatMul(x, w) }", w=weights(4, 3))
    )
    model.ir_version = 3
    model.graph.input.append(onnx.helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [4, 3]))
    graph = read(model.SerializeToString()).graph
    assert graph.inputs == ("x",)
    assert np.array_equal(graph.constants["w"], weights(4, 3))
