"""Element by element: add, sub, mul, and everything that is a look-up (rescale, unary functions, concat's inputs)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from npudsl.machine.kernels.context import (
    Array,
    Kernel,
    LayerContext,
    largest_offset,
    requantization_table,
    table_kernel,
)
from npudsl.numerics.fast_requantize import BLOCK, Requantizer


@dataclass(frozen=True)
class Operands:
    """Both operands of a layer: what is constant, and where the zero points are."""

    zero_points: tuple[int, int]
    largest: tuple[int, int]
    """max|code - zero_point| of each."""
    constant: Array | None
    position: int
    """Where the constant stands."""
    rank: int

    def pair(self, values: list[Array]) -> tuple[Array, Array]:
        """Both operands with the stack in front and as many axes as the output."""
        stacked = [_raised(value, self.rank) for value in values]
        if self.constant is not None:
            stacked.insert(self.position, _raised(self.constant[None], self.rank))
        return stacked[0], stacked[1]


def build_add(context: LayerContext) -> Kernel:
    """``add``: both products added as integers, then one rounding shift."""
    return _sum_kernel(context, 1)


def build_sub(context: LayerContext) -> Kernel:
    """``sub``: as ``add`` with the second product subtracted."""
    return _sum_kernel(context, -1)


def build_mul(context: LayerContext) -> Kernel:
    """``mul``: R((a - z_a)(b - z_b))."""
    operands = operands_of(context)
    requantizer = context.requantizer(0, operands.largest[0] * operands.largest[1])
    zero_a, zero_b = operands.zero_points

    def combine(a: Array, b: Array) -> Array:
        product = a.astype(np.float64)
        product -= zero_a
        factor = b.astype(np.float64)
        factor -= zero_b
        product *= factor
        return product

    return _blockwise(context, operands, combine, requantizer)


def _sum_kernel(context: LayerContext, sign: int) -> Kernel:
    """z_out + R'((a - z_a) M_a +- (b - z_b) M_b): the zero points' share is one constant, added as a bias."""
    operands = operands_of(context)
    first, second = context.layer.requantize
    factors = (first.multipliers[0], sign * second.multipliers[0])
    constant = -sum(zero * factor for zero, factor in zip(operands.zero_points, factors, strict=True))
    largest = sum(size * abs(factor) for size, factor in zip(operands.largest, factors, strict=True))
    requantizer = Requantizer(
        (1,),
        first.shifts,
        first.rounding,
        first.zero_point,
        first.low,
        first.high,
        storage=context.storage,
        largest=largest,
        bias=np.array([constant]),
    )
    number = np.dtype(np.float64 if 2 * largest + abs(constant) < 2**53 else np.int64)

    def combine(a: Array, b: Array) -> Array:
        total: Array = a.astype(number)
        total *= number.type(factors[0])
        other: Array = b.astype(number)
        other *= number.type(factors[1])
        total += other
        return total

    return _blockwise(context, operands, combine, requantizer)


def _blockwise(
    context: LayerContext, operands: Operands, combine: Callable[[Array, Array], Array], requantizer: Requantizer
) -> Kernel:
    """Run over blocks that stay in the cache."""

    def run(values: list[Array]) -> list[Array]:
        a, b = np.broadcast_arrays(*operands.pair(values))
        flat_a, flat_b = a.reshape(-1), b.reshape(-1)
        out = np.empty(flat_a.shape, dtype=context.storage)
        for start in range(0, out.size, BLOCK):
            part = slice(start, start + BLOCK)
            requantizer(combine(flat_a[part], flat_b[part])[None], out[None, part])
        return [out.reshape(a.shape[0], *context.output.shape)]

    return run


def operands_of(context: LayerContext) -> Operands:
    """The operands of a two-input layer, one of which may be the constant ``operand``."""
    zero_points = [tensor.zero_point for tensor in context.inputs]
    largest = [largest_offset(tensor) for tensor in context.inputs]
    rank = len(context.output.shape)
    if "operand" not in context.layer.constants:
        return Operands((zero_points[0], zero_points[1]), (largest[0], largest[1]), None, 0, rank)
    constant = context.constant("operand")
    position, zero_point = context.attribute("operand_position"), context.attribute("operand_zero_point")
    zero_points.insert(position, zero_point)
    largest.insert(position, int(np.abs(constant.astype(np.int64) - zero_point).max(initial=0)))
    return Operands((zero_points[0], zero_points[1]), (largest[0], largest[1]), constant, position, rank)


def build_rescale(context: LayerContext) -> Kernel:
    """``rescale``: R(x - z), as a table of all codes."""
    look_up = _requantized(context, 0)
    return lambda values: [look_up(values[0])]


def build_table(context: LayerContext) -> Kernel:
    """``table``: the stored function."""
    look_up = table_kernel(np.asarray(context.constant("table")), context.input.type)
    return lambda values: [look_up(values[0])]


def build_concat(context: LayerContext) -> Kernel:
    """``concat``: every input through its own requantization, then joined."""
    look_ups = [_requantized(context, index) for index in range(len(context.inputs))]
    axis = context.attribute("axis") % len(context.output.shape) + 1

    def run(values: list[Array]) -> list[Array]:
        return [np.concatenate([look_up(x) for look_up, x in zip(look_ups, values, strict=True)], axis=axis)]

    return run


def _requantized(context: LayerContext, index: int) -> Callable[[Array], Array]:
    """Requantization ``index`` of the layer as a table over the codes of input ``index``."""
    tensor = context.inputs[index]
    table = requantization_table(context.layer.requantize[index], tensor, context.storage)
    return table_kernel(table, tensor.type)


def _raised(values: Array, rank: int) -> Array:
    """Axes of extent 1 between the stack and the shape, up to ``rank`` axes behind the stack."""
    missing = rank + 1 - values.ndim
    return values.reshape(values.shape[0], *(1,) * missing, *values.shape[1:]) if missing > 0 else values
