"""Types of one node's outputs, by ONNX's own shape inference, one node at a time.

Because every input type and every constant is known when a node is reached, no guess about symbolic extents is ever
needed. Rejected: inference over the whole model, which copies all weights and gives up on shape arithmetic that
constant folding resolves for free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from npudsl.diagnostics import Problem
from npudsl.ir.graph import Node, TensorType
from npudsl.ir.onnx_proto import IR_VERSION, OPSET, element_code, element_name, node_proto

if TYPE_CHECKING:
    import numpy as np

SMALL = 4096
"""Constants of up to this many elements are shown to shape inference: shapes, axes, pads, scales; not weights."""

LARGEST_TENSOR = 2**31
"""Bytes. A model that asks for more in one tensor is refused before anything is allocated for it."""


def infer(
    node: Node, types: Mapping[str, TensorType], constants: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, TensorType]:
    """Types of the outputs of ``node``; raises ``Problem`` when they contradict the operator or depend on data."""
    from onnx import helper, numpy_helper
    from onnx.checker import ValidationError
    from onnx.shape_inference import InferenceError

    read = dict.fromkeys(name for name in node.inputs if name)
    given = {name: helper.make_tensor_type_proto(element_code(types[name].dtype), types[name].shape) for name in read}
    values = {
        name: numpy_helper.from_array(constants[name], name)
        for name in read
        if name in constants and constants[name].size <= SMALL
    }
    try:
        found = _infer_alone(node, given, values)
    except (InferenceError, ValidationError, RuntimeError) as error:
        shapes = ", ".join(f"{name} {_shape_text(types[name])}" for name in read)
        raise Problem(
            "E0403",
            f"the shapes do not fit at layer `{node.name}` ({node.op}): {_one_line(error)}",
            subject="model.file",
            notes=[f"it reads {shapes}"],
            helps=["check the `shape` of every `input` block against the shape that the model was made for"],
        ) from error
    return {name: _checked(node, name, _complete(found.get(name))) for name in node.outputs if name}


def _infer_alone(node: Node, given: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    from onnx import defs, helper
    from onnx.shape_inference import infer_node_outputs

    schema = defs.get_schema(node.op, OPSET, "")
    opsets = [helper.make_opsetid("", OPSET)]
    found: dict[str, Any] = infer_node_outputs(
        schema, node_proto(node), dict(given), dict(values), None, opsets, IR_VERSION
    )
    return found


def _complete(proto: Any) -> TensorType | None:
    """The type when element type and every extent are known."""
    if proto is None or not proto.HasField("tensor_type") or not proto.tensor_type.HasField("shape"):
        return None
    extents = proto.tensor_type.shape.dim
    if proto.tensor_type.elem_type == 0 or any(not extent.HasField("dim_value") for extent in extents):
        return None
    return TensorType(tuple(int(extent.dim_value) for extent in extents), element_name(proto.tensor_type.elem_type))


def _checked(node: Node, name: str, found: TensorType | None) -> TensorType:
    if found is None:
        raise Problem(
            "E0407",
            f"the shape of `{name}`, made by layer `{node.name}` ({node.op}), is not known before the data is",
            subject="model.file",
            notes=["an NPU runs networks whose every shape is known before the first sample"],
            helps=[f"cut the model before it: an `output` block that names `{node.inputs[0]}`"],
        )
    if found.dtype == "object":
        raise Problem(
            "E0407",
            f"layer `{node.name}` ({node.op}) makes text, not numbers",
            subject="model.file",
            helps=["cut the model around it with `input` and `output` blocks"],
        )
    check_size(name, found)
    return found


def check_size(name: str, type_: TensorType) -> None:
    """Raise ``Problem`` when a tensor claims more memory than any model for an NPU can mean."""
    size = type_.size * _width(type_.dtype)
    if size > LARGEST_TENSOR:
        raise Problem(
            "E0401",
            f"tensor `{name}` claims {type_.size} elements ({size} bytes); {LARGEST_TENSOR} bytes are the most",
            subject="model.file",
            notes=[f"its shape is {_shape_text(type_)}, its element type {type_.dtype}"],
        )


def _width(dtype: str) -> int:
    import numpy as np

    try:
        return np.dtype(dtype).itemsize
    except TypeError:
        return 2


def _shape_text(type_: TensorType) -> str:
    return "x".join(str(extent) for extent in type_.shape) if type_.shape else "scalar"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
