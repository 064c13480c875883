"""Layers that work element by element, and what joins or normalises: add, mul, unary functions, concat, softmax."""

from __future__ import annotations

from typing import Any

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.ir.fusion import clamp_of
from npudsl.ir.groups import LayerGroup
from npudsl.machine.lowering import lower_add, lower_mul, lower_quantize, lower_rescale
from npudsl.machine.pair_lowering import OPERAND_SHIFT, lower_rounded_add, rounds_operands
from npudsl.machine.tables import leaky_relu_table, softmax_denominator, softmax_exponential, table_for
from npudsl.steps.quantize.builder import ProgramBuilder, QuantizedWeight

SUMS = {"Add": "add", "Sub": "sub"}

TFLITE = "tflite"
"""The profile that computes a leaky Relu by requantization, not as a function."""


def emit_sum(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``add`` and ``sub`` of two activations, or of one and a constant; ``rounded_add`` where the profile rounds every
    operand by itself."""
    operation = SUMS[group.op]
    output = builder.output(group)
    operands, inputs, attributes, constants = layer_operands(builder, group, output)
    if rounds_operands(builder.profile, *operands, output):
        rules = lower_rounded_add(builder.profile, *operands, output, group.clamp)
        attributes = {**attributes, "left_shift": OPERAND_SHIFT}
        builder.add(group, f"rounded_{operation}", inputs, output, rules, attributes, constants)
        return
    requantize = lower_add(builder.profile, *operands, output, group.clamp, operation=operation)
    builder.add(group, operation, inputs, output, requantize, attributes, constants)


def emit_mul(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``mul``; a division by a constant is a multiplication by its reciprocal."""
    output = builder.output(group)
    operands, inputs, attributes, constants = layer_operands(builder, group, output)
    requantize = lower_mul(builder.profile, *operands, output, group.clamp)
    builder.add(group, "mul", inputs, output, (requantize,), attributes, constants)


def emit_clamp(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``rescale`` with bounds: a Relu or Clip that no layer in front could take."""
    clamp = clamp_of(builder.structure.graph, builder.structure.node(group))
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    requantize = lower_rescale(builder.profile, input_, output, clamp)
    builder.add(group, "rescale", (input_,), output, (requantize,))


def emit_table(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``table``: a function of one value."""
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    attributes = _function_attributes(builder, group)
    if group.op == "LeakyRelu" and builder.profile == TFLITE:
        entries = leaky_relu_table(attributes.get("alpha", 0.01), input_, output, builder.profile)
    else:
        entries = table_for(group.op, attributes, input_, output, group.clamp)
    builder.add(group, "table", (input_,), output, constants={"table": entries})


def emit_softmax(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``softmax``: the output's scale is fixed by the operation."""
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    rank = len(input_.shape)
    axis = int(builder.structure.node(group).attributes.get("axis", -1)) % rank
    attributes = {"axis": axis, "denominator": softmax_denominator(output)}
    requantize = lower_quantize(builder.profile, output)
    exponential = softmax_exponential(input_)
    builder.add(group, "softmax", (input_,), output, (requantize,), attributes, {"exponential": exponential})


def emit_concat(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``concat``: every input is requantized to the output, the identity where they share their scale."""
    output = builder.output(group)
    inputs = [builder.input_as(group, index, output) for index in range(len(group.inputs))]
    requantize = [lower_rescale(builder.profile, item, output, group.clamp, operation="concat") for item in inputs]
    axis = int(builder.structure.node(group).attributes["axis"]) % len(output.shape)
    builder.add(group, "concat", inputs, output, requantize, {"axis": axis})


def layer_operands(
    builder: ProgramBuilder, group: LayerGroup, output: TensorQuantization
) -> tuple[tuple[TensorQuantization, TensorQuantization], list[TensorQuantization], dict[str, Any], dict[str, Any]]:
    """Both operands in ONNX order, the activations among them, and attributes and constants of a constant one."""
    node = builder.structure.node(group)
    operands: list[TensorQuantization] = []
    inputs: list[TensorQuantization] = []
    attributes: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    for position, name in enumerate(node.inputs):
        if name in group.operands:
            stored = builder.weight(group, name)
            operands.append(_as_tensor(stored))
            attributes = {"operand_zero_point": stored.quantization.zero_point, "operand_position": position}
            constants = {"operand": stored.codes}
        else:
            tensor = builder.input_as(group, group.inputs.index(name), output)
            operands.append(tensor)
            inputs.append(tensor)
    return (operands[0], operands[1]), inputs, attributes, constants


def _as_tensor(stored: QuantizedWeight) -> TensorQuantization:
    """A constant operand as the lowering reads it."""
    weight = stored.quantization
    return TensorQuantization(
        weight.name,
        weight.shape,
        weight.type,
        weight.scheme,
        weight.scales[0],
        weight.zero_point,
        weight.fractional_length,
    )


def _function_attributes(builder: ProgramBuilder, group: LayerGroup) -> dict[str, Any]:
    """The node's attributes, with a constant exponent or slope under the name that the table knows; those of a
    written-out function are the group's."""
    node = builder.structure.node(group)
    if len(group.nodes) > 1:
        return dict(group.attributes)
    attributes = dict(node.attributes)
    word = {"Pow": "exponent", "PRelu": "alpha"}.get(group.op)
    if word is not None:
        attributes[word] = float(builder.structure.graph.constants[node.inputs[1]].reshape(-1)[0])
    return attributes
