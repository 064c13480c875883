"""Multiply-accumulate operations of one node, for one run of the graph."""

from __future__ import annotations

import math
from collections.abc import Mapping

from npudsl.ir.graph import Node, TensorType

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def node_macs(node: Node, types: Mapping[str, TensorType]) -> int:
    """How many products ``node`` adds up; 0 for everything that is not a sum of products of two operands."""
    if node.op in ("Conv", "ConvTranspose"):
        weight = types[node.inputs[1]]
        walked = types[node.outputs[0] if node.op == "Conv" else node.inputs[0]]
        return walked.size * math.prod(weight.shape[1:])
    if node.op in ("Gemm", "MatMul"):
        depth = types[node.inputs[0]].shape[-2 if node.attributes.get("transA", 0) else -1]
        return types[node.outputs[0]].size * depth
    if node.op in GATES:
        steps, batch, _ = types[node.inputs[0]].shape
        per_step = types[node.inputs[1]].size + types[node.inputs[2]].size
        return steps * batch * per_step
    return 0
