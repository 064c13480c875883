"""Layers kept in float against onnxruntime, alone and as a layer of a program."""

from __future__ import annotations

import numpy as np
import pytest
from machine_harness import run_one, tensor
from onnx_oracle import run_node

from npudsl.machine.float_ops.table import FLOAT_OPS, is_float_op

generator = np.random.default_rng(0)


def normal(*shape):
    return generator.normal(size=shape).astype(np.float32)


def positive(*shape):
    return (abs(normal(*shape)) + 0.1).astype(np.float32)


def ints(*items):
    return np.array(items, dtype=np.int64)


IMAGE = normal(2, 4, 9, 8)
SEQUENCE = normal(2, 4, 15)
SMOOTH = ("Atan", "Cos", "Erf", "Exp", "Mish", "Sigmoid", "Sin", "Softplus", "Softsign", "Tanh")
BENT = ("Abs", "Celu", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "Neg", "Relu", "Selu", "ThresholdedRelu")
STEPPED = ("Ceil", "Floor", "Round", "Sign")

CASES = {
    **{op: (op, [IMAGE], {}) for op in (*SMOOTH, *BENT, *STEPPED)},
    "Log": ("Log", [positive(2, 5)], {}),
    "Sqrt": ("Sqrt", [positive(2, 5)], {}),
    "Reciprocal": ("Reciprocal", [positive(2, 5)], {}),
    "Add with broadcasting": ("Add", [IMAGE, normal(4, 1, 1)], {}),
    "Sub": ("Sub", [IMAGE, normal(1)], {}),
    "Mul": ("Mul", [IMAGE, normal(2, 4, 9, 8)], {}),
    "Div": ("Div", [IMAGE, positive(8)], {}),
    "Pow": ("Pow", [positive(3, 4), np.float32([2.0])], {}),
    "Max": ("Max", [IMAGE, normal(8)], {}),
    "Min": ("Min", [IMAGE, normal(8)], {}),
    "Sum": ("Sum", [IMAGE, normal(8)], {}),
    "PRelu": ("PRelu", [IMAGE, normal(4, 1, 1)], {}),
    "Clip": ("Clip", [IMAGE, np.float32(-0.5), np.float32(0.7)], {}),
    "Clip below only": ("Clip", [IMAGE, np.float32(-0.5)], {}),
    "Softmax": ("Softmax", [IMAGE], {"axis": 1}),
    "LogSoftmax": ("LogSoftmax", [IMAGE], {"axis": -1}),
    "Conv": ("Conv", [IMAGE, normal(6, 4, 3, 3), normal(6)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "Conv with groups and dilation": (
        "Conv",
        [IMAGE, normal(8, 2, 3, 2)],
        {"group": 2, "dilations": [2, 3], "pads": [2, 3, 2, 3]},
    ),
    "Conv in one dimension": ("Conv", [SEQUENCE, normal(6, 4, 3), normal(6)], {"pads": [1, 1], "strides": [2]}),
    "ConvTranspose": (
        "ConvTranspose",
        [IMAGE, normal(4, 3, 3, 3), normal(6)],
        {"group": 2, "strides": [2, 2], "pads": [1, 1, 0, 1], "output_padding": [1, 0]},
    ),
    "ConvTranspose in one dimension": ("ConvTranspose", [SEQUENCE, normal(4, 3, 4)], {"strides": [2], "pads": [1, 1]}),
    "Gemm": ("Gemm", [normal(3, 5), normal(6, 5), normal(6)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    "Gemm of a transposed": ("Gemm", [normal(5, 3), normal(5, 6)], {"transA": 1}),
    "MatMul": ("MatMul", [normal(2, 3, 5), normal(5, 4)], {}),
    "MaxPool": ("MaxPool", [IMAGE], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    "MaxPool with ceiling": ("MaxPool", [IMAGE], {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1}),
    "MaxPool with dilation": ("MaxPool", [IMAGE], {"kernel_shape": [2, 2], "dilations": [2, 3]}),
    "MaxPool in one dimension": ("MaxPool", [SEQUENCE], {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}),
    "AveragePool": ("AveragePool", [IMAGE], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "AveragePool counting its padding": (
        "AveragePool",
        [IMAGE],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    "AveragePool with ceiling": (
        "AveragePool",
        [IMAGE],
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 0], "ceil_mode": 1},
    ),
    "AveragePool in one dimension": ("AveragePool", [SEQUENCE], {"kernel_shape": [4], "strides": [3]}),
    "GlobalAveragePool": ("GlobalAveragePool", [IMAGE], {}),
    "GlobalMaxPool": ("GlobalMaxPool", [IMAGE], {}),
    "ReduceMean": ("ReduceMean", [IMAGE, ints(2, 3)], {"keepdims": 0}),
    "ReduceMean of all": ("ReduceMean", [IMAGE], {}),
    "ReduceMax": ("ReduceMax", [IMAGE, ints(-1)], {}),
    "ReduceMin": ("ReduceMin", [IMAGE, ints(1)], {}),
    "ReduceSum": ("ReduceSum", [IMAGE, ints(1, 2)], {}),
    "BatchNormalization": (
        "BatchNormalization",
        [IMAGE, normal(4), normal(4), normal(4), positive(4)],
        {"epsilon": 1e-3},
    ),
    "Concat": ("Concat", [IMAGE, IMAGE[:, :2]], {"axis": 1}),
    "Reshape": ("Reshape", [IMAGE, ints(0, -1, 8)], {}),
    "Transpose": ("Transpose", [IMAGE], {"perm": [0, 2, 3, 1]}),
    "Transpose backwards": ("Transpose", [IMAGE], {}),
    "Flatten": ("Flatten", [IMAGE], {"axis": -2}),
    "Squeeze": ("Squeeze", [normal(2, 1, 3, 1), ints(1)], {}),
    "Squeeze everything": ("Squeeze", [normal(2, 1, 3, 1)], {}),
    "Unsqueeze": ("Unsqueeze", [normal(2, 3), ints(0, -1)], {}),
    "Slice": ("Slice", [IMAGE, ints(1, -1), ints(3, -9), ints(1, 3), ints(1, -2)], {}),
    "Slice from the first axis": ("Slice", [IMAGE, ints(1), ints(1000)], {}),
    "Pad": ("Pad", [IMAGE, ints(0, 0, 1, -1, 0, 0, 2, 3), np.float32(0.5)], {"mode": "constant"}),
    "Pad by reflection": ("Pad", [IMAGE, ints(0, 0, 1, 2, 0, 0, 2, 3)], {"mode": "reflect"}),
    "Pad by the edge": ("Pad", [IMAGE, ints(1, 2, 2, 3), np.float32(0), ints(2, 3)], {"mode": "edge"}),
    "Gather": ("Gather", [IMAGE, ints(2, 0)], {"axis": 1}),
    "DepthToSpace": ("DepthToSpace", [IMAGE], {"blocksize": 2}),
    "DepthToSpace CRD": ("DepthToSpace", [IMAGE], {"blocksize": 2, "mode": "CRD"}),
    "SpaceToDepth": ("SpaceToDepth", [IMAGE[:, :, :8]], {"blocksize": 2}),
    "Identity": ("Identity", [IMAGE], {}),
    "Expand": ("Expand", [normal(3, 1), ints(2, 1, 4)], {}),
    "Tile": ("Tile", [normal(2, 3), ints(3, 2)], {}),
    "InstanceNormalization": ("InstanceNormalization", [IMAGE, normal(4), normal(4)], {"epsilon": 1e-3}),
    "LayerNormalization": ("LayerNormalization", [IMAGE, normal(9, 8), normal(9, 8)], {"axis": 2}),
    "LayerNormalization without bias": ("LayerNormalization", [IMAGE, normal(8)], {}),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_gives_what_onnxruntime_gives(name):
    op, inputs, attributes = CASES[name]
    named = [(f"i{index}", value, index > 0) for index, value in enumerate(inputs)]
    (expected,) = run_node(op, named, attributes)
    (found,) = FLOAT_OPS[op](inputs, attributes)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    assert found == pytest.approx(expected, rel=2e-6, abs=2e-6)


def test_split_gives_several_outputs():
    expected = run_node("Split", [("x", IMAGE, False), ("s", ints(1, 3), True)], {"axis": 1}, outputs=2)
    found = FLOAT_OPS["Split"]([IMAGE, ints(1, 3)], {"axis": 1})
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    parts = FLOAT_OPS["Split"]([IMAGE], {"axis": 2, "num_outputs": 2})
    assert [part.shape[2] for part in parts] == [5, 4]


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("attributes", [{}, {"axis": -1, "keepdims": 0}, {"axis": 1, "select_last_index": 1}], ids=str)
def test_positions_are_those_of_onnxruntime(op, attributes):
    values = np.rint(IMAGE * 2)
    (expected,) = run_node(op, [("x", values, False)], attributes)
    (found,) = FLOAT_OPS[op]([values], attributes)
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)


def test_every_operator_is_compared():
    compared = {op for op, _, _ in CASES.values()} | {"Split", "Resize", "ArgMax", "ArgMin"}
    assert set(FLOAT_OPS) - compared == {"Dropout", "Gelu", "Silu", "Swish"}
    assert not is_float_op("NonMaxSuppression")


def test_a_float_layer_runs_every_sample_by_itself_and_applies_its_clamp():
    source, target = tensor("x", (2, 4, 9, 8), "f32"), tensor("y", (2, 6, 7, 6), "f32")
    weights, bias = normal(6, 4, 3, 3), normal(6)
    values = np.concatenate([IMAGE, -IMAGE])
    attributes = {"op": "Conv", "onnx": {}, "clip_low": 0.0, "clip_high": 6.0}
    found = run_one("float", [source], target, [values], attributes, {"input1": weights, "input2": bias})
    (expected,) = FLOAT_OPS["Conv"]([values, weights, bias], {})
    assert found.dtype == np.float32
    assert np.array_equal(found, np.clip(expected, 0, 6))


def test_constants_of_a_float_layer_stand_at_their_onnx_position():
    source, target = tensor("x", (1, 3), "f32"), tensor("y", (1, 3), "f32")
    values = np.float32([[1, 2, 3], [4, 5, 6]])
    found = run_one("float", [source], target, [values], {"op": "Sub", "onnx": {}}, {"input0": np.float32([10])})
    assert found.tolist() == [[9, 8, 7], [6, 5, 4]]


def test_absent_inputs_in_the_middle_stay_absent():
    source, target = tensor("x", (1, 1, 2, 2), "f32"), tensor("y", (1, 1, 4, 4), "f32")
    attributes = {"op": "Resize", "onnx": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}}
    values = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    found = run_one("float", [source], target, [values], attributes, {"input3": ints(1, 1, 4, 4)})
    assert np.array_equal(found, values.repeat(2, 2).repeat(2, 3))


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "message"),
    [
        ("Conv", [normal(1, 1, 2, 2, 2), normal(1, 1, 1, 1, 1)], {}, "3 spatial axes"),
        ("Conv", [IMAGE, normal(6, 4, 3, 3)], {"auto_pad": "SAME_UPPER"}, "auto_pad"),
        ("Resize", [IMAGE, None, np.float32([1, 1, 2, 2])], {"mode": "cubic"}, "cubic"),
        ("Pad", [IMAGE, ints(0, 0, 1, 1, 0, 0, 1, 1)], {"mode": "mirror"}, "mirror"),
        ("Reshape", [IMAGE], {}, "shape"),
    ],
)
def test_what_is_not_supported_is_refused(op, inputs, attributes, message):
    with pytest.raises(ValueError, match=message):
        FLOAT_OPS[op](inputs, attributes)
