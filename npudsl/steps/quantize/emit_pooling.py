"""Pools and reductions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from npudsl.artifacts.quantized_model import Requantization, TensorQuantization
from npudsl.ir.groups import LayerGroup
from npudsl.machine.lowering import INPUT_ZERO_POINT, lower_average_pool, lower_global_average_pool, rounds_codes
from npudsl.machine.pooling import average_pool_divisors, pool_windows
from npudsl.steps.quantize.builder import ProgramBuilder
from npudsl.steps.quantize.emit_weighted import as_image, pads_as_image


def emit_max_pool(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``max_pool``: padding resolved for ``ceil_mode``."""
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    window = _window(builder, group)
    resolved = pool_windows(
        window["size"],
        window["kernel"],
        window["strides"],
        window["pads"],
        window["dilations"],
        window["ceil_mode"],
    )
    attributes = {
        "kernel": window["kernel"],
        "strides": window["strides"],
        "pads": list(resolved.pads),
        "dilations": window["dilations"],
        "output_shape": list(output.shape),
    }
    builder.add(group, "max_pool", (input_,), output, attributes=attributes)


def emit_average_pool(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``average_pool``: one requantization per number of elements that a window averages over."""
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    window = _window(builder, group)
    size, kernel, strides, pads = (window[key] for key in ("size", "kernel", "strides", "pads"))
    resolved = pool_windows(size, kernel, strides, pads, ceil_mode=window["ceil_mode"])
    include = bool(builder.structure.node(group).attributes.get("count_include_pad", 0))
    divisors = average_pool_divisors(size, kernel, strides, pads, resolved.output, include)
    requantize = lower_average_pool(builder.profile, input_, output, divisors.divisors, group.clamp)
    requantize, taken = of_codes(builder.profile, input_, output, requantize)
    attributes = {
        "kernel": kernel,
        "strides": strides,
        "pads": list(resolved.pads),
        "divisors": list(divisors.divisors),
        **taken,
    }
    builder.add(group, "average_pool", (input_,), output, requantize, attributes, {"divisor_index": divisors.index})


def of_codes(
    profile: str,
    input_: TensorQuantization,
    output: TensorQuantization,
    requantize: Sequence[Requantization],
) -> tuple[tuple[Requantization, ...], dict[str, int]]:
    """Requantizations and attributes of a layer that rounds codes as they are, where the profile does so."""
    if not rounds_codes(profile, input_, output):
        return tuple(requantize), {}
    return tuple(replace(item, zero_point=0) for item in requantize), {INPUT_ZERO_POINT: 0}


def emit_mean(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``global_average_pool``: GlobalAveragePool and ReduceMean."""
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    attributes = reduction(builder, group)
    count = math.prod(input_.shape[axis] for axis in attributes["axes"])
    requantize = lower_global_average_pool(builder.profile, input_, output, count, group.clamp)
    builder.add(group, "global_average_pool", (input_,), output, (requantize,), attributes)


def emit_reduce_max(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``reduce_max``: GlobalMaxPool and ReduceMax."""
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    builder.add(group, "reduce_max", (input_,), output, attributes=reduction(builder, group))


def _window(builder: ProgramBuilder, group: LayerGroup) -> dict[str, Any]:
    """A pool's parameters as those of an image."""
    node = builder.structure.node(group)
    shape = builder.structure.graph.types[node.inputs[0]].shape
    rank = len(shape)
    attributes = node.attributes
    kernel = list(attributes["kernel_shape"])
    ones = [1] * len(kernel)
    return {
        "size": as_image(list(shape[2:]), rank, 1),
        "kernel": as_image(kernel, rank, 1),
        "strides": as_image(list(attributes.get("strides", ones)), rank, 1),
        "pads": pads_as_image(list(attributes.get("pads", [0] * (2 * len(kernel)))), rank),
        "dilations": as_image(list(attributes.get("dilations", ones)), rank, 1),
        "ceil_mode": bool(attributes.get("ceil_mode", 0)),
    }


def reduction(builder: ProgramBuilder, group: LayerGroup) -> dict[str, Any]:
    """``axes`` (normalised) and ``keepdims``; no axes are all of them."""
    node = builder.structure.node(group)
    rank = len(builder.structure.graph.types[node.inputs[0]].shape)
    if group.op.startswith("Global"):
        return {"axes": list(range(2, rank)), "keepdims": True}
    axes = node.attributes.get("axes")
    if len(node.inputs) > 1 and node.inputs[1]:
        axes = builder.structure.graph.constants[node.inputs[1]].reshape(-1)
    if axes is None or len(axes) == 0:
        axes = [] if node.attributes.get("noop_with_empty_axes", 0) else range(rank)
    return {"axes": sorted(int(axis) % rank for axis in axes), "keepdims": bool(node.attributes.get("keepdims", 1))}
