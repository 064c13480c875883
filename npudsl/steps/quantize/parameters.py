"""From a written range to scale, zero point and fractional length: the one way for activations, weights and converters.

Both ends are rounded to the digits of the table before anything is computed from them, so the table's text is the
whole truth about a tensor.
"""

from __future__ import annotations

from dataclasses import dataclass

from npudsl.numerics.affine import (
    affine_parameters,
    range_with_zero,
    round_to_digits,
    significant_digits,
    symmetric_parameters,
)
from npudsl.numerics.dfp import dfp_scale, fractional_length_of_range


@dataclass(frozen=True)
class Parameters:
    """real = (code - zero_point) * scale; ``fractional_length`` only for dynamic fixed point, where scale = 2**-fl."""

    scale: float
    zero_point: int = 0
    fractional_length: int | None = None


def written_range(low: float, high: float, type_name: str) -> tuple[float, float]:
    """The range extended to contain 0 and rounded as the table writes it."""
    digits = significant_digits(type_name)
    low, high = range_with_zero(low, high)
    return round_to_digits(low, digits) + 0.0, round_to_digits(high, digits) + 0.0


def parameters_of(low: float, high: float, type_name: str, scheme: str) -> Parameters:
    """Scale, zero point and fractional length of a written range; raises KeyError for a scheme without a range."""
    return {"asym": _affine, "sym": _symmetric, "dfp": _fixed_point}[scheme](low, high, type_name)


def _affine(low: float, high: float, type_name: str) -> Parameters:
    return Parameters(*affine_parameters(low, high, type_name))


def _symmetric(low: float, high: float, type_name: str) -> Parameters:
    return Parameters(*symmetric_parameters(low, high, type_name))


def _fixed_point(low: float, high: float, type_name: str) -> Parameters:
    length = fractional_length_of_range(low, high, type_name)
    return Parameters(dfp_scale(length), 0, length)
