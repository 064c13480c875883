"""Which ONNX operators can stay in float."""

from __future__ import annotations

import numpy as np

from npudsl.machine.float_ops import arithmetic, movement, spatial
from npudsl.machine.float_ops.signature import FloatOp
from npudsl.machine.tables import UNARY_FUNCTIONS

FLOAT_OPS: dict[str, FloatOp] = {
    **{op: arithmetic.unary(op) for op in UNARY_FUNCTIONS},
    "Add": arithmetic.binary(np.add),
    "ArgMax": arithmetic.position(largest=True),
    "ArgMin": arithmetic.position(largest=False),
    "AveragePool": spatial.average_pool,
    "BatchNormalization": arithmetic.batch_normalization,
    "Clip": arithmetic.clip,
    "Concat": movement.concat,
    "Conv": spatial.conv,
    "ConvTranspose": spatial.conv_transpose,
    "DepthToSpace": movement.depth_to_space,
    "Div": arithmetic.binary(np.divide),
    "Dropout": movement.identity,
    "Expand": movement.expand,
    "Flatten": movement.flatten,
    "Gather": movement.gather,
    "Gemm": arithmetic.gemm,
    "GlobalAveragePool": spatial.global_average_pool,
    "GlobalMaxPool": spatial.global_max_pool,
    "Identity": movement.identity,
    "InstanceNormalization": arithmetic.instance_normalization,
    "LayerNormalization": arithmetic.layer_normalization,
    "Log": arithmetic.log,
    "LogSoftmax": arithmetic.log_softmax,
    "MatMul": arithmetic.matmul,
    "Max": arithmetic.binary(np.maximum),
    "MaxPool": spatial.max_pool,
    "Min": arithmetic.binary(np.minimum),
    "Mul": arithmetic.binary(np.multiply),
    "PRelu": arithmetic.prelu,
    "Pad": movement.pad,
    "Pow": arithmetic.binary(np.power),
    "Reciprocal": arithmetic.reciprocal,
    "ReduceMax": arithmetic.reduce(np.max),
    "ReduceMean": arithmetic.reduce(np.mean),
    "ReduceMin": arithmetic.reduce(np.min),
    "ReduceSum": arithmetic.reduce(np.sum),
    "Reshape": movement.reshape,
    "Resize": spatial.resize,
    "Slice": movement.slice_,
    "Softmax": arithmetic.softmax,
    "SpaceToDepth": movement.space_to_depth,
    "Split": movement.split,
    "Sqrt": arithmetic.sqrt,
    "Squeeze": movement.squeeze,
    "Sub": arithmetic.binary(np.subtract),
    "Sum": arithmetic.binary(np.add),
    "Tile": movement.tile,
    "Transpose": movement.transpose,
    "Unsqueeze": movement.unsqueeze,
}
"""ONNX name -> operator. ``Max``, ``Min`` and ``Sum`` take two inputs here."""


def is_float_op(op: str) -> bool:
    """Whether a layer of this ONNX operator can be kept in float."""
    return op in FLOAT_OPS
