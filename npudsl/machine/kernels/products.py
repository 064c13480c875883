"""Matrix products: ``linear`` (weights are constants) and ``matmul`` (both are activations)."""

from __future__ import annotations

import numpy as np

from npudsl.machine.bounds import accumulator_bound
from npudsl.machine.kernels.context import Array, Kernel, LayerContext, largest_offset, requantize_flat
from npudsl.machine.kernels.window import working_type

BLOCK_WEIGHTS = 1 << 20
"""Weights converted to floating point at a time, so that a large layer never has a second copy of all of them."""


def build_linear(context: LayerContext) -> Kernel:
    """``linear``: R(sum (x - z)(w - z_w) + bias) over the last axis of the input viewed as (rows, in)."""
    codes = context.constant("weight")
    weight_zero_point = context.attribute("weight_zero_point")
    bias = context.constant("bias") if "bias" in context.layer.constants else None
    dtype = np.dtype(working_type(accumulator_bound(codes, weight_zero_point, context.input)))
    requantizer = context.requantizer(0, accumulator_bound(codes, weight_zero_point, context.input, bias), bias)
    features, width = codes.shape
    step = max(1, BLOCK_WEIGHTS // width)

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        rows = x.reshape(-1, width).astype(dtype) - dtype.type(context.input.zero_point)
        out = np.empty((features, rows.shape[0]), dtype=context.storage)
        for start in range(0, features, step):
            weights = codes[start : start + step].astype(dtype) - dtype.type(weight_zero_point)
            requantizer(weights @ rows.T, out[start : start + step], start)
        return [np.ascontiguousarray(out.T).reshape(x.shape[0], *context.output.shape)]

    return run


def build_matmul(context: LayerContext) -> Kernel:
    """``matmul``: R(sum (a - z_a)(b - z_b)), numpy broadcasting of the axes in front."""
    first, second = context.inputs
    bound = first.shape[-1] * largest_offset(first) * largest_offset(second)
    dtype = np.dtype(working_type(bound))
    requantizer = context.requantizer(0, bound)

    def run(values: list[Array]) -> list[Array]:
        a, b = values
        rank = max(len(first.shape), len(second.shape), 2)
        left = _matrices(a, first.shape, rank, column=False).astype(dtype) - dtype.type(first.zero_point)
        right = _matrices(b, second.shape, rank, column=True).astype(dtype) - dtype.type(second.zero_point)
        codes = requantize_flat(requantizer, np.ascontiguousarray(left @ right), context.storage)
        return [codes.reshape(a.shape[0], *context.output.shape)]

    return run


def _matrices(values: Array, shape: tuple[int, ...], rank: int, column: bool) -> Array:
    """Stacked values as matrices of ``rank`` axes (without the stack): a vector becomes a row or a column."""
    if len(shape) == 1:
        shape = (shape[0], 1) if column else (1, shape[0])
    return values.reshape(values.shape[0], *(1,) * (rank - len(shape)), *shape)
