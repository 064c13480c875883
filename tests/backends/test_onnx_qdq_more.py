"""The QDQ export of transposed windows, pairs, lines and written-out functions computes what the machine does."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import weights
from quantize_bench import KINDS, U8, Bench
from test_onnx_qdq import LEVELS, exported, file_of, worst_step

CASES = {
    "transposed convolution": (
        "net (float[1,3,5,5] x) => (float[1,4,9,9] y) { y = ConvTranspose<strides=[2,2], pads=[1,1,1,1]>(x, k, b) }",
        {"k": weights(3, 4, 3, 3), "b": weights(4)},
    ),
    "grouped transposed convolution": (
        "net (float[1,4,5,5] x) => (float[1,6,11,11] y) { y = ConvTranspose<strides=[2,2], group=2>(x, k, b) }",
        {"k": weights(4, 3, 3, 3), "b": weights(6)},
    ),
    "one-dimensional transposed convolution": (
        "net (float[1,3,9] x) => (float[1,4,11] y) { y = ConvTranspose(x, k) }",
        {"k": weights(3, 4, 3)},
    ),
    "slopes": ("net (float[1,3,4] x) => (float[1,3,4] y) { y = PRelu(x, s) }", {"s": np.abs(weights(3, 1))}),
    "maximum": ("net (float[1,3,4] x, float[1,3,4] z) => (float[1,3,4] y) { y = Max(x, z) }", {}),
    "constant by tensor": (
        """net (float[1,3,4] x) => (float[1,3,4] y) {
            one = Constant<value = float {1.0}>() a = Exp(x) d = Add(a, one) y = Div(c, d) }""",
        {"c": weights(3, 4)},
    ),
    "padding with a value": (
        "net (float[1,3,4] x) => (float[1,3,7] y) { v = Constant<value = float {0.75}>() y = Pad(x, p, v) }",
        {"p": np.array([0, 0, 1, 0, 0, 2])},
    ),
    "repetition": ("net (float[1,3,4] x) => (float[1,6,4] y) { y = Tile(x, r) }", {"r": np.array([1, 2, 1])}),
    "sum over axes": ("net (float[2,3,4] x) => (float[2,3,1] y) { y = ReduceSum(x, a) }", {"a": np.array([2])}),
    "silu": ("net (float[1,3,4] x) => (float[1,3,4] y) { s = Sigmoid(x) y = Mul(x, s) }", {}),
    "log softmax": ("net (float[2,9] x) => (float[2,9] y) { y = LogSoftmax(x) }", {}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", CASES)
def test_an_operation_comes_out_as_on_the_integer_machine(case: str, kind: str) -> None:
    body, constants = CASES[case]
    bench = Bench(body, **constants)
    program = bench.quantize(**KINDS[kind])
    data = exported(bench, program).files[""]

    assert max(worst_step(bench, program, data, level) for level in (LEVELS[0], LEVELS[-1])) <= 1.001


def test_positions_stay_integers() -> None:
    bench = Bench("net (float[2,5] x) => (int64[2] y) { y = ArgMax<axis=1, keepdims=0>(x) }")
    program = bench.quantize(**U8)
    bundle = exported(bench, program)

    assert file_of(bundle).graph.output[0].type.tensor_type.elem_type == 7
    assert worst_step(bench, program, bundle.files[""], LEVELS[-1]) == 0.0


def test_scales_along_no_axis_of_a_weight_are_said() -> None:
    body, constants = CASES["grouped transposed convolution"]
    bench = Bench(body, **constants)
    bundle = exported(bench, bench.quantize(**KINDS["per channel"]))

    assert any("float constants" in note for note in bundle.notes)
