"""Layers that stay in float32."""

from __future__ import annotations

from typing import Any

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.ir.graph import Node
from npudsl.ir.groups import LayerGroup
from npudsl.steps.quantize.builder import ProgramBuilder
from npudsl.steps.quantize.settings import FLOAT_TYPE


def emit_float(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``float``: the ONNX operator with its constants; a fused Relu or Clip is ``clip_low`` and ``clip_high``.

    The Add of a bias behind a MatMul is a float layer of its own.
    """
    node = builder.structure.node(group)
    outputs = [builder.output(group, index) for index in range(len(group.outputs))]
    inputs = [builder.input_as(group, index, outputs[0]) for index in range(len(group.inputs))]
    clip = _clip(group)
    if _is_function(group, node):
        builder.add_float(group, inputs, outputs, {"op": group.op, "onnx": dict(group.attributes)}, {})
        return
    if group.op != "MatMul" or group.bias is None:
        builder.add_float(group, inputs, outputs, _attributes(node, clip), _constants(builder, node, group))
        return
    inner = node.outputs[0]
    shape = builder.structure.graph.types[inner].shape
    product = TensorQuantization(inner, shape, FLOAT_TYPE, "none", decided_by=outputs[0].decided_by)
    builder.add_float(group, inputs, [product], _attributes(node, {}), _constants(builder, node, group))
    add = {"op": "Add", "onnx": {}, **clip}
    bias = {"input1": builder.structure.blobs[group.bias]}
    builder.add_float(group, [product], outputs, add, bias, name=f"{group.name}/bias")


def _attributes(node: Node, clip: dict[str, float]) -> dict[str, Any]:
    return {"op": node.op, "onnx": dict(node.attributes), **clip}


def _is_function(group: LayerGroup, node: Node) -> bool:
    """Whether the layer is a written-out function: one float operator for all its nodes."""
    return len(group.nodes) > 1 and group.op != node.op and group.bias is None and group.clamp is None


def _clip(group: LayerGroup) -> dict[str, float]:
    if group.clamp is None:
        return {}
    bounds = {"clip_low": group.clamp.low, "clip_high": group.clamp.high}
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _constants(builder: ProgramBuilder, node: Node, group: LayerGroup) -> dict[str, Any]:
    """Constant inputs by ONNX position, passed on as they are."""
    return {
        f"input{position}": builder.structure.blobs[name]
        for position, name in enumerate(node.inputs)
        if name in builder.structure.blobs
    }
