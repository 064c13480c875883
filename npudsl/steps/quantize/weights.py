"""Codes of weights and constant operands.

Asymmetric types use the whole range of codes, symmetric ones leave the lowest code out, so that w and -w have the same
magnitude of code. A per-channel scale is max|w| / 127 of its channel, or what the chosen algorithm says of the channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.diagnostics import Problem
from npudsl.numerics.affine import DEGENERATE_SCALE, SMALLEST_SCALE, channel_scales, integer_type, quantize
from npudsl.numerics.dfp import DfpClamp, quantize_dfp
from npudsl.numerics.ranges_counters import Observation
from npudsl.steps.quantize.parameters import parameters_of
from npudsl.steps.quantize.ranges import chosen_range, written_range_of
from npudsl.steps.quantize.settings import Settings

WHOLE_CHANNEL = frozenset({"minmax", "max_abs"})
"""Algorithms that cut nothing off: the per-channel scale is that of the largest magnitude."""


@dataclass(frozen=True)
class QuantizedConstant:
    """Codes and how to read them; ``low`` and ``high`` are None for a per-channel constant."""

    codes: NDArray[Any]
    scales: tuple[float, ...]
    zero_point: int = 0
    fractional_length: int | None = None
    low: float | None = None
    high: float | None = None


def quantize_constant(
    name: str,
    values: NDArray[Any],
    settings: Settings,
    saturation: DfpClamp = "full",
    subject: str | None = None,
) -> QuantizedConstant:
    """The codes of a constant (axis 0: output channel) under its settings.

    Raises ``Problem`` E0409 for values that are not finite.
    """
    if not np.isfinite(values).all():
        raise Problem(
            "E0409",
            f"the weights `{name}` hold values that are not finite",
            subject="model.file",
            helps=("export the model again from a checkpoint without NaN and infinity",),
        )
    if settings.scheme == "perchannel":
        return _per_channel(values, settings)
    low, high = written_range_of(name, settings, Observation.of(values) if values.size else None, subject)
    parameters = parameters_of(low, high, settings.type, settings.scheme)
    length = parameters.fractional_length
    if length is not None:
        codes = quantize_dfp(values, length, settings.type, saturation)
    else:
        narrow = settings.scheme == "sym"
        codes = quantize(values, parameters.scale, parameters.zero_point, settings.type, narrow_range=narrow)
    return QuantizedConstant(codes, (parameters.scale,), parameters.zero_point, length, low, high)


def _per_channel(values: NDArray[Any], settings: Settings) -> QuantizedConstant:
    if settings.algorithm in WHOLE_CHANNEL and settings.low is None and settings.high is None:
        scales = channel_scales(values, 0, settings.type)
    else:
        scales = np.array([_channel_scale(channel, settings) for channel in values])
    return QuantizedConstant(codes_per_channel(values, scales, settings.type), tuple(float(scale) for scale in scales))


def codes_per_channel(values: NDArray[Any], scales: NDArray[np.float64], type_name: str) -> NDArray[Any]:
    """Symmetric codes with one scale per slice of axis 0."""
    return quantize(values, scales, 0, type_name, axis=0, narrow_range=True)


def _channel_scale(channel: NDArray[Any], settings: Settings) -> float:
    low, high = chosen_range(settings, Observation.of(channel))
    low = low if settings.low is None else settings.low
    high = high if settings.high is None else settings.high
    scale = max(abs(low), abs(high)) / integer_type(settings.type).maximum
    return scale if scale >= SMALLEST_SCALE else DEGENERATE_SCALE
