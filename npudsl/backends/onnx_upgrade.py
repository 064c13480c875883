"""Any opset to the one vocabulary of a graph: functions inlined, older opsets converted, newer ones checked operator
by operator.

A newer opset is accepted when every operator in use means what it meant in opset 19: most later versions only added
element types. An operator that came later is written out by the function body that its definition has; one without a
body, or one whose meaning changed, is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
from onnx import AttributeProto, ModelProto, defs, helper, inliner, version_converter

from npudsl.backends.onnx_graph import node_from_proto
from npudsl.diagnostics import Problem
from npudsl.ir.graph import Node, TensorType
from npudsl.ir.onnx_proto import OPSET, element_code, node_proto

SUBJECT = "model.file"

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})

RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)

WRITTEN_OUT = frozenset({"GroupNormalization", "MeanVarianceNormalization"})
"""Operators of opset 19 itself that are replaced by their function body: one is deprecated there, the other has no
rule for the shape of its result."""

OTHER_MEANING = frozenset({"DFT"})
"""Operators whose inputs or attributes mean something else after opset 19."""

GRID_MODES = {"linear": "bilinear", "cubic": "bicubic"}
"""Names of GridSample's modes from opset 20 on, and before."""


def inline_functions(model: ModelProto) -> ModelProto:
    """``model`` with every model-local function replaced by its body."""
    if not model.functions:
        return model
    try:
        return inliner.inline_local_functions(model)
    except (RuntimeError, ValueError) as error:
        raise Problem(
            "E0407", f"the functions of the model cannot be inlined: {' '.join(str(error).split())}", subject=SUBJECT
        ) from error


def default_opset(model: ModelProto) -> int:
    """The version of the standard operators that ``model`` uses."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return max(versions, default=1)


def check_operators(model: ModelProto, shown: Callable[[Any], str]) -> None:
    """Raise ``Problem`` for what no graph can hold: foreign operators, control flow, randomness, training."""
    version = default_opset(model)
    newest = defs.onnx_opset_version()
    if version > newest:
        raise Problem(
            "E0407",
            f"the model uses ONNX opset {version}; this installation knows up to {newest}",
            subject=SUBJECT,
            helps=[f"export it with opset {OPSET}, or install a newer `onnx`"],
        )
    for node in model.graph.node:
        _check_operator(node, version, shown(node))


def _check_operator(node: Any, version: int, name: str) -> None:
    cut = "cut the model before or after it with `output` or `input` blocks that name a tensor"
    if node.domain not in ("", "ai.onnx"):
        raise Problem(
            "E0407",
            f"layer `{name}` is the operator {node.op_type} of `{node.domain}`, which is not standard ONNX",
            subject=SUBJECT,
            helps=["export the model without that runtime's own operators", cut],
        )
    if node.op_type in CONTROL_FLOW or any(
        attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for attribute in node.attribute
    ):
        raise Problem(
            "E0407",
            f"layer `{name}` is control flow ({node.op_type}); an NPU runs the same layers for every sample",
            subject=SUBJECT,
            helps=["export the model with the loop unrolled or the branch decided", cut],
        )
    if node.op_type in RANDOM:
        raise Problem(
            "E0407",
            f"layer `{name}` ({node.op_type}) draws random numbers, so no two runs agree",
            subject=SUBJECT,
            helps=["export the model for inference", cut],
        )
    if any(attribute.name == "training_mode" and attribute.i for attribute in node.attribute):
        raise Problem(
            "E0407",
            f"layer `{name}` ({node.op_type}) is in training mode",
            subject=SUBJECT,
            helps=["export the model for inference (`model.eval()` before the export)"],
        )
    if not defs.has(node.op_type, version, ""):
        raise Problem(
            "E0407",
            f"layer `{name}` is the operator {node.op_type}, which ONNX opset {version} does not have",
            subject=SUBJECT,
        )


def upgrade(model: ModelProto, shown: Callable[[Any], str]) -> ModelProto:
    """``model`` in terms of opset 19; operators that came later stay for ``function_body``."""
    version = default_opset(model)
    if version < OPSET:
        return _converted(model, version)
    for node in model.graph.node:
        _take_back(node, version, shown(node))
    return model


def _converted(model: ModelProto, version: int) -> ModelProto:
    try:
        converted = version_converter.convert_version(model, OPSET)
    except (RuntimeError, ValueError) as error:
        raise Problem(
            "E0407",
            f"the model cannot be brought from ONNX opset {version} to {OPSET}: {' '.join(str(error).split())}",
            subject=SUBJECT,
            helps=[f"export it again with opset {OPSET}"],
        ) from error
    if default_opset(converted) != OPSET:
        raise Problem(
            "E0407",
            f"the converter left the model at ONNX opset {default_opset(converted)} instead of {OPSET}",
            subject=SUBJECT,
        )
    return converted


def _take_back(node: Any, version: int, name: str) -> None:
    """Make sure that ``node`` of opset ``version`` can be read as one of opset 19."""
    newer: Any = defs.get_schema(node.op_type, version, "")
    if newer.since_version <= OPSET:
        return
    if not defs.has(node.op_type, OPSET, "") or node.op_type in WRITTEN_OUT:
        if not (newer.has_function or newer.has_context_dependent_function):
            raise _refused(node, version, name, "came later and has no definition by older operators")
        return
    older = defs.get_schema(node.op_type, OPSET, "")
    if node.op_type == "GridSample":
        for attribute in node.attribute:
            if attribute.name == "mode":
                mode = attribute.s.decode()
                attribute.s = GRID_MODES.get(mode, mode).encode()
        return
    if node.op_type in OTHER_MEANING:
        raise _refused(node, version, name, f"means something else than in opset {OPSET}")
    for attribute in list(node.attribute):
        if attribute.name in older.attributes:
            continue
        default = newer.attributes[attribute.name].default_value
        if helper.get_attribute_value(attribute) != helper.get_attribute_value(default):
            raise _refused(node, version, name, f"has `{attribute.name}`, which opset {OPSET} does not know")
        node.attribute.remove(attribute)
    if len(node.input) > len(older.inputs) and not _variadic(older.inputs):
        raise _refused(node, version, name, f"has more inputs than in opset {OPSET}")


def _variadic(formal: Any) -> bool:
    return bool(formal) and formal[-1].option == defs.OpSchema.FormalParameterOption.Variadic


def _refused(node: Any, version: int, name: str, why: str) -> Problem:
    return Problem(
        "E0407",
        f"layer `{name}` ({node.op_type} of ONNX opset {version}) {why}",
        subject=SUBJECT,
        helps=[f"export the model with opset {OPSET}"],
    )


def function_body(version: int) -> Callable[[Node, Mapping[str, TensorType]], Sequence[Node] | None]:
    """For a model of opset ``version``: what an operator that opset 19 does not have is short for."""

    def expand(node: Node, types: Mapping[str, TensorType]) -> Sequence[Node] | None:
        if defs.has(node.op, OPSET, "") and node.op not in WRITTEN_OUT:
            return None
        return _body(node, types, version)

    return expand


def _type_proto(type_: TensorType) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(element_code(type_.dtype), type_.shape)


def _body(node: Node, types: Mapping[str, TensorType], version: int) -> list[Node]:
    proto = node_proto(node, version)
    schema: Any = defs.get_schema(node.op, version, "")
    given = [_type_proto(types[name]) if name else onnx.TypeProto() for name in node.inputs]
    if schema.has_context_dependent_function:
        text = schema.get_context_dependent_function(
            proto.SerializeToString(), [item.SerializeToString() for item in given]
        )
        function = onnx.FunctionProto.FromString(text)
    else:
        function = schema.function_body
    names = dict(zip(function.input, node.inputs, strict=False))
    names.update(zip(function.output, node.outputs, strict=False))
    values = {attribute.name: attribute for attribute in proto.attribute}
    for attribute in schema.attributes.values():
        if attribute.default_value.name:
            values.setdefault(attribute.name, attribute.default_value)

    def tensor(inner: str) -> str:
        return names.get(inner, f"{node.name}/{inner}") if inner else ""

    body = []
    for position, inner in enumerate(function.node):
        copy = onnx.NodeProto()
        copy.CopyFrom(inner)
        del copy.attribute[:]
        for attribute in inner.attribute:
            if not attribute.ref_attr_name:
                copy.attribute.append(attribute)
            elif attribute.ref_attr_name in values:
                given_value = copy.attribute.add()
                given_value.CopyFrom(values[attribute.ref_attr_name])
                given_value.name = attribute.name
        copy.input[:] = [tensor(name) for name in inner.input]
        copy.output[:] = [tensor(name) for name in inner.output]
        copy.name = f"{node.name}/{inner.op_type}_{position}"
        body.append(copy)
    return [node_from_proto(copy) for copy in body]
