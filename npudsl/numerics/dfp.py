"""Dynamic fixed point: real = code * 2**-fl, with a fractional length ``fl`` per tensor that may be negative.

The two published clamp rules differ and are a parameter: ``full`` uses the whole type (ovxlib), ``symmetric`` leaves
out the lowest code (RKNN FAQ 1.9). Equations 10 to 12 of docs/numerics.md.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from npudsl.numerics.affine import code_limits, codes_of_steps, integer_type

DfpClamp = Literal["full", "symmetric"]


def fractional_length(largest: float, bits: int) -> int:
    """bits - 1 - ceil(log2(largest)) for ``largest`` = max|x| (eq. 10); 0 for a tensor of zeros.

    Exact: the exponent is taken from the number, not from a rounded logarithm. A power of two keeps the vendors' rule
    and has no headroom: 1.0 in i8 gives 7, and 1.0 itself saturates at 127.
    """
    if not math.isfinite(largest) or largest < 0:
        raise ValueError(f"largest magnitude {largest} is not a finite magnitude")
    if largest == 0:
        return 0
    mantissa, exponent = math.frexp(largest)
    ceiling = exponent - 1 if mantissa == 0.5 else exponent
    return bits - 1 - ceiling


def fractional_length_of_range(low: float, high: float, type_name: str) -> int:
    """The fractional length that holds ``low`` .. ``high`` (eq. 10)."""
    return fractional_length(max(abs(low), abs(high)), integer_type(type_name).bits)


def dfp_scale(fractional_length: int) -> float:
    """2**-fl, the scale that makes a fixed-point tensor an affine one with zero point 0 (exact)."""
    return math.ldexp(1.0, -fractional_length)


def dfp_limits(type_name: str, clamp: DfpClamp) -> tuple[int, int]:
    """Lowest and highest code under a clamp rule (eq. 12)."""
    element = integer_type(type_name)
    if element.minimum == 0:
        raise ValueError(f"dynamic fixed point is signed; {type_name} is not")
    return code_limits(type_name, narrow_range=clamp == "symmetric")


def quantize_dfp(values: ArrayLike, fractional_length: int, type_name: str, clamp: DfpClamp = "full") -> NDArray[Any]:
    """Codes clamp(round_half_even(value * 2**fl)) in the type's storage (eq. 11)."""
    low, high = dfp_limits(type_name, clamp)
    steps = np.ldexp(np.asarray(values, dtype=np.float64), fractional_length)
    return codes_of_steps(steps, 0, low, high, integer_type(type_name).storage)


def dequantize_dfp(codes: NDArray[Any], fractional_length: int) -> NDArray[np.float64]:
    """Reals code * 2**-fl, exact in float64 (eq. 11)."""
    return np.ldexp(np.asarray(codes, dtype=np.float64), -fractional_length)
