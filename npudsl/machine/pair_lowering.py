"""From scales to integers for operations that work on pairs of values beyond one rounded sum or product.

Division, minimum and maximum, PRelu with a slope per channel, the logarithm of a softmax, and the addition that rounds
each operand by itself. Same rules as ``lowering.py``: pure functions of quantizations and a profile.
"""

from __future__ import annotations

from dataclasses import replace

from npudsl.artifacts.quantized_model import Requantization, TensorQuantization
from npudsl.ir.groups import Clamp
from npudsl.machine.lowering import lower_mul, lower_rescale, output_bounds, span
from npudsl.numerics.affine import integer_type
from npudsl.numerics.profiles import profile_named, rounding_of
from npudsl.numerics.requantize import common_multipliers, cut, multiplier, real_multiplier, width_for

QUOTIENT_BITS = 62
"""Numerator and denominator of ``div`` stay below 2**62, so that twice a remainder fits 64 bits."""

LONGEST_QUOTIENT_SHIFT = 40
"""The denominator is shifted left by at most this many bits; a smaller multiplier loses bits instead."""

OPERAND_SHIFT = 20
"""Fraction bits that TensorFlow Lite gives the operands of an 8-bit addition before it rounds them."""

LOGARITHM_BITS = 16
"""Fraction bits of the integer logarithm."""

FULL_WIDTH = "exact"
"""The profile whose multipliers lose nothing."""

NO_BOUNDS = (-(2**31) + 1, 2**31 - 1)
"""What is rounded on the way to a sum is not clamped."""


def lower_div(
    profile: str,
    first: TensorQuantization,
    second: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
) -> Requantization:
    """Multiplier and shift of ``div``: s_a / (s_b s_out) (eq. 33). Raises ValueError when a quotient needs more bits
    than there are."""
    lengths = (first.fractional_length, second.fractional_length, output.fractional_length)
    if lengths[0] is not None and lengths[1] is not None and lengths[2] is not None:
        factor, shift = 1, lengths[0] - lengths[1] - lengths[2]
    else:
        real = first.scale / (second.scale * output.scale)
        factor, shift = multiplier(real, profile)
        if shift > LONGEST_QUOTIENT_SHIFT:
            factor, shift = cut(real, profile_named(profile), LONGEST_QUOTIENT_SHIFT), LONGEST_QUOTIENT_SHIFT
    numerator = span(first).bit_length() + factor.bit_length() + max(-shift, 0)
    denominator = span(second).bit_length() + max(shift, 0)
    if max(numerator, denominator) > QUOTIENT_BITS:
        raise ValueError(f"its quotient needs {max(numerator, denominator)} bits, and there are {QUOTIENT_BITS}")
    low, high = output_bounds(output, clamp)
    rounding = rounding_of(profile, "div")
    return Requantization((factor,), (shift,), rounding, output.zero_point, low, high)


def lower_extreme(
    profile: str,
    first: TensorQuantization,
    second: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
) -> tuple[Requantization, Requantization]:
    """The requantizations of both operands of ``minimum`` and ``maximum`` into the output's codes (eq. 34)."""
    return (
        lower_rescale(profile, first, output, clamp, operation="maximum"),
        lower_rescale(profile, second, output, clamp, operation="maximum"),
    )


def lower_prelu(
    profile: str, input: TensorQuantization, slope: TensorQuantization, output: TensorQuantization
) -> tuple[Requantization, Requantization]:
    """The requantizations of ``prelu``: of x where it is not negative, and of x times the slope (eq. 35)."""
    return (
        lower_rescale(profile, input, output, operation="prelu"),
        lower_mul(profile, input, slope, output, operation="prelu"),
    )


def lower_log_softmax(
    profile: str, input: TensorQuantization, output: TensorQuantization
) -> tuple[Requantization, Requantization]:
    """The two multipliers of ``log_softmax`` with one shift: of code distances and of the logarithm (eq. 36).

    They have the full width under every profile: under the shift that the larger one needs, the smaller would lose what
    a narrow multiplier has.
    """
    element = integer_type(input.type)
    reals = [input.scale / output.scale, 2.0**-LOGARITHM_BITS / output.scale]
    largest = (element.maximum - element.minimum) + (64 << LOGARITHM_BITS)
    factors, shift = common_multipliers(reals, FULL_WIDTH, width_for(largest))
    low, high = output_bounds(output)
    rounding = rounding_of(profile, "log_softmax")
    first, second = (Requantization((factor,), (shift,), rounding, output.zero_point, low, high) for factor in factors)
    return first, second


def rounds_operands(profile: str, *tensors: TensorQuantization) -> bool:
    """Whether an addition of ``tensors`` (operands and output) rounds every operand by itself."""
    eight_bits = all(integer_type(tensor.type).bits == 8 for tensor in tensors)
    fixed_point = all(tensor.fractional_length is not None for tensor in tensors)
    return profile == "tflite" and eight_bits and not fixed_point


def lower_rounded_add(
    profile: str,
    first: TensorQuantization,
    second: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
) -> tuple[Requantization, Requantization, Requantization]:
    """The requantizations of ``rounded_add``: of each operand with 20 more bits, and of their sum (eq. 37)."""
    twice_largest = 2.0 * max(real_multiplier(profile, item.scale, 1.0, 1.0) for item in (first, second))
    rounding = profile_named(profile).rounding
    operands = [
        Requantization(
            *_pair(real_multiplier(profile, item.scale, 1.0, 1.0) / twice_largest, profile), rounding, 0, *NO_BOUNDS
        )
        for item in (first, second)
    ]
    low, high = output_bounds(output, clamp)
    real = twice_largest / ((1 << OPERAND_SHIFT) * real_multiplier(profile, output.scale, 1.0, 1.0))
    total = Requantization(*_pair(real, profile), rounding, output.zero_point, low, high)
    return operands[0], replace(operands[1]), total


def _pair(real: float, profile: str) -> tuple[tuple[int], tuple[int]]:
    factor, shift = multiplier(real, profile)
    return (factor,), (shift,)
