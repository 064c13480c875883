"""Padding is explicit after import, and a Pad goes where it may."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_models import ops, parse, read, simplified, weights

from npudsl.ir.float_run import run, session
from npudsl.ir.onnx_proto import to_onnx
from npudsl.ir.passes import simplify


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation"), [(8, 3, 2, 1), (6, 2, 2, 1), (5, 1, 2, 1), (7, 3, 1, 2)]
)
def test_conv_padding_is_written_out(mode: str, size: int, kernel: int, stride: int, dilation: int) -> None:
    body = f"""net (float[1,2,{size},9] x) => (float[1,3,h,w] y) {{
      y = Conv<auto_pad="{mode}", strides=[{stride},1], dilations=[{dilation},1]>(x, k)
    }}"""
    model = parse(body, k=weights(3, 2, kernel, 3))
    # onnxruntime does not run SAME with dilation, so there is nothing to compare with.
    (conv,) = (simplify(read(model).graph) if dilation > 1 else simplified(model)).nodes
    assert "auto_pad" not in conv.attributes
    assert len(conv.attributes["pads"]) == 4
    assert conv.attributes["kernel_shape"] == [kernel, 3]


def test_the_odd_pad_is_at_the_end_for_upper_and_at_the_begin_for_lower() -> None:
    for mode, pads in (("SAME_UPPER", [0, 0, 1, 1]), ("SAME_LOWER", [1, 1, 0, 0])):
        body = f'net (float[1,2,8,8] x) => (float[1,3,4,4] y) {{ y = Conv<auto_pad="{mode}", strides=[2,2]>(x, k) }}'
        assert simplified(parse(body, k=weights(3, 2, 3, 3))).nodes[0].attributes["pads"] == pads


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_pool_padding_is_written_out(op: str, mode: str) -> None:
    body = f"""net (float[1,2,7,8] x) => (float[1,2,h,w] y) {{
      y = {op}<auto_pad="{mode}", kernel_shape=[3,2], strides=[2,2]>(x)
    }}"""
    (pool,) = simplified(parse(body)).nodes
    assert "auto_pad" not in pool.attributes
    assert pool.attributes.get("dilations") == ([1, 1] if op == "MaxPool" else None)


@pytest.mark.parametrize(
    "options", ['auto_pad="SAME_UPPER"', 'auto_pad="SAME_LOWER"', "output_shape=[13,13]", "pads=[1,1,0,0]"]
)
def test_transposed_convolution_padding_is_written_out(options: str) -> None:
    body = f"net (float[1,2,6,6] x) => (float[1,3,h,w] y) {{ y = ConvTranspose<strides=[2,2], {options}>(x, k) }}"
    (conv,) = simplified(parse(body, k=weights(2, 3, 3, 3))).nodes
    assert {"auto_pad", "output_shape"}.isdisjoint(conv.attributes)
    assert len(conv.attributes["pads"]) == 4


def test_one_dimensional_convolutions_have_two_pads() -> None:
    body = 'net (float[1,2,9] x) => (float[1,3,5] y) { y = Conv<auto_pad="SAME_UPPER", strides=[2]>(x, k) }'
    assert simplified(parse(body, k=weights(3, 2, 3))).nodes[0].attributes["pads"] == [1, 1]


def test_a_zero_pad_becomes_part_of_the_convolution() -> None:
    body = "net (float[1,2,6,6] x) => (float[1,3,h,w] y) { [pad] p = Pad(x, n) [conv] y = Conv<pads=[1,0,0,0]>(p, k) }"
    graph = simplified(parse(body, n=np.array([0, 0, 1, 2, 0, 0, 3, 0]), k=weights(3, 2, 3, 3)))
    assert ops(graph) == ["Conv"]
    assert graph.nodes[0].attributes["pads"] == [2, 2, 3, 0]
    assert graph.aliases["pad"] == graph.aliases["p"] == "conv"


def test_pads_on_named_axes_count_too() -> None:
    body = "net (float[1,2,6,6] x) => (float[1,3,h,w] y) { p = Pad(x, n, , axes) y = Conv(p, k) }"
    graph = simplified(parse(body, 18, n=np.array([1, 2]), axes=np.array([-1]), k=weights(3, 2, 3, 3)))
    assert graph.nodes[0].attributes["pads"] == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("pads", "value", "mode"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], 0.5, "constant"),
        ([0, 0, 1, 1, 0, 0, 1, 1], 0.0, "edge"),
        ([0, 1, 0, 0, 0, 0, 0, 0], 0.0, "constant"),
        ([0, 0, -1, 0, 0, 0, 0, 0], 0.0, "constant"),
    ],
)
def test_other_pads_stay(pads: list[int], value: float, mode: str) -> None:
    channels = 2 + pads[1] + pads[5]
    body = f'net (float[1,2,6,6] x) => (float[1,3,h,w] y) {{ p = Pad<mode="{mode}">(x, n, v) y = Conv(p, k) }}'
    graph = simplified(parse(body, n=np.array(pads), v=np.float32(value), k=weights(3, channels, 3, 3)))
    assert ops(graph) == ["Pad", "Conv"]


def test_a_pad_that_two_layers_read_stays() -> None:
    body = "net (float[1,2,6,6] x) => (float[1,3,h,w] y, float[1,2,a,b] z) { p = Pad(x, n) y = Conv(p, k) z = Relu(p) }"
    graph = simplified(parse(body, n=np.array([0, 0, 1, 1, 0, 0, 1, 1]), k=weights(3, 2, 3, 3)))
    assert ops(graph) == ["Pad", "Conv", "Relu"]


def test_a_zero_pad_in_front_of_max_pool_stays_and_runs_right() -> None:
    body = """net (float[1,1,4,4] x) => (float[1,1,3,3] y) {
      p = Pad(x, n) y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(p)
    }"""
    graph = simplified(parse(body, n=np.array([0, 0, 1, 1, 0, 0, 1, 1])))
    assert ops(graph) == ["Pad", "MaxPool"]
    negative = np.full((1, 1, 4, 4), -3, np.float32)
    expected = np.array([[0, 0, 0], [0, -3, 0], [0, 0, 0]], np.float32)
    for optimize in (True, False):
        found = run(session(to_onnx(graph), optimize=optimize), {"x": negative})["y"]
        np.testing.assert_array_equal(found[0, 0], expected)
