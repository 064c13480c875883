"""Integer transposed convolution: every input value adds its weighted kernel to the output.

A matrix product gives all products of a channel sum per kernel tap, then each tap is added where it belongs. Every
partial sum is within the accumulator's bound (eq. 30), so floating point is exact wherever the bound says so.
"""

from __future__ import annotations

import numpy as np

from npudsl.machine.bounds import accumulator_bound
from npudsl.machine.kernels.context import Array, Kernel, LayerContext
from npudsl.machine.kernels.window import Window, convolution_window, working_type


def build_conv_transpose(context: LayerContext) -> Kernel:
    """``conv_transpose``: R(sum (x - z)(w - z_w) + bias) over the input values whose kernel covers a position."""
    codes = context.constant("weight")
    weight_zero_point = context.attribute("weight_zero_point")
    bias = context.constant("bias") if "bias" in context.layer.constants else None
    dtype = np.dtype(working_type(accumulator_bound(codes, weight_zero_point, context.input)))
    requantizer = context.requantizer(0, accumulator_bound(codes, weight_zero_point, context.input, bias), bias)
    window = convolution_window(context, codes.shape)
    group = context.attribute("group")
    matrices = _by_tap(codes.astype(dtype) - dtype.type(weight_zero_point), group)
    channels = context.input.shape[1]

    def run(values: list[Array]) -> list[Array]:
        (x,) = values
        images = x.reshape(-1, group, channels // group, window.size[0] * window.size[1])
        out = np.empty((images.shape[0], codes.shape[0], *window.output), dtype=context.storage)
        for image, result in zip(images, out, strict=True):
            products = matrices @ (image.astype(dtype) - dtype.type(context.input.zero_point))
            sums = _scattered(products.reshape(codes.shape[0], *window.kernel, *window.size), window)
            requantizer(sums.reshape(codes.shape[0], -1), result.reshape(codes.shape[0], -1))
        return [out.reshape(x.shape[0], *context.output.shape)]

    return run


def _by_tap(weights: Array, group: int) -> Array:
    """(O, I/group, kh, kw) as one matrix a group: (group, O/group * kh * kw, I/group)."""
    outputs, inputs, height, width = weights.shape
    split = weights.reshape(group, outputs // group, inputs, height, width)
    return np.ascontiguousarray(split.transpose(0, 1, 3, 4, 2)).reshape(group, -1, inputs)


def _scattered(products: Array, window: Window) -> Array:
    """The products (O, kh, kw, H, W) of every tap added up at their places: (O, OH, OW)."""
    top, left = window.pads[:2]
    (down, along), (height, width) = window.strides, window.size
    reach = [
        (window.size[axis] - 1) * window.strides[axis] + window.dilations[axis] * (window.kernel[axis] - 1) + 1
        for axis in (0, 1)
    ]
    full = np.zeros(
        (products.shape[0], max(reach[0], top + window.output[0]), max(reach[1], left + window.output[1])),
        products.dtype,
    )
    for row in range(window.kernel[0]):
        for column in range(window.kernel[1]):
            first, second = row * window.dilations[0], column * window.dilations[1]
            full[
                :, first : first + (height - 1) * down + 1 : down, second : second + (width - 1) * along + 1 : along
            ] += products[:, row, column]
    return np.ascontiguousarray(full[:, top : top + window.output[0], left : left + window.output[1]])
