"""Codes of a network's inputs are those of ONNX QuantizeLinear, also for pixels that lie half-way between two codes."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from npudsl.machine.kernels.boundary import quantize_values


def quantize_linear(values: np.ndarray, scale: float, zero_point: int, storage: str) -> np.ndarray:
    element = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8}[storage]
    node = helper.make_node("QuantizeLinear", ["x", "scale", "zero_point"], ["codes"])
    graph = helper.make_graph(
        [node],
        "quantize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(values.shape))],
        [helper.make_tensor_value_info("codes", element, list(values.shape))],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [], [scale]),
            helper.make_tensor("zero_point", element, [], [zero_point]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (codes,) = session.run(None, {"x": values})
    return codes


@pytest.mark.parametrize(("zero_point", "low", "high", "storage"), [(128, 0, 255, "uint8"), (0, -128, 127, "int8")])
@pytest.mark.parametrize("scale", [2 / 255, 1 / 127.5, 0.0078125, 0.0235294, 0.1, 3.7e-5])
def test_pixels_and_random_values_get_the_codes_of_quantize_linear(scale, zero_point, low, high, storage):
    pixels = ((np.arange(256, dtype=np.float32) - np.float32(127.5)) * np.float32(1 / 127.5)).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 60 * scale, 4096).astype(np.float32)
    values = np.concatenate([pixels, noise, noise.round(2)])
    ours = quantize_values(values, scale, zero_point, low, high, storage)
    np.testing.assert_array_equal(ours, quantize_linear(values, scale, zero_point, storage))
