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
OUTPUTS_FIRST = "outputs_first"
"""A transposed convolution's (I, O/group, ...) as (O, I/group, kh, kw); the number of groups is behind a space."""


def constant_layout(structure: Structure, group: LayerGroup, constant: str) -> str:
    """The layout word of a weight or operand of a group."""
    if group.op == "MatMul":
        return TRANSPOSED
    if group.op == "Conv" and len(structure.graph.types[constant].shape) == 3:
        return HEIGHT_ONE
    if group.op == "ConvTranspose":
        return f"{OUTPUTS_FIRST} {structure.node(group).attributes.get('group', 1)}"
    if group.op == "Div" and structure.node(group).inputs[1] == constant:
        return RECIPROCAL
    return AS_IS


def in_layout(values: np.ndarray[Any, Any], layout: str) -> np.ndarray[Any, Any]:
    """The values of a constant in a layout; a divisor of zero raises ``ZeroDivisionError``."""
    if layout == TRANSPOSED:
        return values.reshape(values.shape[-2:]).T
    if layout == HEIGHT_ONE:
        return values[:, :, None, :]
    if layout.startswith(OUTPUTS_FIRST):
        return _outputs_first(values, int(layout.rpartition(" ")[2]))
    if layout == RECIPROCAL:
        if not values.all():
            raise ZeroDivisionError("a constant divisor is zero")
        return 1.0 / values
    return values


def _outputs_first(values: np.ndarray[Any, Any], group: int) -> np.ndarray[Any, Any]:
    """(I, O/group, [kh,] kw) as (O, I/group, kh, kw)."""
    kernel = values.shape[2:] if values.ndim == 4 else (1, values.shape[2])
    inputs, outputs = values.shape[:2]
    split = values.reshape(group, inputs // group, outputs, *kernel)
    return split.transpose(0, 2, 1, 3, 4).reshape(group * outputs, inputs // group, *kernel)


def from_layout(values: np.ndarray[Any, Any], layout: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """The constant of the float model, of ``shape``, whose values in ``layout`` these are."""
    if layout == TRANSPOSED:
        values = values.T
    if layout == RECIPROCAL:
        values = 1.0 / values
    return values.reshape(shape)
