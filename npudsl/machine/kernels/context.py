"""What a kernel builder gets to know about its layer, and the types that kernels have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.blob import BlobReader
from npudsl.artifacts.quantized_model import IntegerLayer, Requantization, TensorQuantization
from npudsl.numerics.fast_requantize import Requantizer
from npudsl.numerics.requantize import requantize
from npudsl.numerics.types import element_type

Array = NDArray[Any]
Kernel = Callable[[list[Array]], list[Array]]
"""From the inputs of a layer to its outputs, all with the stack axis in front."""


@dataclass(frozen=True)
class LayerContext:
    """A layer with the quantization of its tensors and access to its constants."""

    layer: IntegerLayer
    inputs: tuple[TensorQuantization, ...]
    outputs: tuple[TensorQuantization, ...]
    reader: BlobReader

    @property
    def input(self) -> TensorQuantization:
        """The first input."""
        return self.inputs[0]

    @property
    def output(self) -> TensorQuantization:
        """The first output."""
        return self.outputs[0]

    @property
    def storage(self) -> str:
        """numpy type of the output's codes."""
        return element_type(self.output.type).storage

    def attribute(self, name: str) -> Any:
        """An attribute of the layer; raises KeyError when the program lacks it."""
        return self.layer.attributes[name]

    def constant(self, role: str) -> Array:
        """The array constant in a role of the layer."""
        return self.reader.read_array(self.layer.constants[role])

    def requantizer(self, index: int, largest: int, bias: Array | None = None) -> Requantizer:
        """Entry ``index`` of the layer's requantization, for values of at most ``largest``."""
        item = self.layer.requantize[index]
        return Requantizer(
            item.multipliers,
            item.shifts,
            item.rounding,
            item.zero_point,
            item.low,
            item.high,
            storage=self.storage,
            largest=largest,
            bias=bias,
        )


def limits(tensor: TensorQuantization) -> tuple[int, int]:
    """Lowest and highest value of code - zero_point."""
    element = element_type(tensor.type)
    return element.minimum - tensor.zero_point, element.maximum - tensor.zero_point


def largest_offset(tensor: TensorQuantization) -> int:
    """max|code - zero_point|."""
    low, high = limits(tensor)
    return max(-low, high)


def requantize_flat(requantizer: Requantizer, values: Array, storage: str) -> Array:
    """Codes of values of any shape under one multiplier."""
    out = np.empty(values.shape, dtype=storage)
    requantizer(values.reshape(1, -1), out.reshape(1, -1))
    return out


def requantization_table(item: Requantization, tensor: TensorQuantization, storage: str) -> Array:
    """The codes that a requantization gives to every code of ``tensor``, lowest first."""
    low, high = limits(tensor)
    codes = requantize(
        np.arange(low, high + 1),
        item.multipliers,
        item.shifts,
        item.rounding,
        item.zero_point,
        item.low,
        item.high,
    )
    return codes.astype(storage)


def table_kernel(table: Array, type_name: str) -> Callable[[Array], Array]:
    """Look codes up in a table whose first entry belongs to the type's lowest code.

    The table is rolled so that the code's bit pattern, read as unsigned, is the index. A table that changes nothing
    returns its argument.
    """
    element = element_type(type_name)
    if table.dtype == np.dtype(element.storage) and np.array_equal(
        table, np.arange(element.minimum, element.maximum + 1)
    ):
        return lambda codes: codes
    rolled = np.roll(table, element.minimum)
    pattern = np.dtype(f"uint{element.bits}")

    def look_up(codes: Array) -> Array:
        found: Array = np.take(rolled, np.ascontiguousarray(codes).view(pattern))
        return found

    return look_up
