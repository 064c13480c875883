"""Layers that work along axes: sums, minima, positions of extremes, the logarithm of a softmax."""

from __future__ import annotations

import math

from npudsl.ir.groups import LayerGroup
from npudsl.machine.kernels.reductions import logarithm_table
from npudsl.machine.lowering import lower_reduce_sum
from npudsl.machine.pair_lowering import lower_log_softmax
from npudsl.machine.tables import softmax_exponential
from npudsl.steps.quantize.builder import ProgramBuilder
from npudsl.steps.quantize.emit_pooling import reduction
from npudsl.steps.quantize.settings import FLOAT_TYPE

POSITIONS = {"ArgMax": "arg_max", "ArgMin": "arg_min"}


def emit_reduce_sum(builder: ProgramBuilder, group: LayerGroup) -> None:
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    attributes = reduction(builder, group)
    count = math.prod(input_.shape[axis] for axis in attributes["axes"])
    requantize = lower_reduce_sum(builder.profile, input_, output, count, group.clamp)
    builder.add(group, "reduce_sum", (input_,), output, (requantize,), attributes)


def emit_reduce_min(builder: ProgramBuilder, group: LayerGroup) -> None:
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    builder.add(group, "reduce_min", (input_,), output, attributes=reduction(builder, group))


def emit_position(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``arg_max`` and ``arg_min``: codes are compared as they are, whatever type counts the positions."""
    output = builder.output(group)
    input_ = builder.tensors[group.inputs[0]]
    if input_.type == FLOAT_TYPE:
        input_ = builder.input_as(group, 0, output)
    given = builder.structure.node(group).attributes
    attributes = {
        "axis": int(given.get("axis", 0)) % len(input_.shape),
        "keepdims": bool(given.get("keepdims", 1)),
        "last": bool(given.get("select_last_index", 0)),
    }
    builder.add(group, POSITIONS[group.op], (input_,), output, attributes=attributes)


def emit_log_softmax(builder: ProgramBuilder, group: LayerGroup) -> None:
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    axis = int(builder.structure.node(group).attributes.get("axis", -1)) % len(input_.shape)
    requantize = lower_log_softmax(builder.profile, input_, output)
    constants = {"exponential": softmax_exponential(input_), "logarithm": logarithm_table()}
    builder.add(group, "log_softmax", (input_,), output, requantize, {"axis": axis}, constants)
