"""Between integers and floats: the ``quantize`` and ``dequantize`` layers."""

from __future__ import annotations

import numpy as np

from npudsl.machine.kernels.context import Array, Kernel, LayerContext
from npudsl.numerics.affine import codes_of_steps, dequantize
from npudsl.numerics.types import element_type


def build_quantize(context: LayerContext) -> Kernel:
    """``quantize``: clamp(round_half_even(x / scale) + z) (eq. 7b)."""
    scale = context.attribute("scale")
    target = context.layer.requantize[0]
    return lambda values: [
        quantize_values(values[0], scale, target.zero_point, target.low, target.high, context.storage)
    ]


def build_dequantize(context: LayerContext) -> Kernel:
    """``dequantize``: (x - z) * scale rounded to float32 (eq. 8)."""
    scale, element = context.attribute("scale"), element_type(context.input.type)
    codes = np.arange(element.minimum, element.maximum + 1)
    reals = dequantize(codes, scale, context.input.zero_point).astype(np.float32)
    return lambda values: [np.take(reals, values[0].astype(np.intp) - element.minimum)]


def quantize_values(values: Array, scale: float, zero_point: int, low: int, high: int, storage: str) -> Array:
    """Codes of float values with given bounds, divided in float32 (eq. 7b); NaN raises ValueError."""
    steps = np.asarray(values, dtype=np.float32) / np.float32(scale)
    return codes_of_steps(steps, zero_point, low, high, storage)
