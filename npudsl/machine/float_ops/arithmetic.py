"""Element-wise operators, activations, reductions, softmax and normalization."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npudsl.machine.float_ops.signature import (
    Array,
    Attributes,
    FloatOp,
    Inputs,
    float32,
    integers,
    optional,
    present,
)
from npudsl.machine.tables import UNARY_FUNCTIONS


def binary(function: Callable[[Array, Array], Array]) -> FloatOp:
    """An operator of two arrays with numpy broadcasting."""
    return lambda inputs, attributes: [float32(function(present(inputs, 0), present(inputs, 1)))]


def unary(op: str) -> FloatOp:
    """A function of one value: evaluated in float64, rounded to float32."""
    function = UNARY_FUNCTIONS[op]

    def run(inputs: Inputs, attributes: Attributes) -> list[Array]:
        x = present(inputs, 0)
        with np.errstate(all="ignore"):
            return [float32(function(x.astype(np.float64).reshape(-1), attributes)).reshape(x.shape)]

    return run


def log(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Log`` with NaN for negative numbers, as ONNX has it."""
    with np.errstate(all="ignore"):
        return [float32(np.log(present(inputs, 0).astype(np.float64)))]


def sqrt(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Sqrt`` with NaN for negative numbers, as ONNX has it."""
    with np.errstate(all="ignore"):
        return [np.sqrt(present(inputs, 0))]


def reciprocal(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Reciprocal`` with a signed infinity for zero, as ONNX has it."""
    with np.errstate(all="ignore"):
        return [float32(1 / present(inputs, 0))]


def clip(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Clip`` with bounds as inputs or attributes."""
    low, high = optional(inputs, 1), optional(inputs, 2)
    low_bound = attributes.get("min", -np.inf) if low is None else low
    high_bound = attributes.get("max", np.inf) if high is None else high
    return [float32(np.minimum(np.maximum(present(inputs, 0), low_bound), high_bound))]


def prelu(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``PRelu`` with a slope that broadcasts."""
    x = present(inputs, 0)
    return [float32(np.where(x < 0, x * present(inputs, 1), x))]


def softmax(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Softmax`` along one axis, in float64."""
    x = present(inputs, 0).astype(np.float64)
    axis = attributes.get("axis", -1)
    exponential = np.exp(x - x.max(axis=axis, keepdims=True))
    return [float32(exponential / exponential.sum(axis=axis, keepdims=True))]


def log_softmax(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``LogSoftmax`` along one axis, in float64."""
    x = present(inputs, 0).astype(np.float64)
    axis = attributes.get("axis", -1)
    x = x - x.max(axis=axis, keepdims=True)
    return [float32(x - np.log(np.exp(x).sum(axis=axis, keepdims=True)))]


def reduce(function: Callable[..., Array]) -> FloatOp:
    """A reduction over ``axes`` (input or attribute; absent: all axes), in float64."""

    def run(inputs: Inputs, attributes: Attributes) -> list[Array]:
        x = present(inputs, 0)
        axes = integers(inputs, 1, attributes, "axes")
        if not axes and attributes.get("noop_with_empty_axes", 0):
            return [x]
        over = tuple(axes) if axes else tuple(range(x.ndim))
        keepdims = bool(attributes.get("keepdims", 1))
        return [float32(function(x.astype(np.float64), axis=over, keepdims=keepdims))]

    return run


def batch_normalization(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``BatchNormalization`` with the stored statistics: gamma (x - mean) / sqrt(variance + epsilon) + beta."""
    x = present(inputs, 0)
    shape = [1, -1] + [1] * (x.ndim - 2)
    gamma, beta, mean, variance = (
        present(inputs, position).astype(np.float64).reshape(shape) for position in range(1, 5)
    )
    factor = gamma / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    return [float32((x.astype(np.float64) - mean) * factor + beta)]


def gemm(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``Gemm``: alpha A B + beta C, in float64."""
    a, b = present(inputs, 0).astype(np.float64), present(inputs, 1).astype(np.float64)
    c = optional(inputs, 2)
    product = (a.T if attributes.get("transA", 0) else a) @ (b.T if attributes.get("transB", 0) else b)
    product *= attributes.get("alpha", 1.0)
    if c is not None:
        product = product + attributes.get("beta", 1.0) * c.astype(np.float64)
    return [float32(product)]


def matmul(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``MatMul`` in float64."""
    return [float32(np.matmul(present(inputs, 0).astype(np.float64), present(inputs, 1).astype(np.float64)))]


def instance_normalization(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``InstanceNormalization``: every channel of every sample to mean 0 and variance 1, in float64."""
    x = present(inputs, 0).astype(np.float64)
    shape = [1, -1] + [1] * (x.ndim - 2)
    gamma, beta = (present(inputs, position).astype(np.float64).reshape(shape) for position in (1, 2))
    return [float32(_normalized(x, tuple(range(2, x.ndim)), attributes) * gamma + beta)]


def layer_normalization(inputs: Inputs, attributes: Attributes) -> list[Array]:
    """``LayerNormalization`` over the axes from ``axis`` on, in float64; its first output only."""
    x = present(inputs, 0).astype(np.float64)
    axes = tuple(range(attributes.get("axis", -1) % x.ndim, x.ndim))
    result = _normalized(x, axes, attributes) * present(inputs, 1).astype(np.float64)
    shift = optional(inputs, 2)
    return [float32(result if shift is None else result + shift.astype(np.float64))]


def _normalized(x: Array, axes: tuple[int, ...], attributes: Attributes) -> Array:
    """Mean 0 and variance 1 over ``axes``."""
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    normalized: Array = centred / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    return normalized


def position(largest: bool) -> FloatOp:
    """``ArgMax`` or ``ArgMin``: positions as float32."""

    def run(inputs: Inputs, attributes: Attributes) -> list[Array]:
        x = present(inputs, 0) if largest else -present(inputs, 0)
        axis = attributes.get("axis", 0) % x.ndim
        if attributes.get("select_last_index", 0):
            found = x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis)
        else:
            found = np.argmax(x, axis)
        return [float32(np.expand_dims(found, axis) if attributes.get("keepdims", 1) else found)]

    return run
