"""Layers that move codes: their output has the quantization of their input (but for padding with a value)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from npudsl.ir.graph import Node
from npudsl.ir.groups import LayerGroup
from npudsl.machine.lowering import RESIZE_WEIGHT_BITS, lower_rescale, lower_resize_linear, output_bounds
from npudsl.machine.resampling import (
    TFLITE_MODES,
    TFLITE_WEIGHT_BITS,
    linear_positions,
    nearest_positions,
    tflite_linear_positions,
)
from npudsl.steps.quantize.builder import ProgramBuilder
from npudsl.steps.quantize.emit_pooling import of_codes

TFLITE = "tflite"
"""The profile whose interpolation of i8 codes has weights of its own (that of u8 codes is float arithmetic)."""


def emit_reshape(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``reshape``: everything that changes the shape only."""
    _move(builder, group, "reshape", {})


def emit_identity(builder: ProgramBuilder, group: LayerGroup) -> None:
    _move(builder, group, "identity", {})


def emit_transpose(builder: ProgramBuilder, group: LayerGroup) -> None:
    node = builder.structure.node(group)
    rank = len(builder.output(group).shape)
    _move(builder, group, "transpose", {"permutation": list(node.attributes.get("perm", range(rank)[::-1]))})


def emit_slice(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``slice`` with starts, ends and steps of every axis, as Python has them (a negative end: before the first)."""
    node = builder.structure.node(group)
    shape = builder.structure.graph.types[node.inputs[0]].shape
    starts, ends, axes, steps = (_integers(builder, node, position) for position in (1, 2, 3, 4))
    assert starts is not None
    assert ends is not None
    parts = [(0, extent, 1) for extent in shape]
    for at, axis in enumerate(axes if axes is not None else range(len(starts))):
        step = steps[at] if steps is not None else 1
        parts[axis] = slice(starts[at], ends[at], step).indices(shape[axis])
    _move(builder, group, "slice", _slice_attributes(parts))


def emit_split(builder: ProgramBuilder, group: LayerGroup) -> None:
    """One ``slice`` per output; the first has the layer's name."""
    node = builder.structure.node(group)
    graph = builder.structure.graph
    shape = graph.types[node.inputs[0]].shape
    axis = int(node.attributes.get("axis", 0)) % len(shape)
    start = 0
    for name in node.outputs:
        extent = graph.types[name].shape[axis]
        if name in group.outputs:
            index = group.outputs.index(name)
            parts = [(0, size, 1) for size in shape]
            parts[axis] = (start, start + extent, 1)
            _move(builder, group, "slice", _slice_attributes(parts), index=index)
        start += extent


def emit_tile(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``tile``: Tile, and Expand as the repetition of axes of extent 1."""
    before = builder.structure.graph.types[group.inputs[0]].shape
    after = builder.output(group).shape
    aligned = (1,) * (len(after) - len(before)) + before
    repeats = [extent // own if own else 1 for extent, own in zip(after, aligned, strict=True)]
    _move(builder, group, "tile", {"repeats": repeats})


def emit_pad(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``pad``: zero is the input's zero point; another value is a code of the output, and the input is requantized."""
    node = builder.structure.node(group)
    output = builder.output(group)
    rank = len(output.shape)
    pads = _integers(builder, node, 1)
    axes = _integers(builder, node, 3)
    assert pads is not None
    named = range(rank) if axes is None else [axis % rank for axis in axes]
    spread = [0] * (2 * rank)
    for at, axis in enumerate(named):
        spread[axis], spread[rank + axis] = pads[at], pads[len(named) + at]
    mode = node.attributes.get("mode", "constant")
    attributes = {"pads": spread, "code": output.zero_point, "mode": mode}
    if group.passthrough:
        _move(builder, group, "pad", attributes)
        return
    value = float(builder.structure.graph.constants[node.inputs[2]].reshape(-1)[0])
    input_ = builder.input_as(group, 0, output)
    inner = replace(output, name=f"{output.name}/inside", shape=input_.shape, decided_by="converter")
    rules = (lower_rescale(builder.profile, input_, inner),)
    builder.add(group, "rescale", (input_,), inner, rules, name=inner.name)
    low, high = output_bounds(output)
    code = min(max(output.zero_point + round(value / output.scale), low), high)
    builder.add(group, "pad", (inner,), output, attributes={**attributes, "code": code})


def emit_gather(builder: ProgramBuilder, group: LayerGroup) -> None:
    node = builder.structure.node(group)
    shape = builder.structure.graph.types[node.inputs[0]].shape
    axis = int(node.attributes.get("axis", 0)) % len(shape)
    indices = np.asarray(builder.structure.graph.constants[node.inputs[1]], dtype=np.int64) % shape[axis]
    _move(builder, group, "gather", {"axis": axis}, {"indices": indices})


def emit_depth_to_space(builder: ProgramBuilder, group: LayerGroup) -> None:
    attributes = builder.structure.node(group).attributes
    _move(builder, group, "depth_to_space", {"block": attributes["blocksize"], "mode": attributes.get("mode", "DCR")})


def emit_space_to_depth(builder: ProgramBuilder, group: LayerGroup) -> None:
    attributes = builder.structure.node(group).attributes
    _move(builder, group, "space_to_depth", {"block": attributes["blocksize"], "mode": "DCR"})


def emit_resize(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``resize_nearest`` copies codes; ``resize_linear`` mixes four neighbours and has a scale of its own."""
    node = builder.structure.node(group)
    before = builder.structure.graph.types[node.inputs[0]].shape
    after = builder.structure.graph.types[node.outputs[0]].shape
    mode = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    scales = _scales(builder, node, len(before))
    if node.attributes.get("mode", "nearest") == "nearest":
        nearest = node.attributes.get("nearest_mode", "round_prefer_floor")
        rows, columns = (nearest_positions(before[axis], after[axis], mode, nearest, scales[axis]) for axis in (-2, -1))
        _move(builder, group, "resize_nearest", {}, {"rows": rows, "columns": columns})
        return
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    if builder.profile == TFLITE and mode in TFLITE_MODES and input_.type == "i8":
        bits = TFLITE_WEIGHT_BITS
        rows_, columns_ = (tflite_linear_positions(before[axis], after[axis], mode) for axis in (-2, -1))
    else:
        bits = RESIZE_WEIGHT_BITS
        rows_, columns_ = (linear_positions(before[axis], after[axis], mode, scales[axis]) for axis in (-2, -1))
    constants = {
        "row_low": rows_.low,
        "row_high": rows_.high,
        "row_weight": rows_.weight,
        "column_low": columns_.low,
        "column_high": columns_.high,
        "column_weight": columns_.weight,
    }
    rule = lower_resize_linear(builder.profile, input_, output, group.clamp, bits)
    requantize, taken = of_codes(builder.profile, input_, output, (rule,))
    builder.add(group, "resize_linear", (input_,), output, requantize, {"weight_bits": bits, **taken}, constants)


def _move(
    builder: ProgramBuilder,
    group: LayerGroup,
    operation: str,
    attributes: dict[str, Any],
    constants: dict[str, Any] | None = None,
    index: int = 0,
) -> None:
    output = builder.output(group, index)
    input_ = builder.input_as(group, 0, output)
    name = group.name if index == 0 else f"{group.name}/{index}"
    builder.add(group, operation, (input_,), output, attributes=attributes, constants=constants, name=name)


def _integers(builder: ProgramBuilder, node: Node, position: int) -> list[int] | None:
    """A constant input as a list; None when it is absent."""
    if position >= len(node.inputs) or not node.inputs[position]:
        return None
    return [int(item) for item in builder.structure.graph.constants[node.inputs[position]].reshape(-1)]


def _slice_attributes(parts: list[tuple[int, int, int]]) -> dict[str, Any]:
    starts, ends, steps = (list(item) for item in zip(*parts, strict=True))
    return {"starts": starts, "ends": ends, "steps": steps}


def _scales(builder: ProgramBuilder, node: Node, rank: int) -> list[float | None]:
    """The factor of every axis; None where sizes are given instead."""
    scales: list[float | None] = [None] * rank
    if len(node.inputs) <= 2 or not node.inputs[2]:
        return scales
    given = builder.structure.graph.constants[node.inputs[2]].reshape(-1)
    axes = node.attributes.get("axes") or range(rank)
    for axis, factor in zip(axes, given, strict=False):
        scales[int(axis) % rank] = float(factor)
    return scales
