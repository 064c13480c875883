"""Pools and global means on the compiled kernels."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from npudsl.artifacts.quantized_model import Requantization
from npudsl.machine.compiled.library import address, scratch
from npudsl.machine.compiled.rules import ChannelRule
from npudsl.machine.compiled.structures import TYPES, Codes, PoolLayer
from npudsl.machine.kernels.context import Array, Kernel, LayerContext, largest_offset
from npudsl.numerics.types import element_type

INT32_LIMIT = 2**31


def build_max_pool(context: LayerContext, library: ctypes.CDLL) -> Kernel:
    """``max_pool``."""

    def launch(layer: PoolLayer, x: Array, out: Array) -> None:
        library.npu_host_max_pool(layer, address(x), address(out), scratch(library.npu_host_pool_scratch(layer)))

    return _pool(context, launch)


def build_average_pool(context: LayerContext, library: ctypes.CDLL) -> Kernel | None:
    """``average_pool``; None when a sum may leave int32."""
    items = context.layer.requantize
    largest = math.prod(context.attribute("kernel")) * largest_offset(context.input)
    several = {(item.rounding, item.zero_point, item.low, item.high) for item in items}
    if largest >= INT32_LIMIT or len(several) > 1:
        return None
    item = replace(
        items[0],
        multipliers=tuple(item.multipliers[0] for item in items),
        shifts=tuple(item.shifts[0] for item in items),
    )
    if _is_mean(context):
        return _mean_kernel(context, library, items[int(context.constant("divisor_index").reshape(-1)[0])], 2)
    rule = ChannelRule(item, context.output, len(items), largest)
    divisors = np.ascontiguousarray(context.constant("divisor_index"), dtype=np.uint8)

    def launch(layer: PoolLayer, x: Array, out: Array) -> None:
        memory = scratch(library.npu_host_pool_scratch(layer))
        library.npu_host_average_pool(layer, rule.struct, address(x), address(divisors), address(out), memory)

    return _pool(context, launch)


def _pool(context: LayerContext, launch: Callable[[PoolLayer, Array, Array], None]) -> Kernel:
    shape, output = context.input.shape, context.output.shape
    size, result = ((1, *sizes[2:])[-2:] for sizes in (shape, output))
    top, left = context.attribute("pads")[:2]
    fields = {"input": Codes.of(context.input), "output_type": TYPES[context.output.type]}
    fields |= {"pad_top": top, "pad_left": left}
    for name, pair in (
        ("input", size),
        ("output", result),
        ("kernel", context.attribute("kernel")),
        ("stride", context.attribute("strides")),
        ("dilation", context.layer.attributes.get("dilations", (1, 1))),
    ):
        fields |= {f"{name}_height": pair[0], f"{name}_width": pair[1]}

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        out = np.empty((x.shape[0], *output), dtype=context.storage)
        planes = x.shape[0] * shape[0] * shape[1]
        launch(PoolLayer(**fields, planes=planes), np.ascontiguousarray(x), out)
        return [out]

    return run


def _is_mean(context: LayerContext) -> bool:
    """Whether the only window of a pool is the whole image."""
    size = (1, *context.input.shape[2:])[-2:]
    pads = any(context.attribute("pads"))
    return not pads and tuple(context.attribute("kernel")) == size and math.prod(context.output.shape[2:]) == 1


def build_global_average_pool(context: LayerContext, library: ctypes.CDLL) -> Kernel | None:
    """``global_average_pool`` over the last axes; None for others, and when a sum may leave int32."""
    rank = len(context.input.shape)
    axes = sorted(axis % rank for axis in context.attribute("axes"))
    if axes != list(range(rank - len(axes), rank)):
        return None
    return _mean_kernel(context, library, context.layer.requantize[0], len(axes))


def _mean_kernel(context: LayerContext, library: ctypes.CDLL, item: Requantization, axes: int) -> Kernel | None:
    """Means over the last ``axes`` axes."""
    length = math.prod(context.input.shape[-axes:])
    element = element_type(context.input.type)
    if length * max(element.maximum - element.minimum, -element.minimum) >= INT32_LIMIT:
        return None
    rule = ChannelRule(item, context.output, 1, length * largest_offset(context.input))
    codes = Codes.of(context.input)

    def run(values: list[Array]) -> list[Array]:
        x = np.ascontiguousarray(values[0])
        out = np.empty((x.shape[0], *context.output.shape), dtype=context.storage)
        library.npu_host_mean(codes, rule.struct, x.size // length, length, address(x), address(out))
        return [out]

    return run
