"""``conv`` and ``linear`` on the compiled kernels.

Three kernels, by what the layer is: depthwise convolutions; everything whose sums fit int32, on the vector kernels or,
where the processor has no vectors we know, on the kernels that are exported; and nothing for the rest (16-bit layers
with wide sums): float64 matrix products of BLAS beat 64-bit integers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from npudsl.machine.bounds import accumulator_bound
from npudsl.machine.compiled.library import address, scratch
from npudsl.machine.compiled.rules import ChannelRule
from npudsl.machine.compiled.structures import STORED_TYPES, TYPES, Codes, ConvLayer, LinearLayer, Requantize
from npudsl.machine.kernels.context import Array, Kernel, LayerContext
from npudsl.machine.kernels.window import convolution_window
from npudsl.numerics.fast_requantize import FLOAT64_BITS
from npudsl.runtime_c import NPU_MAX_TILE

INT32_LIMIT = 2**31

Launch = Callable[[Any, Array, Array], None]
"""Runs a kernel on a layer description, an input and an output."""


class _Weights:
    """What the kernels need of weight and bias. ``stored`` has the output channel first, as the kernels read it."""

    def __init__(self, context: LayerContext, stored: Array) -> None:
        self.stored = np.ascontiguousarray(stored)
        self.zero_point = int(context.attribute("weight_zero_point"))
        self.bias = context.constant("bias") if "bias" in context.layer.constants else None
        self.channels = stored.shape[0]
        self.sums_bound = accumulator_bound(stored, self.zero_point, context.input)
        """Of partial sums, in any order."""
        self.bias_codes = np.zeros(self.channels, np.int64) if self.bias is None else self.bias.astype(np.int64)
        self.bound = accumulator_bound(stored, self.zero_point, context.input, self.bias)
        self.rule = ChannelRule(context.layer.requantize[0], context.output, self.channels, self.bound)

    @property
    def fits_int32(self) -> bool:
        return max(self.bound, self.sums_bound) < INT32_LIMIT

    def plain_arguments(self) -> tuple[Array | None, ...]:
        """Weight, bias, multipliers and shifts for the exported kernels."""
        bias = None if self.bias is None else np.ascontiguousarray(self.bias)
        return self.stored, bias, self.rule.arrays["multipliers"], self.rule.arrays["shifts"]

    def fields(self, context: LayerContext) -> dict[str, Any]:
        """What the structs of conv and linear have in common."""
        return {
            "input": Codes.of(context.input),
            "weight": Codes(STORED_TYPES[self.stored.dtype.name], self.zero_point),
            "bias_type": STORED_TYPES["int32" if self.bias is None else self.bias.dtype.name],
            "output_type": TYPES[context.output.type],
            "requantize": Requantize.of(context.layer.requantize[0]),
        }


def build_conv(context: LayerContext, library: ctypes.CDLL) -> Kernel | None:
    """``conv``; None where numpy is the faster way."""
    codes = context.constant("weight")
    window = convolution_window(context, codes.shape)
    weights = _Weights(context, codes.transpose(0, 2, 3, 1))
    channels, group = context.input.shape[1], int(context.attribute("group"))
    fields = {
        **weights.fields(context),
        "group": group,
        "input_channels": channels,
        "output_channels": weights.channels,
        "tile": NPU_MAX_TILE,
    }
    for name, pair in (
        ("input", window.size),
        ("output", window.output),
        ("kernel", window.kernel),
        ("stride", window.strides),
        ("dilation", window.dilations),
    ):
        fields |= {f"{name}_height": pair[0], f"{name}_width": pair[1]}
    fields |= {"pad_top": window.pads[0], "pad_left": window.pads[1]}
    launch = _conv_launch(context, library, weights, fields)
    if launch is None:
        return None
    shape = context.output.shape

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        images = x.reshape(-1, channels, *window.size)
        out = np.empty((x.shape[0], *shape), dtype=context.storage)
        launch(ConvLayer(**fields, batch=images.shape[0]), np.ascontiguousarray(images), out)
        return [out]

    return run


def _conv_launch(
    context: LayerContext, library: ctypes.CDLL, weights: _Weights, fields: dict[str, Any]
) -> Launch | None:
    if fields["group"] > 1 and fields["group"] == fields["input_channels"]:
        return _depthwise_launch(library, weights, fields)
    if not weights.fits_int32:
        return None
    if not library.npu_host_lanes():
        return _plain_launch(library.npu_conv, library.npu_conv_scratch, weights, context)
    layer = ConvLayer(**fields, batch=1)
    packed = _packed(layer, weights, library.npu_host_conv_words, library.npu_host_pack_conv)
    return _packed_launch(library.npu_host_conv, library.npu_host_conv_scratch, weights.rule, *packed)


def _depthwise_launch(library: ctypes.CDLL, weights: _Weights, fields: dict[str, Any]) -> Launch | None:
    wide = not weights.fits_int32
    if max(weights.bound, weights.sums_bound) >= 2**FLOAT64_BITS:
        return None
    rule = weights.rule
    layer = ConvLayer(**fields, batch=1)
    words = np.empty(library.npu_host_depthwise_words(layer, wide), dtype=np.uint32)
    starts = np.empty(weights.channels, dtype=np.int64)
    library.npu_host_pack_depthwise(
        layer, wide, address(weights.stored), address(weights.bias_codes), address(words), address(starts)
    )

    def launch(layer: ConvLayer, x: Array, out: Array) -> None:
        library.npu_host_depthwise(
            layer,
            rule.struct,
            wide,
            address(x),
            address(words),
            address(starts),
            address(out),
            scratch(library.npu_host_depthwise_scratch(layer, wide)),
        )

    return launch


def build_linear(context: LayerContext, library: ctypes.CDLL) -> Kernel | None:
    """``linear``; None where numpy is the faster way."""
    weights = _Weights(context, context.constant("weight"))
    if not weights.fits_int32:
        return None
    outputs, inputs = weights.stored.shape
    fields = {**weights.fields(context), "inputs": inputs, "outputs": outputs, "tile": NPU_MAX_TILE}
    if library.npu_host_lanes():
        layer = LinearLayer(**fields, rows=1)
        packed = _packed(layer, weights, library.npu_host_linear_words, library.npu_host_pack_linear)
        launch: Launch | None = _packed_launch(
            library.npu_host_linear, library.npu_host_linear_scratch, weights.rule, *packed
        )
    else:
        launch = _plain_launch(library.npu_linear, library.npu_linear_scratch, weights, context)
    if launch is None:
        return None
    shape = context.output.shape

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        rows = np.ascontiguousarray(x.reshape(-1, inputs))
        out = np.empty((x.shape[0], *shape), dtype=context.storage)
        launch(LinearLayer(**fields, rows=rows.shape[0]), rows, out)
        return [out]

    return run


def _packed(layer: Any, weights: _Weights, size: Any, pack: Any) -> tuple[Array, Array]:
    """Words and starts of a layer's weights."""
    words, starts = np.empty(size(layer), dtype=np.uint32), np.empty(weights.channels, dtype=np.int32)
    pack(layer, address(weights.stored), address(weights.bias_codes), address(words), address(starts))
    return words, starts


def _packed_launch(kernel: Any, scratch_size: Any, rule: ChannelRule, words: Array, starts: Array) -> Launch:
    """A kernel that reads packed weights; the stored ones are no longer needed."""

    def launch(layer: Any, x: Array, out: Array) -> None:
        memory = scratch(scratch_size(layer))
        kernel(layer, rule.struct, address(x), address(words), address(starts), address(out), memory)

    return launch


def _plain_launch(kernel: Any, scratch_size: Any, weights: _Weights, context: LayerContext) -> Launch | None:
    """A kernel as it is exported."""
    if context.input.type == "i16" or weights.stored.dtype == np.int16:
        return None
    arrays = weights.plain_arguments()

    def launch(layer: Any, x: Array, out: Array) -> None:
        constants = [None if array is None else address(array) for array in arrays]
        kernel(layer, address(x), *constants, address(out), scratch(scratch_size(layer)))

    return launch
