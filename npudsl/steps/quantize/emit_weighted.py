"""Layers with weights: convolution, fully connected, and the product of two activations.

The bias is stored in steps of s_in * s_w (int32 for 8-bit layers, int64 for 16-bit ones). The accumulator is bounded
from the real weights: what could overflow is refused here, not found on the board.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.quantized_model import WeightQuantization
from npudsl.ir.groups import LayerGroup
from npudsl.machine.lowering import lower_matmul
from npudsl.steps.quantize.builder import ProgramBuilder
from npudsl.steps.quantize.layout import constant_layout, in_layout
from npudsl.steps.quantize.weighted import Subject, weighted_form
from npudsl.steps.quantize.weights import codes_per_channel


def emit_conv(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``conv``; a 1-D convolution is a 2-D one of height 1."""
    _emit(builder, group, "conv", _window(builder, group))


def emit_conv_transpose(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``conv_transpose``: ``pads`` cut off the output, and what ``output_padding`` adds is in the output's shape."""
    _emit(builder, group, "conv_transpose", _window(builder, group))


def _window(builder: ProgramBuilder, group: LayerGroup) -> dict[str, Any]:
    """A convolution's geometry as that of an image."""
    node = builder.structure.node(group)
    rank = len(builder.structure.graph.types[node.inputs[0]].shape)
    return {
        "strides": as_image(node.attributes["strides"], rank, 1),
        "pads": pads_as_image(node.attributes["pads"], rank),
        "dilations": as_image(node.attributes["dilations"], rank, 1),
        "group": int(node.attributes.get("group", 1)),
    }


def emit_linear(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``linear``: Gemm, and MatMul with a constant matrix."""
    _emit(builder, group, "linear", {})


def emit_matmul(builder: ProgramBuilder, group: LayerGroup) -> None:
    """``matmul`` of two activations, or ``linear`` when one of them is a constant."""
    if group.weights:
        emit_linear(builder, group)
        return
    output = builder.output(group)
    first, second = (builder.input_as(group, index, output) for index in (0, 1))
    requantize = lower_matmul(builder.profile, first, second, output, group.clamp)
    builder.add(group, "matmul", (first, second), output, (requantize,), macs=group.macs)


def as_image(extents: list[int], rank: int, filler: int) -> list[int]:
    """Extents of the image axes as [height, width]."""
    return [filler, *map(int, extents)] if rank == 3 else list(map(int, extents))


def pads_as_image(pads: list[int], rank: int) -> list[int]:
    """Padding as [top, left, bottom, right]."""
    begin, end = (list(pads[:1]), list(pads[1:])) if rank == 3 else (list(pads[:2]), list(pads[2:]))
    return [*as_image(begin, rank, 0), *as_image(end, rank, 0)]


def _emit(builder: ProgramBuilder, group: LayerGroup, operation: str, attributes: dict[str, Any]) -> None:
    output = builder.output(group)
    input_ = builder.input_as(group, 0, output)
    stored = builder.weight(group, group.weights[0])
    codes = builder.codes(stored)

    def recode(scales: NDArray[np.float64]) -> NDArray[Any]:
        return _codes_again(builder, group, stored.quantization, scales)

    form = weighted_form(
        Subject(builder.subject, group.name, group.op),
        builder.profile,
        operation,
        input_,
        stored.quantization,
        codes,
        _real_bias(builder, group, codes.shape[0]),
        output,
        group.clamp,
        recode,
    )
    builder.store_weight(form.weight)
    builder.add(
        group,
        operation,
        (input_,),
        output,
        (form.requantize,),
        {**attributes, "weight_zero_point": form.weight.zero_point},
        {"weight": stored.codes if form.recoded is None else form.recoded, "bias": form.bias},
        macs=group.macs,
    )


def _real_bias(builder: ProgramBuilder, group: LayerGroup, channels: int) -> NDArray[np.float64]:
    """The bias in float64 (channels,), zeros when the layer has none."""
    if group.bias is None:
        return np.zeros(channels)
    return np.asarray(builder.structure.graph.constants[group.bias], dtype=np.float64).reshape(channels)


def _codes_again(
    builder: ProgramBuilder, group: LayerGroup, weight: WeightQuantization, scales: NDArray[np.float64]
) -> NDArray[Any]:
    """The codes of a per-channel weight under other scales, in the layout of the stored ones."""
    layout = constant_layout(builder.structure, group, weight.name)
    values = in_layout(builder.structure.graph.constants[weight.name], layout)
    return codes_per_channel(values, scales, weight.type)
