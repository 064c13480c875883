"""Every operation, quantized by the step and run on the integer machine, against float arithmetic on the same codes."""

from __future__ import annotations

import numpy as np
import pytest
from quantize_bench import KINDS, Bench

RANDOM = np.random.default_rng(5)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 1, shape).astype(np.float32)


ONE_STEP = 0.51
"""One correct rounding is half a step; the multiplier's own rounding adds a little."""

CASES = {
    "conv": (
        "net (float[1,3,9,8] x) => (float[1,4,5,4] y) { y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b) }",
        {"w": floats(4, 3, 3, 3), "b": floats(4)},
    ),
    "conv with relu6": (
        """net (float[1,3,8,8] x) => (float[1,4,8,8] y) { c = Conv(x, w, b)
            low = Constant<value = float {0.0}>() high = Constant<value = float {6.0}>() y = Clip(c, low, high) }""",
        {"w": floats(4, 3, 1, 1), "b": floats(4)},
    ),
    "depthwise conv without bias": (
        "net (float[1,4,8,8] x) => (float[1,4,8,8] y) { y = Conv<pads=[1,1,1,1], group=4>(x, w) }",
        {"w": floats(4, 1, 3, 3)},
    ),
    "dilated grouped conv": (
        "net (float[1,4,9,9] x) => (float[1,6,5,5] y) { y = Conv<dilations=[2,2], group=2>(x, w, b) }",
        {"w": floats(6, 2, 3, 3), "b": floats(6)},
    ),
    "1-D conv": (
        "net (float[1,3,16] x) => (float[1,4,8] y) { y = Conv<pads=[2,1], strides=[2]>(x, w, b) }",
        {"w": floats(4, 3, 4), "b": floats(4)},
    ),
    "gemm": (
        "net (float[1,12] x) => (float[1,7] y) { y = Gemm<transB=0>(x, w, b) }",
        {"w": floats(12, 7), "b": floats(7)},
    ),
    "gemm with relu": (
        "net (float[3,12] x) => (float[3,7] y) { g = Gemm<transB=1, alpha=0.5, beta=2.0>(x, w, b) y = Relu(g) }",
        {"w": floats(7, 12), "b": floats(7)},
    ),
    "matmul with bias": (
        "net (float[1,5,12] x) => (float[1,5,7] y) { m = MatMul(x, w) a = Add(m, b) y = Relu(a) }",
        {"w": floats(12, 7), "b": floats(7)},
    ),
    "matmul of activations": ("net (float[2,5,6] x, float[2,6,4] z) => (float[2,5,4] y) { y = MatMul(x, z) }", {}),
    "add": ("net (float[1,3,4,4] x, float[1,3,4,4] z) => (float[1,3,4,4] y) { y = Add(x, z) }", {}),
    "add with relu": (
        "net (float[1,3,4,4] x, float[1,3,1,1] z) => (float[1,3,4,4] y) { s = Add(x, z) y = Relu(s) }",
        {},
    ),
    "add of itself": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Add(x, x) }", {}),
    "add of a constant": (
        "net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Add(x, c) }",
        {"c": floats(3, 4, 4)},
    ),
    "sub": ("net (float[1,3,4,4] x, float[1,3,4,4] z) => (float[1,3,4,4] y) { y = Sub(x, z) }", {}),
    "constant minus": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Sub(c, x) }", {"c": floats(3, 4, 4)}),
    "mul": ("net (float[1,3,4,4] x, float[1,3,4,1] z) => (float[1,3,4,4] y) { y = Mul(x, z) }", {}),
    "mul by a constant": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Mul(x, c) }", {"c": floats(1, 3, 4, 4)}),
    "div by a constant": (
        "net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Div(x, c) }",
        {"c": np.exp(floats(1, 3, 4, 4))},
    ),
    "concat": ("net (float[1,3,4,4] x, float[1,2,4,4] z) => (float[1,5,4,4] y) { y = Concat<axis=1>(x, z) }", {}),
    "max pool with ceil mode": (
        """net (float[1,3,8,7] x) => (float[1,3,4,4] y) {
            y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x) }""",
        {},
    ),
    "max pool with padding": (
        "net (float[1,3,8,7] x) => (float[1,3,8,7] y) { y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) }",
        {},
    ),
    "1-D max pool": (
        "net (float[1,3,9] x) => (float[1,3,4] y) { y = MaxPool<kernel_shape=[3], strides=[2]>(x) }",
        {},
    ),
    "average pool with borders": (
        """net (float[1,3,8,8] x) => (float[1,3,4,4] y) {
            y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x) }""",
        {},
    ),
    "average pool that counts padding": (
        """net (float[1,3,8,8] x) => (float[1,3,4,4] y) {
            y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], count_include_pad=1>(x) }""",
        {},
    ),
    "global average pool": ("net (float[1,3,5,7] x) => (float[1,3,1,1] y) { y = GlobalAveragePool(x) }", {}),
    "mean": ("net (float[1,3,5,7] x) => (float[1,3] y) { y = ReduceMean<axes=[2,3], keepdims=0>(x) }", {}),
    "global max pool": ("net (float[1,3,5,7] x) => (float[1,3,1,1] y) { y = GlobalMaxPool(x) }", {}),
    "reduce max": ("net (float[1,3,5,7] x) => (float[1,3,7] y) { y = ReduceMax<axes=[2], keepdims=0>(x) }", {}),
    "relu on its own": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Relu(x) }", {}),
    "clip on its own": (
        """net (float[1,3,4,4] x) => (float[1,3,4,4] y) {
            low = Constant<value = float {-0.5}>() high = Constant<value = float {1.0}>() y = Clip(x, low, high) }""",
        {},
    ),
    "sigmoid": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Sigmoid(x) }", {}),
    "tanh": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Tanh(x) }", {}),
    "leaky relu": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = LeakyRelu<alpha=0.1>(x) }", {}),
    "hard swish": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = HardSwish(x) }", {}),
    "elu": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Elu(x) }", {}),
    "exponential": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Exp(x) }", {}),
    "absolute value": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = Abs(x) }", {}),
    "power": (
        "net (float[1,3,4,4] x) => (float[1,3,4,4] y) { e = Constant<value = float {2.0}>() y = Pow(x, e) }",
        {},
    ),
    "prelu with one slope": ("net (float[1,3,4,4] x) => (float[1,3,4,4] y) { y = PRelu(x, s) }", {"s": floats(1)}),
    "softmax": ("net (float[1,9] x) => (float[1,9] y) { y = Softmax<axis=1>(x) }", {}),
    "softmax over channels": ("net (float[1,5,4] x) => (float[1,5,4] y) { y = Softmax<axis=1>(x) }", {}),
    "reshape": (
        "net (float[1,3,4,4] x) => (float[1,48] y) { s = Constant<value = int64[2] {1,-1}>() y = Reshape(x, s) }",
        {},
    ),
    "flatten": ("net (float[1,3,4,4] x) => (float[1,48] y) { y = Flatten(x) }", {}),
    "squeeze": (
        "net (float[1,3,1,4] x) => (float[1,3,4] y) { a = Constant<value = int64[1] {2}>() y = Squeeze(x, a) }",
        {},
    ),
    "transpose": ("net (float[1,3,4,5] x) => (float[1,4,5,3] y) { y = Transpose<perm=[0,2,3,1]>(x) }", {}),
    "slice": (
        "net (float[1,3,6,8] x) => (float[1,3,3,3] y) { y = Slice(x, s, e, a, t) }",
        {
            "s": np.array([1, -2]),
            "e": np.array([4, -(2**40)]),
            "a": np.array([2, 3]),
            "t": np.array([1, -3]),
        },
    ),
    "split": (
        """net (float[1,6,4] x) => (float[1,2,4] y, float[1,4,4] z) {
            s = Constant<value = int64[2] {2,4}>() y, z = Split<axis=1>(x, s) }""",
        {},
    ),
    "pad": (
        "net (float[1,3,4,4] x) => (float[1,3,6,7] y) { y = Pad(x, p) }",
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 2])},
    ),
    "reflecting pad": (
        'net (float[1,3,4,4] x) => (float[1,3,6,7] y) { y = Pad<mode="reflect">(x, p) }',
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 2])},
    ),
    "gather": (
        "net (float[1,6,4] x) => (float[1,3,4] y) { y = Gather<axis=1>(x, i) }",
        {"i": np.array([5, 0, -2])},
    ),
    "gather of one": ("net (float[1,6,4] x) => (float[1,4] y) { y = Gather<axis=1>(x, i) }", {"i": np.array(3)}),
    "nearest resize": (
        """net (float[1,3,4,5] x) => (float[1,3,8,10] y) {
            y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor">(x, , s) }""",
        {"s": np.array([1, 1, 2, 2], dtype=np.float32)},
    ),
    "linear resize": (
        """net (float[1,3,4,5] x) => (float[1,3,7,9] y) {
            y = Resize<mode="linear", coordinate_transformation_mode="align_corners">(x, , , s) }""",
        {"s": np.array([1, 3, 7, 9])},
    ),
    "depth to space": ("net (float[1,8,3,3] x) => (float[1,2,6,6] y) { y = DepthToSpace<blocksize=2>(x) }", {}),
    "depth to space by columns": (
        'net (float[1,8,3,3] x) => (float[1,2,6,6] y) { y = DepthToSpace<blocksize=2, mode="CRD">(x) }',
        {},
    ),
    "space to depth": ("net (float[1,2,6,6] x) => (float[1,8,3,3] y) { y = SpaceToDepth<blocksize=2>(x) }", {}),
}

LOOSER = {
    "linear resize": 1.0,
    "softmax": 1.0,
    "softmax over channels": 1.0,
}
"""Operations with a second rounding of their own: interpolation weights, the exponential's table."""


@pytest.fixture(scope="module")
def benches() -> dict[str, Bench]:
    return {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_an_operation_is_float_arithmetic_rounded_once(case, kind, benches):
    body, constants = CASES[case]
    bench = benches.get(case) or benches.setdefault(case, Bench(body, opset=14 if "swish" in case else 13, **constants))

    model = bench.quantize(**KINDS[kind])

    assert bench.worst_step(model) <= LOOSER.get(case, ONE_STEP)


@pytest.mark.parametrize("profile", ["tflite", "vip16", "vip24", "rk15", "nna"])
@pytest.mark.parametrize("case", ["conv", "add", "mul", "average pool with borders", "matmul with bias", "concat"])
def test_every_profile_stays_within_one_code(case, profile, benches):
    body, constants = CASES[case]
    bench = benches.get(case) or benches.setdefault(case, Bench(body, **constants))

    model = bench.quantize(profile=profile)

    assert model.profile == profile
    assert bench.worst_step(model) <= 1.0
