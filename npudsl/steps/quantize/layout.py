"""How a constant of the float model is laid out in the integer program, and which function of it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from npudsl.ir.groups import LayerGroup
from npudsl.steps.quantize.structure import Structure

if TYPE_CHECKING:
    import numpy as np

AS_IS = "as_is"
TRANSPOSED = "transposed"
"""A MatMul's (in, out) matrix as (out, in)."""
HEIGHT_ONE = "height_one"
"""A 1-D convolution's (O, I, k) as (O, I, 1, k)."""
RECIPROCAL = "reciprocal"
"""A divisor as the factor 1 / d."""


def constant_layout(structure: Structure, group: LayerGroup, constant: str) -> str:
    """The layout word of a weight or operand of a group."""
    if group.op == "MatMul":
        return TRANSPOSED
    if group.op == "Conv" and len(structure.graph.types[constant].shape) == 3:
        return HEIGHT_ONE
    if group.op == "Div":
        return RECIPROCAL
    return AS_IS


def in_layout(values: np.ndarray[Any, Any], layout: str) -> np.ndarray[Any, Any]:
    """The values of a constant in a layout; a divisor of zero raises ``ZeroDivisionError``."""
    if layout == TRANSPOSED:
        return values.reshape(values.shape[-2:]).T
    if layout == HEIGHT_ONE:
        return values[:, :, None, :]
    if layout == RECIPROCAL:
        if not values.all():
            raise ZeroDivisionError("a constant divisor is zero")
        return 1.0 / values
    return values
