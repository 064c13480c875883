"""An ONNX graph in terms of opset 19 to our ``Graph``: node names, attributes, constants, aliases. Values only, no
rewriting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, helper, numpy_helper

from npudsl.diagnostics import Problem
from npudsl.ir.edit import topological_order
from npudsl.ir.graph import Attribute, Graph, Node, TensorType
from npudsl.ir.onnx_proto import element_name

SUBJECT = "model.file"


def shown_name(node: NodeProto) -> str:
    """What the user calls a node: its name, else the first tensor that it makes."""
    return node.name or next((name for name in node.output if name), node.op_type)


def draft_graph(model: ModelProto, original: GraphProto) -> Graph:
    """The graph of ``model``; ``types`` know inputs and constants only. ``original`` is the graph before the upgrade:
    every name a user may know from it becomes an alias."""
    names = node_names(model.graph.node)
    nodes = [node_from_proto(proto, name) for proto, name in zip(model.graph.node, names, strict=True)]
    constants = {item.name: _value(numpy_helper.to_array(item), item.name) for item in model.graph.initializer}
    inputs = {item.name: _input_type(item) for item in model.graph.input if item.name not in constants}
    try:
        ordered = topological_order(nodes, inputs, constants)
    except ValueError as error:
        raise Problem(
            "E0401", f"layer `{error}` can never run: it reads a tensor that nothing makes before it", subject=SUBJECT
        ) from error
    types = {name: TensorType(value.shape, value.dtype.name) for name, value in constants.items()}
    return Graph(
        name=model.graph.name,
        inputs=tuple(inputs),
        outputs=tuple(item.name for item in model.graph.output),
        nodes=ordered,
        types={**inputs, **types},
        constants=constants,
        aliases=_aliases(original, ordered),
    )


def node_names(nodes: Iterable[NodeProto]) -> list[str]:
    """A unique name for every node: its own when no other has it, else that of its first output, else with the
    operator."""
    listed = list(nodes)
    count = Counter(node.name for node in listed)
    taken = {node.name for node in listed if node.name and count[node.name] == 1}
    names = []
    for node in listed:
        if node.name and count[node.name] == 1:
            names.append(node.name)
            continue
        first = next((name for name in node.output if name), node.op_type)
        name = first if first not in taken else f"{first}/{node.op_type}"
        number = 2
        while name in taken:
            name = f"{first}/{node.op_type}.{number}"
            number += 1
        taken.add(name)
        names.append(name)
    return names


def node_from_proto(proto: NodeProto, name: str | None = None) -> Node:
    """``proto`` as a ``Node``. A ``Constant`` has its value, whatever the attribute was called, as ``value``."""
    if proto.op_type == "Constant":
        return Node(name or proto.name, "Constant", (), tuple(proto.output), {"value": _constant(proto)})
    outputs = list(proto.output)
    while outputs and not outputs[-1]:
        outputs.pop()
    inputs = list(proto.input)
    while inputs and not inputs[-1]:
        inputs.pop()
    attributes = {item.name: _attribute(item, proto) for item in proto.attribute}
    return Node(name or proto.name, proto.op_type, tuple(inputs), tuple(outputs), attributes)


def _attribute(item: AttributeProto, proto: NodeProto) -> Attribute:
    if item.type == AttributeProto.TENSOR:
        return _value(numpy_helper.to_array(item.t), f"{shown_name(proto)}.{item.name}")
    if item.type == AttributeProto.STRING:
        return item.s.decode("utf-8", "replace")
    if item.type == AttributeProto.STRINGS:
        return [text.decode("utf-8", "replace") for text in item.strings]
    if item.type in (AttributeProto.INTS, AttributeProto.FLOATS):
        return list(helper.get_attribute_value(item))
    if item.type in (AttributeProto.INT, AttributeProto.FLOAT):
        return helper.get_attribute_value(item)
    kind = AttributeProto.AttributeType.Name(item.type)
    raise Problem(
        "E0407",
        f"layer `{shown_name(proto)}` ({proto.op_type}) has `{item.name}` of the kind {kind}",
        subject=SUBJECT,
        helps=["cut the model before it with an `output` block"],
    )


def _constant(proto: NodeProto) -> np.ndarray[Any, Any]:
    for item in proto.attribute:
        if item.name == "value":
            return _value(numpy_helper.to_array(item.t), shown_name(proto))
        if item.name in ("value_float", "value_floats"):
            return np.array(helper.get_attribute_value(item), np.float32)
        if item.name in ("value_int", "value_ints"):
            return np.array(helper.get_attribute_value(item), np.int64)
    raise Problem(
        "E0407",
        f"the constant `{shown_name(proto)}` is no dense tensor of numbers",
        subject=SUBJECT,
        helps=["export the model with dense constants"],
    )


def _value(array: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    if array.dtype.kind in "OSU":
        raise Problem("E0407", f"the constant `{name}` is text, not numbers", subject=SUBJECT)
    return array


def _input_type(item: Any) -> TensorType:
    tensor = item.type.tensor_type
    return TensorType(tuple(extent.dim_value for extent in tensor.shape.dim), element_name(tensor.elem_type))


def _aliases(original: GraphProto, nodes: Iterable[Node]) -> dict[str, str]:
    """Names of original nodes that the upgrade replaced, to the node that makes their first output now."""
    kept = {node.name for node in nodes}
    makers = {tensor: node.name for node in nodes for tensor in node.outputs}
    aliases = {}
    for proto in original.node:
        maker = next((makers[name] for name in proto.output if name in makers), None)
        if proto.name and proto.name not in kept and maker is not None:
            aliases[proto.name] = maker
    return aliases
