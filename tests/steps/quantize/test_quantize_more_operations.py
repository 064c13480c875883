"""Transposed windows, pairs, lines and written-out functions, quantized and run on the integer machine, against float
arithmetic on the same codes."""

from __future__ import annotations

import numpy as np
import pytest
from quantize_bench import KINDS, U8, Bench, rule

from npudsl.diagnostics import UserError

RANDOM = np.random.default_rng(6)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


ONE_STEP = 0.51
"""One correct rounding is half a step; the multiplier's own rounding adds a little."""

ABOVE_ONE = "e = Exp(z)  one = Constant<value = float {1.0}>()  d = Add(e, one)"

CASES = {
    "transposed conv": (
        "net (float[1,3,5,4] x) => (float[1,4,9,9] y) { y = ConvTranspose<strides=[2,2], pads=[1,1,1,0]>(x, w, b) }",
        {"w": floats(3, 4, 3, 4), "b": floats(4)},
    ),
    "transposed conv with output padding and groups": (
        """net (float[1,4,4,4] x) => (float[1,6,8,8] y) {
            y = ConvTranspose<strides=[2,2], pads=[1,1,1,1], output_padding=[1,1], group=2>(x, w) }""",
        {"w": floats(4, 3, 3, 3)},
    ),
    "transposed conv with dilation and relu": (
        """net (float[2,3,4,4] x) => (float[2,2,12,12] y) {
            c = ConvTranspose<strides=[3,3], dilations=[2,1], pads=[1,0,0,0]>(x, w, b) y = Relu(c) }""",
        {"w": floats(3, 2, 2, 3), "b": floats(2)},
    ),
    "1-D transposed conv": (
        "net (float[1,3,6] x) => (float[1,4,12] y) { y = ConvTranspose<strides=[2], pads=[1,1]>(x, w, b) }",
        {"w": floats(3, 4, 4), "b": floats(4)},
    ),
    "transposed conv with automatic padding": (
        "net (float[1,3,5,4] x) => (float[1,2,10,8] y) "
        '{ y = ConvTranspose<strides=[2,2], auto_pad="SAME_UPPER">(x, w) }',
        {"w": floats(3, 2, 3, 3)},
    ),
    "prelu per channel": (
        "net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = PRelu(x, s) }",
        {"s": np.abs(floats(3, 1, 1))},
    ),
    "maximum": ("net (float[1,3,4,4] x, float[1,3,1,4] z) => (float[1,3,4,4] y) { y = Max(x, z) }", {}),
    "minimum with a constant": (
        "net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Min(c, x) }",
        {"c": floats(3, 4, 4)},
    ),
    "maximum with a number": (
        "net (float[1,3,4,4] x) => (float[1,3,4,4] y) { n = Constant<value = float {-0.5}>() y = Max(x, n) }",
        {},
    ),
    "square": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Mul(x, x) }", {}),
    "power of two": (
        "net (float[1,3,4,4] x) => (float[1,3,4,4] y) { e = Constant<value = float {2.0}>() y = Pow(x, e) }",
        {},
    ),
    "expand": (
        """net (float[1,3,1,4] x) => (float[2,3,5,4] y) {
            s = Constant<value = int64[4] {2,3,5,4}>() y = Expand(x, s) }""",
        {},
    ),
    "expand to more axes": (
        "net (float[3,1] x) => (float[2,3,4] y) { s = Constant<value = int64[3] {2,1,4}>() y = Expand(x, s) }",
        {},
    ),
    "tile": (
        "net (float[1,3,2] x) => (float[2,3,6] y) { r = Constant<value = int64[3] {2,1,3}>() y = Tile(x, r) }",
        {},
    ),
    "reduce sum": (
        """net (float[2,3,4,5] x) => (float[2,4] y) {
            a = Constant<value = int64[2] {1,3}>() y = ReduceSum<keepdims=0>(x, a) }""",
        {},
    ),
    "reduce sum of everything": ("net (float[2,3,4] x) => (float[1,1,1] y) { y = ReduceSum(x) }", {}),
    "reduce mean over inner axes": (
        "net (float[2,3,4,5] x) => (float[2,1,4,1] y) { y = ReduceMean<axes=[1,3]>(x) }",
        {},
    ),
    "reduce min": ("net (float[1,3,5,7] x) => (float[1,3,7] y) { y = ReduceMin<axes=[2], keepdims=0>(x) }", {}),
    "edge pad": (
        'net (float[1,3,4,4] x) => (float[1,3,6,7] y) { y = Pad<mode="edge">(x, p) }',
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 2])},
    ),
    "equal split": (
        "net (float[1,6,4] x) => (float[1,3,4] y, float[1,3,4] z) { y, z = Split<axis=1>(x) }",
        {},
    ),
    "silu": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { s = Sigmoid(x) y = Mul(x, s) }", {}),
    "mish": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { p = Softplus(x) t = Tanh(p) y = Mul(x, t) }", {}),
    "gelu": (
        """net (float[1,3,8] x) => (float[1,3,8] y) {
            r = Constant<value = float {1.4142135}>() one = Constant<value = float {1.0}>()
            h = Constant<value = float {0.5}>()
            d = Div(x, r) e = Erf(d) a = Add(e, one) m = Mul(x, a) y = Mul(m, h) }""",
        {},
    ),
    "gelu by tanh": (
        """net (float[1,3,8] x) => (float[1,3,8] y) {
            three = Constant<value = float {3.0}>() k = Constant<value = float {0.044715}>()
            c = Constant<value = float {0.7978845608}>() one = Constant<value = float {1.0}>()
            h = Constant<value = float {0.5}>()
            p = Pow(x, three) q = Mul(p, k) i = Add(x, q) t = Mul(i, c) u = Tanh(t) a = Add(u, one)
            s = Mul(x, h) y = Mul(s, a) }""",
        {},
    ),
    "hard swish written out": (
        """net (float[1,3,8] x) => (float[1,3,8] y) {
            three = Constant<value = float {3.0}>() six = Constant<value = float {6.0}>()
            zero = Constant<value = float {0.0}>()
            a = Add(x, three) c = Clip(a, zero, six) m = Mul(x, c) y = Div(m, six) }""",
        {},
    ),
    "hard sigmoid written out": (
        """net (float[1,3,8] x) => (float[1,3,8] y) {
            three = Constant<value = float {3.0}>() six = Constant<value = float {6.0}>()
            zero = Constant<value = float {0.0}>()
            a = Add(x, three) c = Clip(a, zero, six) y = Div(c, six) }""",
        {},
    ),
    "leaky relu as a maximum": (
        "net (float[1,3,8] x) => (float[1,3,8] y) { k = Constant<value = float {0.1}>() m = Mul(x, k) y = Max(x, m) }",
        {},
    ),
    "log softmax": ("net (float[1,9] x) => (float[1,9] y) { y = LogSoftmax<axis=1>(x) }", {}),
    "log softmax over channels": ("net (float[2,5,4] x) => (float[2,5,4] y) { y = LogSoftmax<axis=1>(x) }", {}),
    "matrix on the left": (
        "net (float[2,5,6] x) => (float[2,4,6] y) { y = MatMul(w, x) }",
        {"w": floats(4, 5)},
    ),
}

WITH_OTHER_VALUES = {
    "div": (
        f"net (float[1,3,4,4] x, float[1,3,1,4] z) => (float[1,3,4,4] y) {{ {ABOVE_ONE} y = Div(x, d) }}",
        {},
    ),
    "number by tensor": (
        f"net (float[1,3,1,4] z) => (float[1,3,1,4] y) {{ {ABOVE_ONE} y = Div(c, d) }}",
        {"c": floats(3, 1, 4)},
    ),
    "pad with a value": (
        """net (float[1,3,4,4] x) => (float[1,3,6,7] y) {
            v = Constant<value = float {1.5}>() y = Pad(x, p, v) }""",
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 2])},
    ),
    "square root": (
        """net (float[1,3,8] x) => (float[1,3,8] y) {
            e = Constant<value = float {0.5}>() a = Abs(x) y = Pow(a, e) }""",
        {},
    ),
    "l2 norm": ("net (float[2,3,8] x) => (float[2,3,1] y) { y = ReduceL2<axes=[2]>(x) }", {}),
    "sum of three": (
        "net (float[1,3,8] x, float[1,3,8] z, float[1,1,8] w) => (float[1,3,8] y) { y = Sum(x, z, w) }",
        {},
    ),
    "mean of two": ("net (float[1,3,8] x, float[1,3,8] z) => (float[1,3,8] y) { y = Mean(x, z) }", {}),
}
"""Networks of several layers: each layer's inputs are rounded, so float arithmetic on the input's codes is not the
measure."""

LOOSER = {"log softmax": 0.6, "log softmax over channels": 0.6}
"""The logarithm has a table of its own."""


@pytest.fixture(scope="module")
def benches() -> dict[str, Bench]:
    return {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_an_operation_is_float_arithmetic_rounded_once(case, kind, benches):
    body, constants = CASES[case]
    bench = benches.get(case) or benches.setdefault(case, Bench(body, **constants))

    model = bench.quantize(**KINDS[kind])

    assert bench.worst_step(model) <= LOOSER.get(case, ONE_STEP)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", WITH_OTHER_VALUES)
def test_several_layers_stay_near_float(case, kind, benches):
    body, constants = WITH_OTHER_VALUES[case]
    bench = benches.get(case) or benches.setdefault(case, Bench(body, **constants))

    model = bench.quantize(**KINDS[kind])

    steps = 20.0 if kind != "dfp i16" else 200.0
    assert all(layer.operation != "float" for layer in model.layers)
    assert bench.worst_step(model) <= steps


@pytest.mark.parametrize("profile", ["tflite", "vip16", "vip24", "rk15", "nna"])
@pytest.mark.parametrize(
    "case",
    ["transposed conv", "prelu per channel", "maximum", "reduce sum", "log softmax", "reduce mean over inner axes"],
)
def test_every_profile_stays_within_one_code(case, profile, benches):
    body, constants = CASES[case]
    bench = benches.get(case) or benches.setdefault(case, Bench(body, **constants))

    model = bench.quantize(profile=profile)

    assert bench.worst_step(model) <= 1.0


@pytest.mark.parametrize(
    ("settings", "type_name", "zero_point"),
    [(U8, "u8", 0), (KINDS["i8"], "i8", -128), (KINDS["dfp i16"], "i16", 0)],
)
def test_positions_are_counted_in_the_type_of_the_layer(settings, type_name, zero_point):
    bench = Bench("net (float[2,5,7] x) => (int64[2,7] y) { y = ArgMax<axis=1, keepdims=0>(x) }")
    model = bench.quantize(**settings)
    tensor = model.tensors["y"]

    assert (tensor.type, tensor.scale, tensor.zero_point) == (type_name, 1.0, zero_point)
    assert bench.worst_step(model) == 0.0
    assert "alg=fixed by=fixed" in bench.table.splitlines()[-1]


def test_positions_beyond_eight_bits_are_counted_in_sixteen():
    bench = Bench("net (float[1,300] x) => (int64[1,1] y) { y = ArgMin<axis=1, select_last_index=1>(x) }")
    model = bench.quantize(**U8)

    assert model.tensors["y"].type == "i16"
    assert bench.codes(model, bench.samples[0])["y"].shape == (1, 1)


def test_moved_positions_keep_their_type():
    bench = Bench(
        """net (float[1,300,4] x) => (int64[4] y) {
        p = ArgMax<axis=1, keepdims=0>(x) s = Constant<value = int64[1] {4}>() y = Reshape(p, s) }"""
    )
    model = bench.quantize(**U8)

    assert model.tensors["y"].type == "i16"
    assert bench.worst_step(model) == 0.0


def test_positions_that_no_type_counts_are_refused():
    bench = Bench("net (float[1,40000] x) => (int64[1,1] y) { y = ArgMax<axis=1>(x) }")

    with pytest.raises(UserError) as caught:
        bench.quantize(**U8)

    assert caught.value.diagnostics[0].code == "E0408"
    assert "positions go up to 39999, and codes count up to 32767" in caught.value.diagnostics[0].message


def test_division_by_zero_saturates():
    bench = Bench("net (float[1,8] x, float[1,8] z) => (float[1,8] y) { y = Div(x, z) }")
    ends = {"min": 0.0, "max": 255.0}
    model = bench.quantize(rule("tensors", "[xz]", **ends), rule("tensor", "y", min=0.0, max=127.5), calibrated=False)
    sample = {"x": np.full((1, 8), 255.0, np.float32), "z": np.array([[1, 2, 3, 0, 255, 4, 5, 6]], np.float32)}

    assert bench.codes(model, sample)["y"][0, :5].tolist() == [255, 255, 170, 255, 2]


def test_a_layer_norm_is_refused_with_the_way_to_keep_it_in_float():
    bench = Bench(
        "net (float[2,8] x) => (float[2,8] y) { y = LayerNormalization(x, g, b) }", opset=17, g=floats(8), b=floats(8)
    )

    with pytest.raises(UserError) as caught:
        bench.quantize(**U8)
    kept = bench.quantize(rule("op", "LayerNormalization", skip=True), **U8)

    problem = caught.value.diagnostics[0]
    assert problem.code == "E0408"
    assert any("skip" in line for line in problem.helps)
    assert [layer.operation for layer in kept.layers] == ["dequantize", "float"]
    assert bench.worst_step(kept) <= 1e-5


def test_an_instance_norm_can_stay_in_float():
    bench = Bench(
        "net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = InstanceNormalization(x, g, b) }", g=floats(3), b=floats(3)
    )
    model = bench.quantize(rule("op", "InstanceNormalization", skip=True), **U8)

    assert bench.worst_step(model) <= 1e-5


def test_a_written_out_function_can_stay_in_float():
    bench = Bench("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { s = Sigmoid(x) y = Mul(x, s) }")
    model = bench.quantize(rule("op", "Silu", skip=True), **U8)

    assert [layer.operation for layer in model.layers] == ["dequantize", "float"]
    assert bench.worst_step(model) <= 1e-5
