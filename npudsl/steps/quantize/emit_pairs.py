"""Layers that pick or divide: quotients, minimum and maximum, slopes per channel."""

from __future__ import annotations

from npudsl.ir.groups import LayerGroup
from npudsl.machine.pair_lowering import lower_div, lower_extreme, lower_prelu
from npudsl.steps.quantize.builder import ProgramBuilder
from npudsl.steps.quantize.emit_elementwise import emit_mul, emit_table, layer_operands

EXTREMES = {"Max": "maximum", "Min": "minimum"}


def emit_div(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``div``; a constant divisor is stored as its reciprocal, and then it is a ``mul``."""
    if builder.structure.node(group).inputs[1] in group.operands:
        emit_mul(builder, group)
        return
    output = builder.output(group)
    operands, inputs, attributes, constants = layer_operands(builder, group, output)
    requantize = lower_div(builder.profile, *operands, output, group.clamp)
    builder.add(group, "div", inputs, output, (requantize,), attributes, constants)


def emit_extreme(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``minimum`` and ``maximum``."""
    output = builder.output(group)
    operands, inputs, attributes, constants = layer_operands(builder, group, output)
    requantize = lower_extreme(builder.profile, *operands, output, group.clamp)
    builder.add(group, EXTREMES[group.op], inputs, output, requantize, attributes, constants)


def emit_prelu(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``prelu``; with one slope it is a ``table``."""
    if builder.structure.graph.types[builder.structure.node(group).inputs[1]].size == 1:
        emit_table(builder, group)
        return
    output = builder.output(group)
    (input_, slope), inputs, attributes, constants = layer_operands(builder, group, output)
    requantize = lower_prelu(builder.profile, input_, slope, output)
    builder.add(group, "prelu", inputs, output, requantize, attributes, constants)
