"""From scales to integers: the requantization of every operation of the integer program.

Pure functions of tensor quantizations and a profile; the quantize step puts their results into the program, so the
simulator and the exported code read the same numbers. Fixed-point tensors meet as pure shifts (multiplier 1); equal
scales meet as the identity under every profile, whatever the profile does to multipliers. Lookup tables and the softmax
exponential are in ``tables.py``, window and divisor arithmetic in ``pooling.py``, resize indices in ``resampling.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from npudsl.artifacts.quantized_model import IntegerLayer, Requantization, TensorQuantization, WeightQuantization
from npudsl.ir.groups import Clamp
from npudsl.numerics.affine import code_limits, integer_type
from npudsl.numerics.profiles import rounding_of
from npudsl.numerics.requantize import (
    MAXIMUM_SHIFT,
    MINIMUM_SHIFT,
    common_multipliers,
    multiplier,
    real_multiplier,
    width_for,
)

ACCUMULATOR_LIMIT_8_BIT = 2**31
"""Assumed bound of an 8-bit layer's accumulator with its bias, when the caller gives none: the int32 of the targets."""

INPUT_ZERO_POINT = "input_zero_point"
"""Attribute of a layer whose input's zero point is not the one it takes from the codes."""

RESIZE_WEIGHT_BITS = 11
"""Fraction bits of one interpolation weight of ``resize_linear``; two are multiplied."""

FIXED_POINT_SPREAD = 40
"""Fixed-point operands further apart than this many bits are added by general multipliers."""


def output_bounds(output: TensorQuantization, clamp: Clamp | None = None) -> tuple[int, int]:
    """Lowest and highest output code: the type's limits, narrowed by a fused activation (eq. 24)."""
    low, high = code_limits(output.type, narrow_range=output.saturation == "symmetric")
    if clamp is not None and clamp.low is not None:
        low = min(max(low, _code(clamp.low, output)), high)
    if clamp is not None and clamp.high is not None:
        high = max(min(high, _code(clamp.high, output)), low)
    return low, high


def lower_weighted(
    profile: str,
    operation: str,
    input: TensorQuantization,
    weight: WeightQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
    largest: int | None = None,
) -> Requantization:
    """The requantization of ``conv`` and ``linear``, per tensor or per output channel (eq. 25).

    ``largest`` bounds the accumulator with its bias (``accumulator_bound``); without it 8-bit layers are taken to fit
    int32 and 16-bit layers get the worst case of their types. A wider accumulator gets a narrower multiplier.
    """
    lengths = (input.fractional_length, weight.fractional_length, output.fractional_length)
    if lengths[0] is not None and lengths[1] is not None and lengths[2] is not None:
        pure = _pure_shift(lengths[0] + lengths[1] - lengths[2])
        return _requantization(profile, operation, [pure], output, clamp)
    width = width_for(worst_accumulator(input, weight) if largest is None else largest)
    per_channel = len(weight.scales) > 1
    pairs = [
        multiplier(real_multiplier(profile, input.scale, scale, output.scale, per_channel), profile, width)
        for scale in weight.scales
    ]
    return _requantization(profile, operation, pairs, output, clamp)


def lower_add(
    profile: str,
    first: TensorQuantization,
    second: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
    operation: str = "add",
) -> tuple[Requantization, Requantization]:
    """The two requantizations of ``add`` and ``sub``: one shift, one multiplier each (eq. 26)."""
    lengths = (first.fractional_length, second.fractional_length, output.fractional_length)
    if first.scale == second.scale == output.scale:
        factors, shift = (1, 1), 0
    elif _all_fixed_point(lengths) and abs(first_second := _spread(first, second)) <= FIXED_POINT_SPREAD:
        common = max(_length(first), _length(second))
        factors = (1 << max(-first_second, 0), 1 << max(first_second, 0))
        shift = common - _length(output)
        if not MINIMUM_SHIFT <= shift <= MAXIMUM_SHIFT:
            factors, shift = _general_add(profile, first, second, output)
    else:
        factors, shift = _general_add(profile, first, second, output)
    parts = [_requantization(profile, operation, [(factor, shift)], output, clamp) for factor in factors]
    return parts[0], parts[1]


def lower_mul(
    profile: str,
    first: TensorQuantization,
    second: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
    terms: int = 1,
    operation: str = "mul",
) -> Requantization:
    """The requantization of ``mul``, and of ``matmul`` with ``terms`` products per sum (eq. 25)."""
    if _all_fixed_point((first.fractional_length, second.fractional_length, output.fractional_length)):
        pair = _pure_shift(_length(first) + _length(second) - _length(output))
    else:
        width = width_for(terms * span(first) * span(second))
        real = real_multiplier(profile, first.scale, second.scale, output.scale)
        pair = multiplier(real, profile, width)
    return _requantization(profile, operation, [pair], output, clamp)


def lower_matmul(
    profile: str,
    first: TensorQuantization,
    second: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
) -> Requantization:
    """The requantization of ``matmul`` of two activations (eq. 25)."""
    return lower_mul(profile, first, second, output, clamp, terms=first.shape[-1], operation="matmul")


def lower_rescale(
    profile: str,
    input: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
    operation: str = "rescale",
) -> Requantization:
    """The requantization of ``rescale`` and of one ``concat`` input; the identity for equal scales (eq. 27)."""
    return _requantization(profile, operation, [_ratio(profile, input, output, 1, span(input))], output, clamp)


def lower_concat(
    profile: str, inputs: Sequence[TensorQuantization], output: TensorQuantization
) -> tuple[Requantization, ...]:
    """One requantization per input of ``concat`` (eq. 27)."""
    return tuple(lower_rescale(profile, item, output, operation="concat") for item in inputs)


def lower_average_pool(
    profile: str,
    input: TensorQuantization,
    output: TensorQuantization,
    divisors: Sequence[int],
    clamp: Clamp | None = None,
    operation: str = "average_pool",
) -> tuple[Requantization, ...]:
    """One requantization per distinct divisor, with the divisor folded into the multiplier (eq. 28)."""
    parts = []
    for divisor in divisors:
        pair = _ratio(profile, input, output, divisor, divisor * span(input))
        parts.append(_requantization(profile, operation, [pair], output, clamp))
    return tuple(parts)


def lower_global_average_pool(
    profile: str,
    input: TensorQuantization,
    output: TensorQuantization,
    count: int,
    clamp: Clamp | None = None,
) -> Requantization:
    """The requantization of a mean over ``count`` elements (eq. 28)."""
    return lower_average_pool(profile, input, output, (count,), clamp, operation="global_average_pool")[0]


def lower_reduce_sum(
    profile: str,
    input: TensorQuantization,
    output: TensorQuantization,
    count: int,
    clamp: Clamp | None = None,
) -> Requantization:
    """The requantization of a sum of ``count`` elements (eq. 27)."""
    pair = _ratio(profile, input, output, 1, count * span(input))
    return _requantization(profile, "reduce_sum", [pair], output, clamp)


def lower_resize_linear(
    profile: str,
    input: TensorQuantization,
    output: TensorQuantization,
    clamp: Clamp | None = None,
    bits: int = RESIZE_WEIGHT_BITS,
) -> Requantization:
    """The requantization of ``resize_linear``: s_in / s_out and the ``bits`` of both weights (eq. 29)."""
    weight_bits = 2 * bits
    if input.scale == output.scale:
        pair = (1, weight_bits)
    else:
        real = real_multiplier(profile, input.scale, 1.0, output.scale)
        factor, shift = multiplier(real, profile, width_for(span(input) << weight_bits))
        pair = (factor, shift + weight_bits)
        if pair[1] > MAXIMUM_SHIFT:
            pair = (factor >> (pair[1] - MAXIMUM_SHIFT), MAXIMUM_SHIFT)
    return _requantization(profile, "resize_linear", [pair], output, clamp)


def tensors_as_read(layer: IntegerLayer, tensors: Mapping[str, TensorQuantization]) -> tuple[TensorQuantization, ...]:
    """The inputs of a layer; one that takes codes as they are reads them with the zero point that it says."""
    read = tuple(tensors[name] for name in layer.inputs)
    zero_point = layer.attributes.get(INPUT_ZERO_POINT)
    return read if zero_point is None else tuple(replace(tensor, zero_point=zero_point) for tensor in read)


def rounds_codes(profile: str, input: TensorQuantization, output: TensorQuantization) -> bool:
    """Whether means and interpolations round the codes as they are, not their distance from the zero point (eq. 38)."""
    return profile == "tflite" and input.scale == output.scale and input.zero_point == output.zero_point


def lower_quantize(profile: str, output: TensorQuantization) -> Requantization:
    """Zero point and bounds of ``quantize`` (graph inputs, converters from float)."""
    return _requantization(profile, "quantize", [(1, 0)], output, None)


def span(tensor: TensorQuantization) -> int:
    """max|x - zero_point| over all codes of a tensor, and not 0."""
    element = integer_type(tensor.type)
    return max(element.maximum - tensor.zero_point, tensor.zero_point - element.minimum, 1)


def worst_accumulator(input: TensorQuantization, weight: WeightQuantization) -> int:
    """Bound of the accumulator from types alone: int32 for 8 bit, every product at its largest for 16 bit."""
    element = integer_type(weight.type)
    if element.bits <= 8 and integer_type(input.type).bits <= 8:
        return ACCUMULATOR_LIMIT_8_BIT
    weight_span = max(element.maximum - weight.zero_point, weight.zero_point - element.minimum)
    return 2 * math.prod(weight.shape[1:]) * span(input) * weight_span


def _requantization(
    profile: str,
    operation: str,
    pairs: Sequence[tuple[int, int]],
    output: TensorQuantization,
    clamp: Clamp | None,
) -> Requantization:
    """``pairs`` of multiplier and shift with the profile's rounding and the output's bounds."""
    low, high = output_bounds(output, clamp)
    return Requantization(
        tuple(pair[0] for pair in pairs),
        tuple(pair[1] for pair in pairs),
        rounding_of(profile, operation),
        output.zero_point,
        low,
        high,
    )


def _ratio(
    profile: str, input: TensorQuantization, output: TensorQuantization, divisor: int, largest: int
) -> tuple[int, int]:
    """Multiplier and shift of s_in / (s_out * divisor)."""
    if divisor == 1 and input.scale == output.scale:
        return 1, 0
    if divisor == 1 and _all_fixed_point((input.fractional_length, output.fractional_length)):
        return _pure_shift(_length(input) - _length(output))
    real = real_multiplier(profile, input.scale, 1.0, output.scale) / divisor
    factor, shift = multiplier(real, profile, width_for(largest))
    if input.scale == output.scale and profile == "tflite":
        return -(-(1 << shift) // divisor), shift  # rounded up, so that a tie of the division stays a tie or more
    return factor, shift


def _pure_shift(shift: int) -> tuple[int, int]:
    """Multiplier 1 and ``shift``; nothing is left of a value shifted further than 62."""
    if shift < MINIMUM_SHIFT:
        raise ValueError(f"a left shift of {-shift} is more than the {-MINIMUM_SHIFT} that are possible")
    return (1, shift) if shift <= MAXIMUM_SHIFT else (0, 0)


def _general_add(
    profile: str, first: TensorQuantization, second: TensorQuantization, output: TensorQuantization
) -> tuple[tuple[int, int], int]:
    reals = [real_multiplier(profile, item.scale, 1.0, output.scale) for item in (first, second)]
    factors, shift = common_multipliers(reals, profile, width_for(span(first) + span(second)))
    return (factors[0], factors[1]), shift


def _all_fixed_point(lengths: Sequence[int | None]) -> bool:
    return all(length is not None for length in lengths)


def _length(tensor: TensorQuantization) -> int:
    assert tensor.fractional_length is not None
    return tensor.fractional_length


def _spread(first: TensorQuantization, second: TensorQuantization) -> int:
    return _length(first) - _length(second)


def _code(real: float, output: TensorQuantization) -> int:
    """The code nearest to ``real``, not clamped; an infinite bound is far outside every type."""
    if math.isinf(real):
        return int(math.copysign(2**20, real))
    steps = max(min(real / output.scale, 2.0**20), -(2.0**20))
    return output.zero_point + round(steps)
