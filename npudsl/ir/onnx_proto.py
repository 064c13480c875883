"""A graph, or a piece of one, as canonical ONNX: the bytes that every float run loads.

The opset and the IR version are pinned (19 and 9) and the bytes are deterministic, so equal graphs have equal digests.
Attribute types come from the operator's schema, not from the Python value: ``alpha=1`` is written as the float it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from npudsl.diagnostics import Problem
from npudsl.ir.graph import Graph, Node, TensorType

if TYPE_CHECKING:
    import numpy as np

OPSET = 19
"""The vocabulary of a graph: operators mean what they mean in this ONNX opset."""

IR_VERSION = 9
"""The file format version that belongs to the opset."""

PRODUCER = "npudsl"


def to_onnx(
    graph: Graph,
    *,
    outputs: Iterable[str] | None = None,
    nodes: Iterable[str] | None = None,
    inputs: Iterable[str] | None = None,
) -> bytes:
    """The ONNX file of ``graph``, or of a piece of it; every tensor keeps its name.

    ``inputs`` and ``outputs`` name tensors; inner ones cut the graph there, so ``outputs=[...inner tensors...]`` taps
    it. Without ``nodes`` the piece is whatever ``outputs`` needs down to ``inputs``; with ``nodes`` (names) it is
    exactly these, its inputs default to the activations they read from outside and its outputs to what others or the
    user read.
    """
    kept = _kept_nodes(graph, nodes, outputs, inputs)
    made = {tensor for node in kept for tensor in node.outputs if tensor}
    given = list(dict.fromkeys(inputs)) if inputs is not None else _read_from_outside(graph, kept, made, nodes is None)
    wanted = list(dict.fromkeys(outputs)) if outputs is not None else _read_by_others(graph, kept, made, nodes is None)
    read = {tensor for node in kept for tensor in node.inputs if tensor}
    constants = {name: array for name, array in graph.constants.items() if name in read and name not in given}
    return build_model(
        kept, {name: graph.types[name] for name in given}, {name: graph.types[name] for name in wanted}, constants
    )


def build_model(
    nodes: Iterable[Node],
    inputs: Mapping[str, TensorType],
    outputs: Mapping[str, TensorType],
    constants: Mapping[str, np.ndarray[Any, Any]],
    *,
    opset: int = OPSET,
    ir_version: int = IR_VERSION,
) -> bytes:
    """An ONNX file of loose parts; ``nodes`` in topological order."""
    from onnx import helper, numpy_helper

    model = helper.make_model(
        helper.make_graph(
            [node_proto(node, opset) for node in nodes],
            "npudsl",
            [_value_info(name, type_) for name, type_ in inputs.items()],
            [_value_info(name, type_) for name, type_ in outputs.items()],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        ),
        producer_name=PRODUCER,
        ir_version=ir_version,
        opset_imports=[helper.make_opsetid("", opset)],
    )
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def node_proto(node: Node, opset: int = OPSET) -> Any:
    """The ``NodeProto`` of ``node``."""
    import numpy as np
    from onnx import defs, helper, numpy_helper

    proto = helper.make_node(node.op, list(node.inputs), list(node.outputs), name=node.name)
    known: Any = defs.get_schema(node.op, opset, "").attributes
    for name, value in sorted(node.attributes.items()):
        kind = int(known[name].type.value) if name in known else None
        if isinstance(value, np.ndarray):
            value = numpy_helper.from_array(value)
        proto.attribute.append(helper.make_attribute(name, value, attr_type=kind))
    return proto


def element_code(dtype: str) -> int:
    """ONNX's number for a numpy element type name."""
    import ml_dtypes
    import numpy as np
    from onnx import helper

    known = np.dtype(getattr(ml_dtypes, dtype)) if hasattr(ml_dtypes, dtype) else np.dtype(dtype)
    return int(helper.np_dtype_to_tensor_dtype(known))


def element_name(code: int) -> str:
    """The numpy name of an ONNX element type (strings are ``object``); raises ``Problem`` for none."""
    from onnx import helper

    try:
        return str(helper.tensor_dtype_to_np_dtype(code).name)
    except KeyError:
        raise Problem(
            "E0401", f"the model uses the element type number {code}, which is none", subject="model.file"
        ) from None


def _value_info(name: str, type_: TensorType) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, element_code(type_.dtype), list(type_.shape))


def _kept_nodes(
    graph: Graph, nodes: Iterable[str] | None, outputs: Iterable[str] | None, inputs: Iterable[str] | None
) -> list[Node]:
    if nodes is not None:
        names = set(nodes)
        return [node for node in graph.nodes if node.name in names]
    stop = set(inputs) if inputs is not None else set(graph.inputs)
    needed = set(outputs if outputs is not None else graph.outputs) - stop
    kept = []
    for node in reversed(graph.nodes):
        if needed.isdisjoint(node.outputs):
            continue
        kept.append(node)
        needed.update(tensor for tensor in node.inputs if tensor and tensor not in stop)
    return kept[::-1]


def _read_from_outside(graph: Graph, kept: list[Node], made: set[str], whole: bool) -> list[str]:
    """Inputs of a piece: of the whole graph all declared ones, even when a tap does not need them."""
    if whole:
        return list(graph.inputs)
    read = dict.fromkeys(tensor for node in kept for tensor in node.inputs if tensor)
    return [tensor for tensor in read if tensor not in made and tensor not in graph.constants]


def _read_by_others(graph: Graph, kept: list[Node], made: set[str], whole: bool) -> list[str]:
    if whole:
        return list(graph.outputs)
    inside = {node.name for node in kept}
    read = set(graph.outputs)
    for node in graph.nodes:
        if node.name not in inside:
            read.update(node.inputs)
    return [tensor for node in kept for tensor in node.outputs if tensor and tensor in made and tensor in read]
