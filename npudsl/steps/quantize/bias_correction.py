"""The bias under which a layer's mean output, channel by channel, is that of the float model.

Rounded weights and rounded inputs shift the mean of a layer's output; with one scale for weights of very different
channels the shift is most of the error. The output is clamped by its type and by a fused activation, so the shift of
the bias that mends it is not the shift of the mean: a clamped value does not move. Newton's step divides by the share
of values that do; a few rounds find the bias, and the best one seen is kept, so a channel never ends further off than
it was.

Rejected: matching the mean before the activation. On MobileNetV2 1.0 in u8 with one scale per tensor, calibrated on 100
photos and measured on 200 others, that gives 60 % agreement with float, matching the output 75 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ROUNDS = 4
LEAST_MOVING = 0.05
"""A channel that is clamped almost everywhere is moved as if this share of its values were not."""

CLOSE_ENOUGH = 1 / 64
"""Of an output step: a mean this close is right."""


@dataclass(frozen=True)
class ChannelState:
    """Of an output: mean of each channel, and the share of its values that are not clamped."""

    means: Array
    moving: Array


def channel_state(codes: Array, axis: int, scale: float, zero_point: int, low: int, high: int) -> ChannelState:
    """The state of integer codes that requantization bounds to ``low`` .. ``high``."""
    others = tuple(index for index in range(codes.ndim) if index != axis % codes.ndim)
    count = codes.size // codes.shape[axis]
    means = (codes.sum(axis=others, dtype=np.int64) / count - zero_point) * scale
    moving = ((codes > low) & (codes < high)).sum(axis=others) / count
    return ChannelState(means, moving)


def corrected_shift(target: Array, output: Callable[[Array], ChannelState], step: float) -> Array:
    """What to add to the bias of each channel; ``output`` runs the layer with a shift. ``step`` is the output's
    scale."""
    shift = np.zeros(target.shape)
    best, least = shift, np.full(target.shape, np.inf)
    for round_ in range(ROUNDS + 1):
        state = output(shift)
        error = target - state.means
        better = np.abs(error) < least
        best, least = np.where(better, shift, best), np.where(better, np.abs(error), least)
        if round_ == ROUNDS or (least <= CLOSE_ENOUGH * step).all():
            break
        shift = np.where(least <= CLOSE_ENOUGH * step, best, shift + error / np.maximum(state.moving, LEAST_MOVING))
    return best
