"""One-node ONNX models run by onnxruntime: what the machine is compared with."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper


def run_node(op, inputs, attributes=None, domain="", outputs=1, opset=19):
    """Outputs of one node; ``inputs`` are (name, array, is constant), an empty name is an absent input."""
    names = [f"y{index}" for index in range(outputs)]
    node = helper.make_node(op, [name for name, _, _ in inputs], names, domain=domain, **(attributes or {}))
    given = [(name, np.asarray(value)) for name, value, constant in inputs if name and not constant]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value, constant in inputs if name and constant]
    graph = helper.make_graph(
        [node],
        "oracle",
        [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for name, v in given],
        [onnx.ValueInfoProto(name=name) for name in names],
        stored,
    )
    opsets = [helper.make_opsetid("", opset)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(given))


def scalar(name, value):
    """A constant of rank 0; scales are float32."""
    return (name, np.array(value, dtype=np.float32 if isinstance(value, float) else value.dtype), True)
