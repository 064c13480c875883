"""Scales and shifts per channel are folded into the layer in front, as long as nobody sees the value between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_models import ops, parse, simplified, weights

from npudsl.ir.fusion import layer_groups


def statistics(channels: int) -> dict[str, Any]:
    generator = np.random.default_rng(3)
    return {
        "gamma": generator.standard_normal(channels).astype(np.float32),
        "beta": generator.standard_normal(channels).astype(np.float32),
        "mean": generator.standard_normal(channels).astype(np.float32),
        "var": generator.uniform(0.5, 2.0, channels).astype(np.float32),
    }


BN = "BatchNormalization(a, gamma, beta, mean, var)"


@pytest.mark.parametrize(
    ("layer", "shape", "weight"),
    [
        ("Conv(x, k)", "1,2,6,6", (4, 2, 3, 3)),
        ("Conv(x, k, b)", "1,2,6,6", (4, 2, 3, 3)),
        ("Conv<group=2>(x, k)", "1,2,6,6", (4, 1, 3, 3)),
        ("Conv(x, k)", "1,2,9", (4, 2, 3)),
        ("ConvTranspose(x, k)", "1,2,6,6", (2, 4, 3, 3)),
        ("ConvTranspose<group=2>(x, k)", "1,2,6,6", (2, 2, 3, 3)),
        ("Gemm(x, k)", "3,5", (5, 4)),
        ("Gemm<transB=1>(x, k, b)", "3,5", (4, 5)),
        ("MatMul(x, k)", "3,5", (5, 4)),
    ],
)
def test_batch_normalization_is_folded(layer: str, shape: str, weight: tuple[int, ...]) -> None:
    body = f"net (float[{shape}] x) => (float[n,c] y) {{ [host] a = {layer} [norm] y = {BN} }}".replace("n,c", "")
    body = body.replace("float[] y", "float y") if "float[] y" in body else body
    graph = simplified(parse(body, k=weights(*weight), b=weights(4, seed=5), **statistics(4)))
    assert ops(graph) == ["Gemm" if "M" in layer or "Gemm" in layer else layer.split("(")[0].split("<")[0]]
    assert graph.nodes[0].name == "host"
    assert graph.nodes[0].outputs == ("y",)
    assert graph.aliases == {"a": "host", "norm": "host", "y": "host"}


def test_a_chain_of_scales_and_shifts_is_folded_as_one() -> None:
    body = f"""net (float[1,2,6,6] x) => (float[1,4,4,4] y) {{
      [conv] r = Conv(x, k) m = Mul(r, scale) s = Sub(shift, m) a = Div(s, two) [norm] b = {BN} y = Add(b, shift)
    }}"""
    constants = {"scale": weights(4, 1, 1), "shift": weights(1, 4, 1, 1), "two": np.float32(2)}
    graph = simplified(parse(body, k=weights(4, 2, 3, 3), **constants, **statistics(4)))
    assert ops(graph) == ["Conv"]


def test_a_tensor_that_somebody_else_reads_is_not_folded_away() -> None:
    body = f"net (float[1,2,6,6] x) => (float[1,4,4,4] y, float[1,4,4,4] z) {{ a = Conv(x, k) y = {BN} z = Relu(a) }}"
    graph = simplified(parse(body, k=weights(4, 2, 3, 3), **statistics(4)))
    assert ops(graph) == ["Conv", "Conv", "Relu"]


def test_a_tensor_that_is_an_output_is_not_folded_away() -> None:
    body = f"net (float[1,2,6,6] x) => (float[1,4,4,4] a, float[1,4,4,4] y) {{ a = Conv(x, k) [norm] y = {BN} }}"
    graph = simplified(parse(body, k=weights(4, 2, 3, 3), **statistics(4)))
    assert [(node.name, node.op, node.attributes["group"]) for node in graph.nodes] == [
        ("a", "Conv", 1),
        ("norm", "Conv", 4),
    ]


def test_a_batch_normalization_alone_is_a_depthwise_convolution() -> None:
    graph = simplified(parse(f"net (float[1,4,5,5] a) => (float[1,4,5,5] y) {{ [norm] y = {BN} }}", **statistics(4)))
    (node,) = graph.nodes
    assert (node.name, node.op, node.attributes["group"]) == ("norm", "Conv", 4)
    assert graph.constants[node.inputs[1]].shape == (4, 1, 1, 1)


def test_a_batch_normalization_of_vectors_is_mul_and_add() -> None:
    graph = simplified(parse(f"net (float[3,4] a) => (float[3,4] y) {{ [norm] y = {BN} }}", **statistics(4)))
    assert ops(graph) == ["Mul", "Add"]
    assert graph.nodes[-1].name == "norm"


def test_weights_that_two_layers_share_are_scaled_for_one_of_them_only() -> None:
    body = f"""net (float[1,2,6,6] x) => (float[1,4,4,4] y, float[1,4,4,4] z) {{
      a = Conv(x, k) y = {BN} z = Conv(x, k)
    }}"""
    graph = simplified(parse(body, k=weights(4, 2, 3, 3), **statistics(4)))
    assert ops(graph) == ["Conv", "Conv"]
    assert graph.nodes[0].inputs[1] != graph.nodes[1].inputs[1]


def test_a_shift_that_differs_from_pixel_to_pixel_stays() -> None:
    body = "net (float[1,2,6,6] x) => (float[1,4,4,4] y) { a = Conv(x, k) y = Add(a, map) }"
    assert ops(simplified(parse(body, k=weights(4, 2, 3, 3), map=weights(1, 1, 4, 4)))) == ["Conv", "Add"]


def test_an_add_that_widens_the_tensor_stays() -> None:
    body = "net (float[1,2,6,6] x) => (float[2,4,4,4] y) { a = Conv(x, k) y = Add(a, wide) }"
    assert ops(simplified(parse(body, k=weights(4, 2, 3, 3), wide=weights(2, 1, 1, 1)))) == ["Conv", "Add"]


def test_a_division_by_a_layer_stays() -> None:
    body = "net (float[1,2,6,6] x) => (float[1,4,4,4] y) { a = Conv(x, k) y = Div(one, a) }"
    assert ops(simplified(parse(body, k=weights(4, 2, 3, 3) + 5, one=np.float32(1)))) == ["Conv", "Div"]


def test_weight_names_stay_and_the_bias_is_called_as_what_brought_it() -> None:
    body = f"net (float[1,2,6,6] x) => (float[1,4,4,4] y) {{ a = Conv(x, kernel) y = {BN} }}"
    graph = simplified(parse(body, kernel=weights(4, 2, 3, 3), **statistics(4)))
    assert graph.nodes[0].inputs == ("x", "kernel", "beta")


def test_a_matrix_product_with_a_bias_is_a_gemm_with_the_matrix_turned() -> None:
    body = "net (float[3,5] x) => (float[3,4] y) { [mul] a = MatMul(x, k) [add] y = Add(b, a) }"
    graph = simplified(parse(body, k=weights(5, 4), b=weights(1, 4)))
    (node,) = graph.nodes
    assert (node.name, node.op) == ("mul", "Gemm")
    assert node.attributes == {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
    assert graph.constants["k"].shape == (4, 5)
    assert graph.constants["b"].shape == (4,)


def test_a_matrix_product_of_rank_three_keeps_its_bias_as_an_add_of_the_same_group() -> None:
    body = "net (float[1,3,5] x) => (float[1,3,4] y) { [mul] a = MatMul(x, k) [add] s = Add(a, b) y = Relu(s) }"
    graph = simplified(parse(body, k=weights(5, 4), b=weights(1, 1, 4)))
    assert ops(graph) == ["MatMul", "Add", "Relu"]
    (group,) = layer_groups(graph)
    assert (group.name, group.op, group.weights, group.bias) == ("mul", "MatMul", ("k",), "b")
    assert graph.constants["b"].shape == (4,)
    assert group.clamp is not None
    assert group.outputs == ("y",)


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", [(4,), (1, 4), (1,), ()])
def test_gemm_has_one_form(transposed: int, bias: tuple[int, ...]) -> None:
    body = f"net (float[3,5] x) => (float[3,4] y) {{ y = Gemm<alpha=0.5, beta=2.0, transB={transposed}>(x, k, b) }}"
    graph = simplified(parse(body, k=weights(*((4, 5) if transposed else (5, 4))), b=weights(*bias) + 0))
    (node,) = graph.nodes
    assert node.attributes == {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}
    assert graph.constants[node.inputs[1]].shape == (4, 5)
    assert graph.constants[node.inputs[2]].shape == (4,)


def test_a_bias_that_differs_from_row_to_row_becomes_an_add() -> None:
    graph = simplified(
        parse("net (float[3,5] x) => (float[3,4] y) { [g] y = Gemm(x, k, b) }", k=weights(5, 4), b=weights(3, 4))
    )
    assert ops(graph) == ["Gemm", "Add"]
    assert graph.nodes[0].name == "g"
    assert graph.nodes[0].attributes["transB"] == 1


def test_a_gemm_of_two_activations_stays() -> None:
    body = "net (float[3,5] x, float[5,4] z) => (float[3,4] y) { y = Gemm<alpha=0.5>(x, z) }"
    assert simplified(parse(body)).nodes[0].attributes == {"alpha": 0.5}
