"""How an ONNX operator can run in an integer program: the table behind "this layer cannot run, and this is what can
be done".

Light, so that a check may ask without loading anything. ``integer``: arithmetic on codes; ``table``: one looked-up
code for each input code; ``passthrough``: values are moved or selected and keep their quantization; ``float``: only
as a float32 layer between converters. An operator that is not here cannot run at all, and the model must be cut
around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Way = Literal["integer", "table", "passthrough", "float"]


@dataclass(frozen=True)
class OperatorSupport:
    """The best way an operator can run, and under which condition; otherwise it runs in float if ``float_too``."""

    way: Way
    supported: str
    float_too: bool = True


def _table(*operators: str) -> dict[str, OperatorSupport]:
    return {operator: OperatorSupport("table", "any attributes") for operator in operators}


def _float(*operators: str) -> dict[str, OperatorSupport]:
    return {operator: OperatorSupport("float", "as a float layer") for operator in operators}


OPERATORS: dict[str, OperatorSupport] = {
    "Conv": OperatorSupport("integer", "one or two spatial axes, constant weights, any group, stride, pads, dilation"),
    "Gemm": OperatorSupport("integer", "constant matrix, first operand not transposed"),
    "MatMul": OperatorSupport("integer", "a constant matrix of rank 2, or two activations"),
    "Add": OperatorSupport("integer", "two activations, or an activation and a constant"),
    "Sub": OperatorSupport("integer", "two activations, or an activation and a constant"),
    "Mul": OperatorSupport("integer", "two activations, or an activation and a constant"),
    "Div": OperatorSupport("integer", "division by a constant"),
    "Concat": OperatorSupport("integer", "any axis"),
    "AveragePool": OperatorSupport("integer", "one or two spatial axes"),
    "GlobalAveragePool": OperatorSupport("integer", "any number of spatial axes"),
    "ReduceMean": OperatorSupport("integer", "constant axes"),
    "Softmax": OperatorSupport("integer", "any axis"),
    "Relu": OperatorSupport("integer", "fused into the layer in front where nobody else reads it"),
    "Clip": OperatorSupport("integer", "constant bounds"),
    **_table(
        "Abs", "Atan", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "LeakyRelu",
        "Log", "Mish", "Neg", "Reciprocal", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt",
        "Tanh", "ThresholdedRelu",
    ),
    "PRelu": OperatorSupport("table", "one slope for all channels"),
    "Pow": OperatorSupport("table", "one constant exponent"),
    "MaxPool": OperatorSupport("passthrough", "one or two spatial axes, without indices"),
    "GlobalMaxPool": OperatorSupport("passthrough", "any number of spatial axes"),
    "ReduceMax": OperatorSupport("passthrough", "constant axes"),
    "Reshape": OperatorSupport("passthrough", "always"),
    "Flatten": OperatorSupport("passthrough", "always"),
    "Squeeze": OperatorSupport("passthrough", "always"),
    "Unsqueeze": OperatorSupport("passthrough", "always"),
    "Identity": OperatorSupport("passthrough", "always"),
    "Dropout": OperatorSupport("passthrough", "at inference"),
    "Transpose": OperatorSupport("passthrough", "always"),
    "Slice": OperatorSupport("passthrough", "constant bounds"),
    "Split": OperatorSupport("passthrough", "constant sizes"),
    "Pad": OperatorSupport("passthrough", "constant pads of the modes constant, edge and reflect"),
    "Gather": OperatorSupport("passthrough", "constant indices"),
    "Resize": OperatorSupport("integer", "the modes nearest and linear over the last two axes"),
    "DepthToSpace": OperatorSupport("passthrough", "always"),
    "SpaceToDepth": OperatorSupport("passthrough", "always"),
    **_float("BatchNormalization", "ConvTranspose", "LogSoftmax", "Max", "Min", "ReduceMin", "ReduceSum", "Sum"),
}  # fmt: skip


def operator_support(op: str) -> OperatorSupport | None:
    """How ``op`` can run; None when it cannot."""
    return OPERATORS.get(op)


def advice(layer: str, op: str) -> list[str]:
    """What a user can do about a layer that cannot run as asked: sentences for the help lines of a diagnostic."""
    support = OPERATORS.get(op)
    cut = f'cut the model in front of it: an `output` block that names a tensor before "{layer}"'
    if support is None:
        return [f"{op} is not an operator that can run here, in integers or in float", cut]
    helps = []
    if support.way != "float":
        helps.append(f"{op} runs in integers with: {support.supported}")
    if support.float_too:
        helps.append(f'or keep it in float: layer "{layer}" skip')
    return [*helps, cut]
