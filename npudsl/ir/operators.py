"""How an ONNX operator can run in an integer program: the table behind "this layer cannot run, and this is what can
be done".

Light, so that a check may ask without loading anything. ``integer``: arithmetic on codes; ``table``: one looked-up
code for each input code; ``passthrough``: values are moved or selected and keep their quantization; ``rewritten``:
import writes it with other operators of this table; ``float``: only as a float32 layer between converters. An
operator that is not here cannot run at all, and the model must be cut around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Way = Literal["integer", "table", "passthrough", "rewritten", "float"]


@dataclass(frozen=True)
class OperatorSupport:
    """The best way an operator can run, and under which condition; otherwise it runs in float if ``float_too``."""

    way: Way
    supported: str
    float_too: bool = True


def _table(*operators: str) -> dict[str, OperatorSupport]:
    return {operator: OperatorSupport("table", "any attributes") for operator in operators}


def _rewritten(condition: str, *operators: str, float_too: bool = False) -> dict[str, OperatorSupport]:
    return {operator: OperatorSupport("rewritten", condition, float_too) for operator in operators}


def _float(*operators: str) -> dict[str, OperatorSupport]:
    return {operator: OperatorSupport("float", "as a float layer") for operator in operators}


OPERATORS: dict[str, OperatorSupport] = {
    "Conv": OperatorSupport("integer", "one or two spatial axes, constant weights, any group, stride, pads, dilation"),
    "ConvTranspose": OperatorSupport(
        "integer", "one or two spatial axes, constant weights, any group, stride, dilation"
    ),
    "Gemm": OperatorSupport("integer", "constant matrix, first operand not transposed"),
    "MatMul": OperatorSupport("integer", "a constant matrix of rank 2, or two activations"),
    "Add": OperatorSupport("integer", "two activations, or an activation and a constant"),
    "Sub": OperatorSupport("integer", "two activations, or an activation and a constant"),
    "Mul": OperatorSupport("integer", "two activations, or an activation and a constant"),
    "Div": OperatorSupport("integer", "two activations, or an activation and a constant; by zero it saturates"),
    "Max": OperatorSupport("integer", "activations and constants; with one number it is a Clip"),
    "Min": OperatorSupport("integer", "activations and constants; with one number it is a Clip"),
    "Concat": OperatorSupport("integer", "any axis"),
    "AveragePool": OperatorSupport("integer", "one or two spatial axes"),
    "GlobalAveragePool": OperatorSupport("integer", "any number of spatial axes"),
    "ReduceMean": OperatorSupport("integer", "constant axes"),
    "ReduceSum": OperatorSupport("integer", "constant axes"),
    "ArgMax": OperatorSupport("integer", "positions up to 32767"),
    "ArgMin": OperatorSupport("integer", "positions up to 32767"),
    "Softmax": OperatorSupport("integer", "any axis"),
    "LogSoftmax": OperatorSupport("integer", "any axis"),
    "PRelu": OperatorSupport("integer", "constant slopes; one slope for all is a table"),
    "Relu": OperatorSupport("integer", "fused into the layer in front where nobody else reads it"),
    "Clip": OperatorSupport("integer", "constant bounds"),
    **_table(
        "Abs", "Atan", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "LeakyRelu",
        "Log", "Mish", "Neg", "Reciprocal", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt",
        "Tanh", "ThresholdedRelu",
    ),
    "Pow": OperatorSupport("table", "one constant exponent"),
    "MaxPool": OperatorSupport("passthrough", "one or two spatial axes, without indices"),
    "GlobalMaxPool": OperatorSupport("passthrough", "any number of spatial axes"),
    "ReduceMax": OperatorSupport("passthrough", "constant axes"),
    "ReduceMin": OperatorSupport("passthrough", "constant axes"),
    "Reshape": OperatorSupport("passthrough", "always"),
    "Flatten": OperatorSupport("passthrough", "always"),
    "Squeeze": OperatorSupport("passthrough", "always"),
    "Unsqueeze": OperatorSupport("passthrough", "always"),
    "Identity": OperatorSupport("passthrough", "always"),
    "Dropout": OperatorSupport("passthrough", "at inference"),
    "Transpose": OperatorSupport("passthrough", "always"),
    "Slice": OperatorSupport("passthrough", "constant bounds"),
    "Split": OperatorSupport("passthrough", "constant sizes"),
    "Expand": OperatorSupport("passthrough", "constant shape"),
    "Tile": OperatorSupport("passthrough", "constant repeats"),
    "Pad": OperatorSupport("passthrough", "constant pads of the modes constant (any finite value), edge and reflect"),
    "Gather": OperatorSupport("passthrough", "constant indices"),
    "Resize": OperatorSupport("integer", "the modes nearest and linear over the last two axes"),
    "DepthToSpace": OperatorSupport("passthrough", "always"),
    "SpaceToDepth": OperatorSupport("passthrough", "always"),
    **_rewritten("as a chain of Add; the mean with a Mul behind it", "Sum", "Mean"),
    **_rewritten("as a ReduceSum with functions around it", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
    **_rewritten(
        "step by step with gates in 16 bits: constant weights, plain activations, up to 256 steps of full length, "
        "without peepholes, clipping and coupled gates",
        "LSTM", "GRU", "RNN",
    ),
    **_rewritten(
        "into the layer in front, as a depthwise Conv, or as Mul and Add", "BatchNormalization", float_too=True
    ),
    **_float("InstanceNormalization", "LayerNormalization"),
}  # fmt: skip

FUNCTIONS: dict[str, OperatorSupport] = {
    "Gelu": OperatorSupport("table", "written out with Erf or with Tanh"),
    "Silu": OperatorSupport("table", "written out as x * sigmoid(x)"),
}
"""What several nodes of a file are recognised as that is no operator of the vocabulary."""


def operator_support(op: str) -> OperatorSupport | None:
    """How ``op`` can run; None when it cannot."""
    return OPERATORS.get(op) or FUNCTIONS.get(op)


def advice(layer: str, op: str) -> list[str]:
    """What a user can do about a layer that cannot run as asked: sentences for the help lines of a diagnostic."""
    support = operator_support(op)
    cut = f'cut the model in front of it: an `output` block that names a tensor before "{layer}"'
    if support is None:
        return [f"{op} is not an operator that can run here, in integers or in float", cut]
    helps = []
    if support.way != "float":
        helps.append(f"{op} runs in integers with: {support.supported}")
    if support.float_too:
        helps.append(f'{"or keep" if helps else "keep"} it in float: layer "{layer}" skip')
    return [*helps, cut]
