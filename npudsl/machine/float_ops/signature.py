"""The shape of a float operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = Sequence[Array | None]
Attributes = Mapping[str, Any]
FloatOp = Callable[[Inputs, Attributes], list[Array]]


def present(inputs: Inputs, position: int) -> Array:
    """A required input."""
    value = inputs[position]
    if value is None:
        raise ValueError(f"input {position} is absent")
    return value


def optional(inputs: Inputs, position: int) -> Array | None:
    """An input that may be absent."""
    return inputs[position] if position < len(inputs) else None


def integers(inputs: Inputs, position: int, attributes: Attributes, name: str) -> list[int] | None:
    """A list of integers that newer opsets pass as an input and older ones as an attribute."""
    value = optional(inputs, position)
    if value is not None:
        return [int(item) for item in np.asarray(value).reshape(-1)]
    found = attributes.get(name)
    return None if found is None else [int(item) for item in found]


def float32(values: Array) -> Array:
    """Rounded to float32."""
    return np.asarray(values, dtype=np.float32)


def text(value: Any, default: str) -> str:
    """A string attribute, whether it was read as text or bytes."""
    if value is None:
        return default
    return value.decode() if isinstance(value, bytes) else str(value)
