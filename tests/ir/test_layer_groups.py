"""What one kernel computes, where a value keeps its quantization, and by which names a layer is known."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import parse, simplified, weights

from npudsl.ir.fusion import groups_by_name, layer_groups
from npudsl.ir.graph import Graph
from npudsl.ir.groups import Clamp, LayerGroup


def groups_of(body: str, **constants) -> tuple[Graph, tuple[LayerGroup, ...]]:
    graph = simplified(parse(body, **constants))
    return graph, layer_groups(graph)


def test_a_relu_belongs_to_the_convolution_in_front() -> None:
    body = "net (float[1,2,6,6] x) => (float[1,4,4,4] y) { [conv] a = Conv(x, k, b) [act] y = Relu(a) }"
    _, (group,) = groups_of(body, k=weights(4, 2, 3, 3), b=weights(4))
    assert group == LayerGroup(
        name="conv",
        op="Conv",
        nodes=("conv", "act"),
        inputs=("x",),
        outputs=("y",),
        weights=("k",),
        bias="b",
        clamp=Clamp(0.0, None),
        macs=4 * 16 * 18,
    )


def test_clamps_in_a_row_are_one_clamp() -> None:
    body = (
        "net (float[1,4] x) => (float[1,4] y) { a = Add(x, c) r = Relu(a) s = Clip(r, low, six) y = Clip(s, , five) }"
    )
    _, (group,) = groups_of(body, c=weights(4), low=np.float32(-1), six=np.float32(6), five=np.float32(5))
    assert group.clamp == Clamp(0.0, 5.0)
    assert group.operands == ("c",)


def test_a_bound_at_the_end_of_float32_is_no_bound() -> None:
    body = "net (float[1,4] x) => (float[1,4] y) { a = Add(x, c) y = Clip(a, low, high) }"
    _, (group,) = groups_of(body, c=weights(4), low=np.float32(0), high=np.finfo(np.float32).max)
    assert group.clamp == Clamp(0.0, None)


def test_an_activation_behind_an_output_is_a_group_of_its_own() -> None:
    body = "net (float[1,2,6,6] x) => (float[1,4,4,4] a, float[1,4,4,4] y) { a = Conv(x, k) y = Relu(a) }"
    _, groups = groups_of(body, k=weights(4, 2, 3, 3))
    assert [(group.op, group.clamp) for group in groups] == [("Conv", None), ("Relu", None)]


def test_an_activation_of_a_tensor_with_two_readers_is_a_group_of_its_own() -> None:
    body = "net (float[1,4] x) => (float[1,4] y, float[1,4] z) { a = Add(x, x) y = Relu(a) z = Exp(a) }"
    _, groups = groups_of(body)
    assert [group.op for group in groups] == ["Add", "Relu", "Exp"]
    assert groups[0].inputs == ("x", "x")


def test_a_clip_with_bounds_from_a_layer_is_not_fused() -> None:
    body = "net (float[1,4] x, float bound) => (float[1,4] y) { a = Add(x, x) y = Clip(a, bound) }"
    _, groups = groups_of(body)
    assert [group.op for group in groups] == ["Add", "Clip"]


def test_an_activation_behind_a_pool_that_only_selects_is_a_group_of_its_own() -> None:
    body = "net (float[1,2,4,4] x) => (float[1,2,3,3] y) { a = MaxPool<kernel_shape=[2,2]>(x) y = Relu(a) }"
    _, groups = groups_of(body)
    assert [group.passthrough for group in groups] == [True, False]


@pytest.mark.parametrize(
    ("node", "passes"),
    [
        ("Reshape(x, shape)", True),
        ("Transpose<perm=[0,2,3,1]>(x)", True),
        ("Slice(x, one, two, one)", True),
        ("MaxPool<kernel_shape=[2,2]>(x)", True),
        ("GlobalMaxPool(x)", True),
        ("ReduceMax<axes=[2,3]>(x)", True),
        ("DepthToSpace<blocksize=2>(x)", True),
        ("SpaceToDepth<blocksize=2>(x)", True),
        ("Gather<axis=1>(x, index)", True),
        ("Tile(x, twice)", True),
        ("Pad(x, pads)", True),
        ('Pad<mode="edge">(x, pads)', True),
        ("Pad(x, pads, half)", False),
        ('Resize<mode="nearest">(x, , scales)', True),
        ('Resize<mode="linear">(x, , scales)', False),
        ("AveragePool<kernel_shape=[2,2]>(x)", False),
        ("Sigmoid(x)", False),
        ("ArgMax<axis=1>(x)", False),
        ("Cast<to=10>(x)", False),
    ],
)
def test_operators_that_move_values_hand_their_quantization_on(node: str, passes: bool) -> None:
    body = f"net (float[1,4,4,4] x) => (T y) {{ y = {node} }}".replace(
        "T y", "int64 y" if "ArgMax" in node else "float y"
    )
    body = body.replace("float y", "float16 y") if "Cast" in node else body
    constants = {
        "shape": np.array([1, -1]),
        "one": np.array([1]),
        "two": np.array([2]),
        "index": np.array([0, 2]),
        "twice": np.array([1, 2, 1, 1]),
        "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "half": np.float32(0.5),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    _, (group,) = groups_of(body, **constants)
    assert group.passthrough is passes


def test_a_table_of_constants_that_is_indexed_by_an_input_does_not_pass_anything_on() -> None:
    body = "net (float[4] x) => (float[4,2] y) { i = Cast<to=7>(x) j = Abs(i) y = Gather(table, j) }"
    _, groups = groups_of(body, table=weights(9, 2))
    assert groups[-1].passthrough is False


@pytest.mark.parametrize(
    ("node", "shape", "weight", "macs"),
    [
        ("Conv<group=2>(x, k)", "1,4,6,6", (6, 2, 3, 3), 6 * 16 * 18),
        ("ConvTranspose(x, k)", "1,4,6,6", (4, 3, 2, 2), 4 * 36 * 12),
        ("Gemm(x, k)", "3,5", (5, 7), 3 * 5 * 7),
        ("MatMul(x, k)", "2,3,5", (5, 7), 2 * 3 * 5 * 7),
    ],
)
def test_products_are_counted(node: str, shape: str, weight: tuple[int, ...], macs: int) -> None:
    _, (group,) = groups_of(f"net (float[{shape}] x) => (float y) {{ y = {node} }}", k=weights(*weight))
    assert group.macs == macs


def test_products_of_a_recurrent_layer_are_counted_per_step() -> None:
    body = "net (float[5,1,6] x, float[1,1,3] h) => (float[5,1,1,3] y) { y = LSTM<hidden_size=3>(x, w, r, , , h) }"
    _, groups = groups_of(body, w=weights(1, 12, 6), r=weights(1, 12, 3))
    assert sum(group.macs for group in groups) == 5 * (12 * 6 + 12 * 3)
    assert {group.part_of for group in groups} == {"LSTM"}


def test_a_layer_is_known_by_every_name_it_ever_had() -> None:
    body = """net (float[1,2,6,6] x) => (float[1,4,4,4] out) {
      [conv] a = Conv(x, k) [norm] b = BatchNormalization(a, g, g, g, g) [act] c = Relu(b) [drop] out = Dropout(c)
    }"""
    graph, groups = groups_of(body, k=weights(4, 2, 3, 3), g=np.ones(4, np.float32))
    known = groups_by_name(graph, groups)
    assert {name: group.name for name, group in known.items()} == dict.fromkeys(
        ("conv", "norm", "act", "drop", "a", "b", "c", "out"), "conv"
    )
