"""Lookup tables of unary functions and the exponential of the integer softmax.

A table is the function itself: evaluated in float64 on every code of the input type, rounded half to even into the
output's codes (eq. 31). It is computed once and stored, so that no machine that runs the program needs a math library.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.ir.groups import Clamp
from npudsl.machine.lowering import output_bounds, span
from npudsl.numerics.affine import dequantize, integer_type
from npudsl.numerics.profiles import rounding_of
from npudsl.numerics.requantize import multiplier, requantize, width_for

EXPONENTIAL_BITS = 24
"""Fraction bits of the softmax exponential: with 24, random rows give what float64 gives (docs/numerics.md)."""

Reals = NDArray[np.float64]
Function = Callable[[Reals, Mapping[str, Any]], Reals]


def table_for(
    op: str,
    attributes: Mapping[str, Any],
    input: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
) -> NDArray[Any]:
    """The codes of ``op`` (an ONNX name) for every input code, lowest first: 256 or 65536 entries in output storage.

    ``attributes`` are those of the ONNX node; ``Pow`` takes its constant exponent as ``exponent``, ``PRelu`` its one
    slope as ``alpha``. Infinite results saturate; the logarithm and root of a negative number are those of zero.
    Raises KeyError for a function outside ``UNARY_FUNCTIONS`` and ValueError for a result that is not a number.
    """
    element = integer_type(input.type)
    codes = np.arange(element.minimum, element.maximum + 1)
    with np.errstate(all="ignore"):
        reals = UNARY_FUNCTIONS[op](dequantize(codes, input.scale, input.zero_point), attributes)
        steps = np.rint(reals / output.scale) + output.zero_point
    if np.isnan(steps).any():
        first = codes[int(np.flatnonzero(np.isnan(steps))[0])]
        raise ValueError(f"{op} of code {first} of {input.name} is not a number")
    low, high = output_bounds(output, clamp)
    table: NDArray[Any] = np.clip(steps, low, high).astype(integer_type(output.type).storage)
    return table


def leaky_relu_table(alpha: float, input: TensorQuantization, output: TensorQuantization, profile: str) -> NDArray[Any]:
    """``LeakyRelu`` as the profile's two requantizations, one for each side of zero (eq. 40)."""
    element = integer_type(input.type)
    offsets = np.arange(element.minimum, element.maximum + 1) - input.zero_point
    low, high = output_bounds(output)
    sides = []
    for slope in (1.0, alpha):
        factor, shift = multiplier(_slope_multiplier(slope, input, output), profile, width_for(span(input)))
        rounding = rounding_of(profile, "table")
        sides.append(requantize(offsets, (factor,), (shift,), rounding, output.zero_point, low, high))
    return np.where(offsets >= 0, *sides).astype(integer_type(output.type).storage)


def _slope_multiplier(slope: float, input: TensorQuantization, output: TensorQuantization) -> float:
    """s_in * slope / s_out in float32, as TensorFlow Lite forms it."""
    return float(np.float32(input.scale) * np.float32(slope) / np.float32(output.scale))


def is_unary_function(op: str) -> bool:
    """Whether ``table_for`` knows the ONNX operator ``op``."""
    return op in UNARY_FUNCTIONS


def softmax_exponential(input: TensorQuantization) -> NDArray[np.uint32]:
    """round(exp(-d * s) * 2**24) for d = 0, 1, ... up to the first entry that stays zero (eq. 32)."""
    element = integer_type(input.type)
    distances = np.arange(element.maximum - element.minimum + 1, dtype=np.float64)
    entries = np.rint(np.exp(-distances * input.scale) * 2.0**EXPONENTIAL_BITS)
    return entries[entries > 0].astype(np.uint32)


def softmax_denominator(output: TensorQuantization) -> int:
    """D = 1 / s_out, how many codes make one (eq. 32). Raises ValueError when that is not a whole number."""
    reciprocal = 1.0 / output.scale
    denominator = round(reciprocal)
    if denominator < 1 or abs(reciprocal - denominator) > 1e-9 * reciprocal:
        raise ValueError(f"softmax output {output.name} has scale {output.scale}, not one over a whole number")
    return denominator


def _sigmoid(x: Reals) -> Reals:
    return 1.0 / (1.0 + np.exp(-x))


def _erf(x: Reals) -> Reals:
    return np.fromiter((math.erf(value) for value in x), dtype=np.float64, count=x.size)


def _softplus(x: Reals) -> Reals:
    return np.logaddexp(0.0, x)


def _hard_sigmoid(x: Reals, alpha: float, beta: float) -> Reals:
    return np.clip(alpha * x + beta, 0.0, 1.0)


def _gelu(x: Reals, attributes: Mapping[str, Any]) -> Reals:
    approximate = attributes.get("approximate", "none")
    if approximate in ("tanh", b"tanh"):
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def _elu(x: Reals, alpha: float) -> Reals:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0.0)), x)


def _selu(x: Reals, attributes: Mapping[str, Any]) -> Reals:
    alpha = attributes.get("alpha", 1.6732631921768188)
    return float(attributes.get("gamma", 1.0507010221481323)) * _elu(x, alpha)


def _celu(x: Reals, alpha: float) -> Reals:
    return np.maximum(x, 0.0) + np.minimum(alpha * np.expm1(x / alpha), 0.0)


def _clip(x: Reals, attributes: Mapping[str, Any]) -> Reals:
    low, high = attributes.get("min"), attributes.get("max")
    return np.clip(x, -np.inf if low is None else low, np.inf if high is None else high)


def _reciprocal(x: Reals) -> Reals:
    """Division by zero saturates upwards, as the vendors' integer division does."""
    return np.where(x == 0, np.inf, 1.0 / x)


def _power(x: Reals, exponent: float) -> Reals:
    """A broken power of a negative number is that of 0, as with the root."""
    return np.power(x if float(exponent).is_integer() else np.maximum(x, 0.0), exponent)


UNARY_FUNCTIONS: dict[str, Function] = {
    "Abs": lambda x, a: np.abs(x),
    "Atan": lambda x, a: np.arctan(x),
    "Ceil": lambda x, a: np.ceil(x),
    "Celu": lambda x, a: _celu(x, a.get("alpha", 1.0)),
    "Clip": _clip,
    "Cos": lambda x, a: np.cos(x),
    "Elu": lambda x, a: _elu(x, a.get("alpha", 1.0)),
    "Erf": lambda x, a: _erf(x),
    "Exp": lambda x, a: np.exp(x),
    "Floor": lambda x, a: np.floor(x),
    "Gelu": _gelu,
    "HardSigmoid": lambda x, a: _hard_sigmoid(x, a.get("alpha", 0.2), a.get("beta", 0.5)),
    "HardSwish": lambda x, a: x * _hard_sigmoid(x, 1.0 / 6.0, 0.5),
    "LeakyRelu": lambda x, a: np.where(x < 0, a.get("alpha", 0.01) * x, x),
    "Log": lambda x, a: np.log(np.maximum(x, 0.0)),
    "Mish": lambda x, a: x * np.tanh(_softplus(x)),
    "Neg": lambda x, a: -x,
    "PRelu": lambda x, a: np.where(x < 0, a["alpha"] * x, x),
    "Pow": lambda x, a: _power(x, a["exponent"]),
    "Reciprocal": lambda x, a: _reciprocal(x),
    "Relu": lambda x, a: np.maximum(x, 0.0),
    "Round": lambda x, a: np.rint(x),
    "Selu": _selu,
    "Sigmoid": lambda x, a: _sigmoid(x),
    "Sign": lambda x, a: np.sign(x),
    "Silu": lambda x, a: x * _sigmoid(a.get("alpha", 1.0) * x),
    "Sin": lambda x, a: np.sin(x),
    "Softplus": lambda x, a: _softplus(x),
    "Softsign": lambda x, a: x / (1.0 + np.abs(x)),
    "Sqrt": lambda x, a: np.sqrt(np.maximum(x, 0.0)),
    "Swish": lambda x, a: x * _sigmoid(a.get("alpha", 1.0) * x),
    "Tanh": lambda x, a: np.tanh(x),
    "ThresholdedRelu": lambda x, a: np.where(x > a.get("alpha", 1.0), x, 0.0),
}
"""ONNX operators of one value, in float64. ``Silu`` and ``Swish`` are x * sigmoid(alpha * x)."""
