"""Pairs of values: quotients, the smaller or larger one, slopes of negative values, sums of rounded operands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from npudsl.artifacts.quantized_model import Requantization
from npudsl.machine.kernels.context import Array, Kernel, LayerContext, requantization_table, table_kernel
from npudsl.machine.kernels.elementwise import Operands, operands_of
from npudsl.numerics.division import rounded_quotient
from npudsl.numerics.requantize import requantize

Look = Callable[[Array], Array]


def build_div(context: LayerContext) -> Kernel:
    """``div``: (a - z_a) / (b - z_b) as one rounded division of integers; by zero it saturates (eq. 33)."""
    operands = operands_of(context)
    item = context.layer.requantize[0]
    shift = item.shifts[0]
    factor = item.multipliers[0] << max(-shift, 0)
    zero_a, zero_b = operands.zero_points

    def run(values: list[Array]) -> list[Array]:
        a, b = operands.pair(values)
        numerator = (a.astype(np.int64) - zero_a) * factor
        denominator = (b.astype(np.int64) - zero_b) << max(shift, 0)
        codes = item.zero_point + rounded_quotient(numerator, denominator, item.rounding)
        return [_stored(np.clip(codes, item.low, item.high), context)]

    return run


def build_minimum(context: LayerContext) -> Kernel:
    """``minimum``: the smaller of both operands in the output's codes (eq. 34)."""
    return _extreme(context, np.minimum)


def build_maximum(context: LayerContext) -> Kernel:
    """``maximum``: the larger of both operands in the output's codes (eq. 34)."""
    return _extreme(context, np.maximum)


def _extreme(context: LayerContext, pick: Callable[[Array, Array], Array]) -> Kernel:
    operands = operands_of(context)
    looks = _operand_looks(context, operands)

    def run(values: list[Array]) -> list[Array]:
        a, b = operands.pair(values)
        return [_stored(pick(looks[0](a), looks[1](b)), context)]

    return run


def _operand_looks(context: LayerContext, operands: Operands) -> list[Look]:
    """Per operand: its codes requantized to the output's; for a constant the result at once."""
    looks: list[Look] = []
    tensors = iter(context.inputs)
    for position, item in enumerate(context.layer.requantize):
        if operands.constant is not None and position == operands.position:
            looks.append(_constant_look(item, operands.zero_points[position], context.storage))
        else:
            tensor = next(tensors)
            looks.append(table_kernel(requantization_table(item, tensor, context.storage), tensor.type))
    return looks


def _constant_look(item: Requantization, zero_point: int, storage: str) -> Look:
    return lambda codes: _requantized(item, codes.astype(np.int64) - zero_point).astype(storage)


def build_prelu(context: LayerContext) -> Kernel:
    """``prelu``: R_0(x - z) where x >= z, else R_1((x - z)(slope - z_slope)) (eq. 35)."""
    slope = context.constant("operand").astype(np.int64) - context.attribute("operand_zero_point")
    positive, negative = context.layer.requantize
    rank = len(context.output.shape)
    aligned = slope.reshape((1,) * (rank + 1 - slope.ndim) + slope.shape)

    def run(values: list[Array]) -> list[Array]:
        x = values[0].astype(np.int64) - context.input.zero_point
        codes = np.where(x >= 0, _requantized(positive, x), _requantized(negative, x * aligned))
        return [_stored(codes, context)]

    return run


def build_rounded_add(context: LayerContext) -> Kernel:
    """``rounded_add``: R_2(R_0((a - z_a) 2^left_shift) + R_1((b - z_b) 2^left_shift)) (eq. 37)."""
    return _rounded_sum(context, 1)


def build_rounded_sub(context: LayerContext) -> Kernel:
    """``rounded_sub``: as ``rounded_add`` with the second operand subtracted."""
    return _rounded_sum(context, -1)


def _rounded_sum(context: LayerContext, sign: int) -> Kernel:
    operands = operands_of(context)
    first, second, total = context.layer.requantize
    unit = 1 << context.attribute("left_shift")
    zero_a, zero_b = operands.zero_points

    def run(values: list[Array]) -> list[Array]:
        a, b = operands.pair(values)
        left = _requantized(first, (a.astype(np.int64) - zero_a) * unit)
        right = _requantized(second, (b.astype(np.int64) - zero_b) * unit)
        return [_stored(_requantized(total, left + sign * right), context)]

    return run


def _requantized(item: Requantization, values: Array) -> Array:
    return requantize(values, item.multipliers, item.shifts, item.rounding, item.zero_point, item.low, item.high)


def _stored(codes: Array, context: LayerContext) -> Array:
    """Codes with the stack in front and the shape and storage of the output."""
    whole = np.broadcast_to(codes, (codes.shape[0], *context.output.shape))
    return np.ascontiguousarray(whole, dtype=context.storage)
