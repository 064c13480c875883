"""Which layers have an integer form, and what to say about the others.

One check per ONNX operator; it looks at structure (shapes, attributes, what is constant) and gives None, or the reason
as the end of the sentence "layer `x` cannot be computed in integers: ...".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from npudsl.ir.fusion import MOVING_OPS
from npudsl.ir.graph import Graph, Node
from npudsl.ir.groups import LayerGroup
from npudsl.machine.resampling import COORDINATE_MODES, NEAREST_MODES
from npudsl.machine.tables import UNARY_FUNCTIONS

IMAGE_RANKS = (3, 4)
"""(N, C, W) and (N, C, H, W)."""

INDEX_OPS = frozenset({"ArgMax", "ArgMin"})
"""Operators whose output counts positions: integers in the float model as well."""

LARGEST_INDEX = 32767
"""What a 16-bit code can count up to."""


@dataclass(frozen=True)
class Case:
    """A layer under examination."""

    node: Node
    group: LayerGroup
    graph: Graph

    def rank(self, name: str) -> int:
        return len(self.graph.types[name].shape)

    def is_constant(self, position: int) -> bool:
        """Whether the input at ``position`` is there and constant."""
        return position < len(self.node.inputs) and self.node.inputs[position] in self.graph.constants

    def is_given(self, position: int) -> bool:
        return position < len(self.node.inputs) and self.node.inputs[position] != ""

    def constant_or_absent(self, *positions: int) -> bool:
        return all(self.is_constant(position) or not self.is_given(position) for position in positions)


Check = Callable[[Case], str | None]


def missing_integer_form(graph: Graph, node: Node, group: LayerGroup) -> str | None:
    """Why the layer has no integer form; None when it has one."""
    check = CHECKS.get(group.op)
    if check is None:
        return REASONS.get(group.op, f"{group.op} has no integer form")
    for name in (*group.inputs, *group.outputs):
        if graph.types[name].dtype != "float32" and not counts_positions(graph, name):
            return f"its tensor `{name}` holds {graph.types[name].dtype}, and only float32 is quantized"
    return check(Case(node, group, graph))


def counts_positions(graph: Graph, tensor: str) -> bool:
    """Whether a tensor is the output of ArgMax or ArgMin, or such an output moved."""
    producer = graph.producer(tensor)
    while producer is not None and producer.op in MOVING_OPS:
        producer = graph.producer(producer.inputs[0])
    return producer is not None and producer.op in INDEX_OPS


def _always(case: Case) -> str | None:
    return None


def _conv(case: Case) -> str | None:
    if not case.is_constant(1):
        return "its weights are not constant"
    if not case.constant_or_absent(2):
        return "its bias is not constant"
    if case.rank(case.node.inputs[0]) not in IMAGE_RANKS:
        return "only 1-D and 2-D convolutions have an integer form"
    return None


def _conv_transpose(case: Case) -> str | None:
    if case.is_constant(1) and "pads" not in case.node.attributes:
        return "its padding cannot be written as numbers of elements"
    return _conv(case)


def _gemm(case: Case) -> str | None:
    attributes = case.node.attributes
    if not case.is_constant(1) or not case.constant_or_absent(2):
        return "its matrix or its bias is not constant"
    if attributes.get("transA", 0) or attributes.get("transB", 0) != 1:
        return "its input is transposed"
    return None


def _matmul(case: Case) -> str | None:
    if len(case.group.inputs) == 2:
        return None
    if not case.is_constant(1):
        return "its constant matrix stands on the left"
    shape = case.graph.types[case.node.inputs[1]].shape
    if len(shape) < 2 or any(extent != 1 for extent in shape[:-2]):
        return f"its constant has the shape {list(shape)}, not that of one matrix"
    return None


def _two_operands(case: Case) -> str | None:
    if len(case.node.inputs) != 2 or not case.group.inputs:
        return f"it has {len(case.node.inputs)} inputs, not two"
    return None


def _power(case: Case) -> str | None:
    if not case.is_constant(1) or case.graph.types[case.node.inputs[1]].size != 1:
        return "its exponent is not one constant number"
    return None


def _prelu(case: Case) -> str | None:
    return None if case.is_constant(1) else "its slopes are not constant"


def _clip(case: Case) -> str | None:
    return None if case.constant_or_absent(1, 2) else "its bounds are not constant"


def _activations_only(case: Case) -> str | None:
    return "one of its inputs is constant" if case.group.operands else None


def _max_pool(case: Case) -> str | None:
    if len(case.group.outputs) != 1:
        return "its indices are an output"
    return _images(case)


def _average_pool(case: Case) -> str | None:
    if any(extent != 1 for extent in case.node.attributes.get("dilations", ())):
        return "a dilated average has no integer form"
    return _images(case)


def _images(case: Case) -> str | None:
    return None if case.rank(case.node.inputs[0]) in IMAGE_RANKS else "only 1-D and 2-D pools have an integer form"


def _constant_parameters(case: Case) -> str | None:
    positions = range(1, len(case.node.inputs))
    return None if case.constant_or_absent(*positions) else "its parameters are not constant"


def _pad(case: Case) -> str | None:
    if case.node.attributes.get("mode", "constant") == "wrap":
        return "padding by wrapping around has no integer form"
    missing = _constant_parameters(case)
    if missing is None and not case.group.passthrough:
        value = float(case.graph.constants[case.node.inputs[2]].reshape(-1)[0])
        return None if math.isfinite(value) else f"it pads with {value}, which no range can hold"
    return missing


def _position(case: Case) -> str | None:
    shape = case.graph.types[case.node.inputs[0]].shape
    extent = shape[int(case.node.attributes.get("axis", 0))]
    if extent - 1 > LARGEST_INDEX:
        return f"positions go up to {extent - 1}, and codes count up to {LARGEST_INDEX}"
    return None


def _gather(case: Case) -> str | None:
    if not case.is_constant(1) or case.is_constant(0):
        return "its indices are not constant"
    return None


def _resize(case: Case) -> str | None:
    attributes = case.node.attributes
    mode = attributes.get("mode", "nearest")
    if mode not in ("nearest", "linear"):
        return f"resizing with mode {mode} has no integer form"
    if attributes.get("coordinate_transformation_mode", "half_pixel") not in COORDINATE_MODES:
        return f"coordinates {attributes['coordinate_transformation_mode']} have no integer form"
    if attributes.get("nearest_mode", NEAREST_MODES[0]) not in NEAREST_MODES:
        return f"nearest mode {attributes['nearest_mode']} has no integer form"
    if attributes.get("antialias", 0) or attributes.get("exclude_outside", 0):
        return "resizing with antialias or exclude_outside has no integer form"
    before, after = (case.graph.types[name].shape for name in (case.node.inputs[0], case.node.outputs[0]))
    if len(before) < 2 or before[:-2] != after[:-2]:
        return "only the last two axes can be resized"
    return _constant_parameters(case)


CHECKS: dict[str, Check] = {
    **dict.fromkeys(UNARY_FUNCTIONS, _always),
    "Add": _two_operands,
    "ArgMax": _position,
    "ArgMin": _position,
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _activations_only,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _always,
    "Div": _two_operands,
    "Expand": _constant_parameters,
    "Flatten": _always,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _always,
    "GlobalMaxPool": _always,
    "Identity": _always,
    "LogSoftmax": _always,
    "MatMul": _matmul,
    "Max": _two_operands,
    "MaxPool": _max_pool,
    "Min": _two_operands,
    "Mul": _two_operands,
    "PRelu": _prelu,
    "Pad": _pad,
    "Pow": _power,
    "ReduceMax": _constant_parameters,
    "ReduceMean": _constant_parameters,
    "ReduceMin": _constant_parameters,
    "ReduceSum": _constant_parameters,
    "Relu": _always,
    "Reshape": _constant_parameters,
    "Resize": _resize,
    "Slice": _constant_parameters,
    "Softmax": _always,
    "SpaceToDepth": _always,
    "Split": _constant_parameters,
    "Squeeze": _always,
    "Sub": _two_operands,
    "Tile": _constant_parameters,
    "Transpose": _always,
    "Unsqueeze": _always,
}
"""Operator of a layer -> check."""

RECURRENT = (
    "{op} is written out step by step only without peepholes, clipping, coupled gates and sequence lengths of its own, "
    "with plain activations and at most 256 steps"
)

REASONS = {op: RECURRENT.format(op=op) for op in ("LSTM", "GRU", "RNN")}
"""Operator without a check -> why it has no integer form, where there is more to say."""
