"""Affine quantization: scale and zero point from a range, codes from reals and back, per-channel weights, bias.

real = (code - zero_point) * scale. The equations are numbered in docs/numerics.md (eq. 1 to 9); everything is computed
in float64 and rounded half to even. Rejected: multiplying by 1 / scale (differs from the division in the last place)
and float32 scales (a table written as decimal text must give one and the same scale everywhere).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npudsl.numerics.types import ElementType, element_type

SMALLEST_SCALE = 2.0**-126
"""A scale below the smallest normal float32 is no scale: targets keep scales in float32 and flush it to zero."""

DEGENERATE_SCALE = 1.0
"""Scale of a range, tensor or channel that holds only zeros: any scale represents it, 1.0 keeps the products finite."""

BIAS_LIMIT = 2**30
"""Largest bias code that ``scales_for_bias`` leaves: half of int32, so that the products have the other half."""


def round_to_digits(value: float, digits: int) -> float:
    """``value`` as it reads after being written with ``digits`` significant decimal digits (eq. 1)."""
    return float(f"{value:.{digits}g}")


def significant_digits(type_name: str) -> int:
    """How many digits a range of this element type is written with: 6, and 8 for 16-bit types."""
    return 8 if element_type(type_name).bits > 8 else 6


def range_with_zero(low: float, high: float) -> tuple[float, float]:
    """The range extended to contain 0, so that zero has a code of its own (eq. 2).

    Raises ValueError for a range that is not finite or has its ends swapped.
    """
    if not (math.isfinite(low) and math.isfinite(high) and math.isfinite(high - low)):
        raise ValueError(f"range {low} .. {high} is not finite")
    if low > high:
        raise ValueError(f"range {low} .. {high} has its ends swapped")
    return min(low, 0.0), max(high, 0.0)


def affine_parameters(low: float, high: float, type_name: str, narrow_range: bool = False) -> tuple[float, int]:
    """Scale and zero point of the asymmetric range ``low`` .. ``high`` (eq. 3).

    ``narrow_range`` leaves out the lowest code (TensorFlow's rule for weights). A range of zeros only gets scale 1.0
    and the lowest code as zero point, as Acuity's tables have it.
    """
    low, high = range_with_zero(low, high)
    code_low, code_high = code_limits(type_name, narrow_range)
    scale = (high - low) / (code_high - code_low)
    if scale < SMALLEST_SCALE:
        return DEGENERATE_SCALE, code_low
    zero_point = round(code_low - low / scale)
    return scale, min(max(zero_point, code_low), code_high)


def symmetric_parameters(low: float, high: float, type_name: str) -> tuple[float, int]:
    """Scale and zero point of a symmetric range: max(|low|, |high|) is the highest code (eq. 4).

    Signed types have zero point 0, ``u8`` has 128.
    """
    low, high = range_with_zero(low, high)
    element = integer_type(type_name)
    zero_point = 0 if element.minimum < 0 else 1 << (element.bits - 1)
    scale = max(-low, high) / (element.maximum - zero_point)
    return (scale if scale >= SMALLEST_SCALE else DEGENERATE_SCALE), zero_point


def channel_scales(weights: NDArray[Any], axis: int = 0, type_name: str = "i8") -> NDArray[np.float64]:
    """Scales of per-channel symmetric weights: max|w| / 127 of every slice along ``axis`` (eq. 5).

    A channel of zeros gets scale 1.0: its codes are 0 under any scale, and a scale of 0 would make the bias scale and
    the multiplier of the channel meaningless.
    """
    values = np.asarray(weights, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("weights are not finite")
    others = tuple(index for index in range(values.ndim) if index != axis % values.ndim)
    scales: NDArray[np.float64] = np.abs(values).max(axis=others) / integer_type(type_name).maximum
    return np.where(scales < SMALLEST_SCALE, DEGENERATE_SCALE, scales)


def scales_for_bias(scales: NDArray[np.float64], bias: NDArray[Any], input_scale: float) -> NDArray[np.float64]:
    """Weight scales raised where the bias would not fit int32: a channel of tiny weights with a large bias (eq. 6).

    Such channels are what batch normalization leaves of a dead channel; their weights become coarser, their bias fits.
    ``scales`` has one entry per output channel, or one for all.
    """
    needed = np.abs(np.asarray(bias, dtype=np.float64)) / (BIAS_LIMIT * input_scale)
    if scales.size == 1 and needed.size:
        needed = needed.max(keepdims=True)
    return np.maximum(scales, needed) if needed.size else scales


def quantize(
    values: ArrayLike,
    scale: float | ArrayLike,
    zero_point: int,
    type_name: str,
    axis: int | None = None,
    narrow_range: bool = False,
) -> NDArray[Any]:
    """Codes of real values: clamp(round_half_even(value / scale) + zero_point) in the type's storage (eq. 7).

    ``scale`` is one number, or one per slice along ``axis``. Infinities saturate; NaN raises ValueError.
    """
    reals = np.asarray(values, dtype=np.float64)
    steps = reals / _along(scale, reals.ndim, axis)
    return codes_of_steps(steps, zero_point, *code_limits(type_name, narrow_range), element_type(type_name).storage)


def codes_of_steps(
    steps: NDArray[np.floating[Any]], zero_point: int, low: int, high: int, storage: str
) -> NDArray[Any]:
    """Codes clamp(round_half_even(step) + zero_point, low, high) of values divided by their scale (eq. 7)."""
    if np.isnan(steps).any():
        raise ValueError("a value is not a number and has no code")
    codes: NDArray[Any] = np.clip(np.rint(steps) + zero_point, low, high).astype(storage)
    return codes


def dequantize(
    codes: NDArray[Any], scale: float | ArrayLike, zero_point: int, axis: int | None = None
) -> NDArray[np.float64]:
    """Reals of codes: (code - zero_point) * scale in float64 (eq. 8)."""
    reals = np.asarray(codes, dtype=np.float64)
    result: NDArray[np.float64] = (reals - zero_point) * _along(scale, reals.ndim, axis)
    return result


def bias_scales(input_scale: float, weight_scales: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale of the bias: input scale times weight scale, one per output channel or one for all (eq. 9)."""
    return input_scale * np.asarray(weight_scales, dtype=np.float64)


def quantize_bias(
    bias: ArrayLike, input_scale: float, weight_scales: Sequence[float] | NDArray[np.float64], bits: int = 32
) -> NDArray[Any]:
    """Bias codes round_half_even(bias / (s_in * s_w)) as int32, or int64 for 16-bit layers (eq. 9).

    Raises ValueError naming the channel when a code does not fit (see ``scales_for_bias``).
    """
    codes = np.rint(np.asarray(bias, dtype=np.float64) / bias_scales(input_scale, weight_scales))
    limit = 2.0 ** (bits - 1)
    outside = np.flatnonzero(~(np.abs(codes) < limit))
    if outside.size:
        channel = int(outside[0])
        raise ValueError(f"bias {channel} has code {codes.flat[channel]:.6g}, which does not fit int{bits}")
    return codes.astype(np.int32 if bits == 32 else np.int64)


def code_limits(type_name: str, narrow_range: bool = False) -> tuple[int, int]:
    """Lowest and highest code of an integer type; ``narrow_range`` leaves out the lowest."""
    element = integer_type(type_name)
    return element.minimum + (1 if narrow_range else 0), element.maximum


def integer_type(type_name: str) -> ElementType:
    """The element type called ``type_name``; raises ValueError when it is a float type."""
    element = element_type(type_name)
    if not element.is_integer:
        raise ValueError(f"{type_name} is not an integer type")
    return element


def _along(scale: float | ArrayLike, rank: int, axis: int | None) -> NDArray[np.float64]:
    """``scale`` shaped to broadcast along ``axis`` of an array of ``rank`` dimensions."""
    scales = np.asarray(scale, dtype=np.float64)
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise ValueError("a scale is not a positive number")
    if axis is None or scales.ndim == 0:
        return scales
    shape = [1] * rank
    shape[axis] = -1
    return scales.reshape(shape)
