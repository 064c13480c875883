"""Integer convolution, exact, by floating-point arithmetic wherever that is exact.

The sum of (x - z)(w - z_w) and every partial sum of it is bounded from the real weights (eq. 30). Below 2**24 all of
them are float32 numbers, below 2**53 float64 numbers, and any order of additions gives the same bits, so BLAS may be
used; beyond that the same code runs on int64. Three forms: pointwise (a matrix product), general (im2col in row blocks
that stay in the cache), depthwise (shifted multiply-adds on flat padded planes, in ``depthwise.py``).
"""

from __future__ import annotations

import numpy as np

from npudsl.machine.bounds import accumulator_bound
from npudsl.machine.kernels.context import Array, Kernel, LayerContext
from npudsl.machine.kernels.depthwise import depthwise_kernel
from npudsl.machine.kernels.window import Window, convolution_window, padded_planes, working_type
from npudsl.numerics.fast_requantize import Requantizer

BLOCK_ELEMENTS = 1 << 18
"""Elements of one working matrix: 1 MiB in float32."""


def build_conv(context: LayerContext) -> Kernel:
    """``conv``: R(sum (x - z)(w - z_w) + bias), padding contributes nothing."""
    codes = context.constant("weight")
    zero_point = context.attribute("weight_zero_point")
    bias = context.constant("bias") if "bias" in context.layer.constants else None
    bound = accumulator_bound(codes, zero_point, context.input)
    dtype = working_type(bound)
    weights = codes.astype(dtype) - np.dtype(dtype).type(zero_point)
    requantizer = context.requantizer(0, accumulator_bound(codes, zero_point, context.input, bias), bias)
    window = convolution_window(context, codes.shape)
    group = context.attribute("group")
    if codes.shape[1] == 1 and group > 1:
        planes = depthwise_kernel(weights, context.input.zero_point, window, requantizer, group)
    elif window.is_pointwise and group == 1:
        planes = _Pointwise(weights, context.input.zero_point, window, requantizer).run
    else:
        planes = _General(weights, context.input.zero_point, window, requantizer, group).run
    output_shape = context.output.shape
    channels = context.input.shape[1]

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        images = x.reshape(-1, channels, *window.size)
        out = np.empty((images.shape[0], codes.shape[0], *window.output), dtype=context.storage)
        for image, result in zip(images, out, strict=True):
            planes(image, result)
        return [out.reshape(x.shape[0], *output_shape)]

    return run


class _Pointwise:
    """A 1x1 convolution: weights (O, I) times columns of pixels."""

    def __init__(self, weights: Array, zero_point: int, window: Window, requantizer: Requantizer) -> None:
        self.weights = np.ascontiguousarray(weights[:, :, 0, 0])
        self.zero_point = zero_point
        self.strides = window.strides
        self.requantizer = requantizer

    def run(self, image: Array, out: Array) -> None:
        """One image (I, H, W) into ``out`` (O, OH, OW)."""
        rows, columns = self.strides
        picked = image if self.strides == (1, 1) else image[:, ::rows, ::columns]
        pixels = picked.reshape(image.shape[0], -1)
        codes = out.reshape(out.shape[0], -1)
        step = max(64, BLOCK_ELEMENTS // sum(self.weights.shape))
        for start in range(0, pixels.shape[1], step):
            block = pixels[:, start : start + step].astype(self.weights.dtype)
            if self.zero_point:
                block -= self.weights.dtype.type(self.zero_point)
            self.requantizer(self.weights @ block, codes[:, start : start + step])


class _General:
    """Any convolution: im2col over blocks of output rows, then a matrix product per group."""

    def __init__(self, weights: Array, zero_point: int, window: Window, requantizer: Requantizer, group: int) -> None:
        self.weights = weights.reshape(group, weights.shape[0] // group, -1)
        self.zero_point = zero_point
        self.window = window
        self.requantizer = requantizer
        self.channels = weights.shape[1]

    def run(self, image: Array, out: Array) -> None:
        """One image (I, H, W) into ``out`` (O, OH, OW)."""
        padded = padded_planes(image, self.zero_point, self.window, self.weights.dtype)
        for index, weights in enumerate(self.weights):
            planes = padded[index * self.channels : (index + 1) * self.channels]
            first = index * weights.shape[0]
            self._group(planes, weights, out[first : first + weights.shape[0]], first)

    def _group(self, planes: Array, weights: Array, out: Array, first_channel: int) -> None:
        patches = _patches(planes, self.window)
        height, width = self.window.output
        taps = weights.shape[1]
        codes = out.reshape(out.shape[0], -1)
        rows = max(1, BLOCK_ELEMENTS // (taps * width))
        columns = np.empty((*patches.shape[:3], min(rows, height), width), dtype=planes.dtype)
        for row in range(0, height, rows):
            count = min(rows, height - row)
            block = columns if count == columns.shape[3] else np.empty((*patches.shape[:3], count, width), planes.dtype)
            np.copyto(block, patches[:, :, :, row : row + count])
            sums = weights @ block.reshape(taps, count * width)
            self.requantizer(sums, codes[:, row * width : (row + count) * width], first_channel)


def _patches(planes: Array, window: Window) -> Array:
    """A view (C, kh, kw, OH, OW) of padded planes: element [c, i, j] is the plane that tap (i, j) reads."""
    channel, row, column = planes.strides
    return np.lib.stride_tricks.as_strided(
        planes,
        (planes.shape[0], *window.kernel, *window.output),
        (
            channel,
            row * window.dilations[0],
            column * window.dilations[1],
            row * window.strides[0],
            column * window.strides[1],
        ),
        writeable=False,
    )
