"""The integers of a layer with weights: bias codes, accumulator bound and multipliers, from scales, codes and bias.

One place for both who writes a layer first (``emit_weighted``) and who writes it again with other codes or another bias
(``correct_segment``), so a corrected layer obeys the same limits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.quantized_model import Requantization, TensorQuantization, WeightQuantization
from npudsl.diagnostics import Problem
from npudsl.ir.groups import Clamp
from npudsl.machine.bounds import accumulator_bound
from npudsl.machine.lowering import lower_weighted
from npudsl.numerics.affine import quantize_bias, scales_for_bias
from npudsl.numerics.types import element_type

ACCUMULATOR_BITS = {32: 2**31, 64: 2**63}

Recode = Callable[[NDArray[np.float64]], NDArray[Any]]
"""Codes of the weights under other per-channel scales."""


@dataclass(frozen=True)
class Subject:
    """What problems are about: the program value, the layer and its operator."""

    program: str
    layer: str
    op: str


@dataclass(frozen=True)
class WeightedForm:
    """A weighted layer in integers. ``recoded`` are new codes where scales had to grow for the bias, else None."""

    weight: WeightQuantization
    recoded: NDArray[Any] | None
    bias: NDArray[Any]
    requantize: Requantization


def weighted_form(
    subject: Subject,
    profile: str,
    operation: str,
    input_: TensorQuantization,
    weight: WeightQuantization,
    codes: NDArray[Any],
    bias: NDArray[np.float64],
    output: TensorQuantization,
    clamp: Clamp | None,
    recode: Recode,
) -> WeightedForm:
    """The integers of ``conv`` or ``linear``; ``bias`` is real, (channels,). Raises ``Problem`` E0611."""
    bits = accumulator_bits(input_, weight)
    recoded = None
    widened = _scales_that_hold(bias, input_, weight, bits)
    if widened is not None:
        weight = replace(weight, scales=tuple(float(scale) for scale in widened))
        codes = recoded = recode(widened)
    bias_codes = _bias_codes(subject, bias, input_, weight, bits)
    largest = accumulator_bound(codes, weight.zero_point, input_, bias_codes)
    _check_accumulator(subject, largest, bits)
    requantize = lower_weighted(profile, operation, input_, weight, output, clamp, largest=max(largest, 1))
    return WeightedForm(weight, recoded, bias_codes, requantize)


def accumulator_bits(input_: TensorQuantization, weight: WeightQuantization) -> int:
    """32 in 8-bit layers, 64 as soon as input or weights have 16 bits."""
    wide = element_type(input_.type).bits > 8 or element_type(weight.type).bits > 8
    return 64 if wide else 32


def _scales_that_hold(
    bias: NDArray[np.float64], input_: TensorQuantization, weight: WeightQuantization, bits: int
) -> NDArray[np.float64] | None:
    """Per-channel scales under which every bias fits int32, when those of the weights do not; else None.

    A channel that batch normalization left with tiny weights and a bias is such a case: its weights count for nothing.
    """
    if weight.scheme != "perchannel" or bits != 32:
        return None
    scales = np.asarray(weight.scales)
    widened = scales_for_bias(scales, bias, input_.scale)
    return None if np.array_equal(widened, scales) else widened


def _bias_codes(
    subject: Subject, bias: NDArray[np.float64], input_: TensorQuantization, weight: WeightQuantization, bits: int
) -> NDArray[Any]:
    try:
        return quantize_bias(bias, input_.scale, weight.scales, bits)
    except ValueError as error:
        raise Problem(
            "E0611",
            f"layer `{subject.layer}` ({subject.op}): {error}",
            subject=subject.program,
            helps=(
                f'give the layer more room: `layer "{subject.layer}" type=i16`',
                "or a wider range of its input or weights, which makes the steps of the bias larger",
            ),
        ) from None


def _check_accumulator(subject: Subject, largest: int, bits: int) -> None:
    if largest < ACCUMULATOR_BITS[bits]:
        return
    raise Problem(
        "E0611",
        f"layer `{subject.layer}` ({subject.op}): the sum can reach {largest}, which does not fit int{bits}",
        subject=subject.program,
        helps=(
            f'give the layer a wider sum: `layer "{subject.layer}" type=i16`'
            if bits == 32
            else f'keep the layer in float: `layer "{subject.layer}" skip`',
        ),
    )
