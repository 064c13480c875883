"""``add``, ``sub``, ``mul`` and look-ups (``rescale``, ``table``, ``concat``) on the compiled kernels."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from npudsl.artifacts.quantized_model import Requantization
from npudsl.machine.compiled.library import address
from npudsl.machine.compiled.rules import ChannelRule
from npudsl.machine.compiled.structures import STORED_TYPES, Axes, BinaryLayer, Codes
from npudsl.machine.kernels.context import Array, Kernel, LayerContext, requantization_table
from npudsl.machine.kernels.elementwise import operands_of
from npudsl.numerics.fast_requantize import FLOAT64_BITS
from npudsl.numerics.types import element_type
from npudsl.runtime_c import NPU_MAX_RANK


def build_add(context: LayerContext, library: ctypes.CDLL) -> Kernel | None:
    """``add``: None when a sum may leave the 53 bits of float64."""
    return _sum_kernel(context, library, 1)


def build_sub(context: LayerContext, library: ctypes.CDLL) -> Kernel | None:
    """``sub``: as ``add``, with the second multiplier negative."""
    return _sum_kernel(context, library, -1)


def _sum_kernel(context: LayerContext, library: ctypes.CDLL, sign: int) -> Kernel | None:
    first, second = context.layer.requantize
    factors = (first.multipliers[0], sign * second.multipliers[0])
    largest = sum(size * abs(factor) for size, factor in zip(operands_of(context).largest, factors, strict=True))
    return _binary_kernel(context, library, replace(first, multipliers=(1,)), largest, factors)


def build_mul(context: LayerContext, library: ctypes.CDLL) -> Kernel | None:
    """``mul``."""
    return _binary_kernel(context, library, context.layer.requantize[0], math.prod(operands_of(context).largest), None)


def _binary_kernel(
    context: LayerContext,
    library: ctypes.CDLL,
    item: Requantization,
    largest: int,
    factors: tuple[int, int] | None,
) -> Kernel | None:
    """``factors`` are those of a sum; a product has none."""
    if largest >= 2**FLOAT64_BITS:
        return None
    operands = operands_of(context)
    rule = ChannelRule(item, context.output, 1, largest)
    constant = None if operands.constant is None else np.ascontiguousarray(operands.constant)
    names = [Codes.of(tensor) for tensor in context.inputs]
    if constant is not None:
        names.insert(
            operands.position, Codes(STORED_TYPES[constant.dtype.name], operands.zero_points[operands.position])
        )
    shape = context.output.shape
    fields = {"a": names[0], "b": names[1], "rank": 0}
    if factors is not None:
        fields |= {"a_multiplier": factors[0], "b_multiplier": factors[1]}

    def run(values: list[Array]) -> list[Array]:
        stack = values[0].shape[0]
        pair = [np.ascontiguousarray(value) for value in values]
        if constant is not None:
            pair.insert(operands.position, constant[None])
        axes, strides = _joined_axes((stack, *shape), [value.shape for value in pair])
        if len(axes) > NPU_MAX_RANK:
            raise ValueError(f"layer '{context.layer.name}' broadcasts over {len(axes)} axes")
        layer = BinaryLayer(**{**fields, "rank": len(axes)}, shape=Axes(*axes))
        layer.a_strides, layer.b_strides = Axes(*strides[0]), Axes(*strides[1])
        out = np.empty((stack, *shape), dtype=context.storage)
        if out.size:
            product = factors is None
            library.npu_host_binary(layer, rule.struct, product, address(pair[0]), address(pair[1]), address(out))
        return [out]

    return run


def _joined_axes(
    shape: tuple[int, ...], operands: Sequence[tuple[int, ...]]
) -> tuple[list[int], tuple[list[int], list[int]]]:
    """The axes of a broadcast, neighbours that both dense operands walk as one joined; and strides in elements.

    The first axis of an operand is the stack, and where an operand has fewer axes, those missing stand behind it.
    """
    walks = []
    for operand in operands:
        raised = (operand[0], *(1,) * (len(shape) - len(operand)), *operand[1:])
        strides, stride = [0] * len(shape), 1
        for axis in reversed(range(len(shape))):
            strides[axis] = 0 if raised[axis] == 1 else stride
            stride *= raised[axis]
        walks.append(strides)
    joined: list[int] = []
    first: list[int] = []
    second: list[int] = []
    for extent, a, b in zip(shape, *walks, strict=True):
        if extent == 1:
            continue
        if joined and first[-1] == a * extent and second[-1] == b * extent:
            joined[-1], first[-1], second[-1] = joined[-1] * extent, a, b
        else:
            joined, first, second = [*joined, extent], [*first, a], [*second, b]
    return (joined, (first, second)) if joined else ([1], ([0], [0]))


class _LookUp:
    """A table over the codes of one input, or None where codes stay what they are."""

    def __init__(self, table: Array, type_name: str) -> None:
        element = element_type(type_name)
        same = np.arange(element.minimum, element.maximum + 1)
        kept = table.dtype == np.dtype(element.storage) and np.array_equal(table, same)
        self.input_size, self.output_size = element.bits // 8, table.dtype.itemsize
        self.table = None if kept else np.ascontiguousarray(np.roll(table, element.minimum))

    def run(self, library: ctypes.CDLL, x: Array, out: Array, blocks: int, stride: int, offset: int) -> None:
        """``x`` in ``blocks`` runs to ``out``, ``stride`` elements apart from ``offset`` on."""
        codes = np.ascontiguousarray(x)
        table = None if self.table is None else address(self.table)
        library.npu_host_look_up(
            self.input_size,
            self.output_size,
            blocks,
            codes.size // max(blocks, 1),
            stride,
            table,
            address(codes),
            address(out) + offset * self.output_size,
        )


def _requantized(context: LayerContext, index: int) -> _LookUp:
    tensor = context.inputs[index]
    return _LookUp(requantization_table(context.layer.requantize[index], tensor, context.storage), tensor.type)


def build_rescale(context: LayerContext, library: ctypes.CDLL) -> Kernel:
    """``rescale`` as a table of all codes."""
    return _unary(_requantized(context, 0), context, library)


def build_table(context: LayerContext, library: ctypes.CDLL) -> Kernel:
    """``table``."""
    return _unary(_LookUp(np.asarray(context.constant("table")), context.input.type), context, library)


def _unary(look_up: _LookUp, context: LayerContext, library: ctypes.CDLL) -> Kernel:
    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        if look_up.table is None:
            return [x]
        out = np.empty(x.shape, dtype=context.storage)
        look_up.run(library, x, out, 1, x.size, 0)
        return [out]

    return run


def build_concat(context: LayerContext, library: ctypes.CDLL) -> Kernel:
    """``concat``: every input through its table into its part of every run of the output."""
    look_ups = [_requantized(context, index) for index in range(len(context.inputs))]
    shape = context.output.shape
    axis = context.attribute("axis") % len(shape)
    lengths = [math.prod(tensor.shape[axis:]) for tensor in context.inputs]
    offsets = [sum(lengths[:index]) for index in range(len(lengths))]

    def run(values: list[Array]) -> list[Array]:
        stack = values[0].shape[0]
        out = np.empty((stack, *shape), dtype=context.storage)
        blocks = stack * math.prod(shape[:axis])
        for look_up, x, offset in zip(look_ups, values, offsets, strict=True):
            look_up.run(library, x, out, blocks, sum(lengths), offset)
        return [out]

    return run
