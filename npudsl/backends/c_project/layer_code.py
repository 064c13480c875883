"""What the emitters of all operations share: a view of one layer, and C initializers from Python values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.blob import BlobReader
from npudsl.artifacts.quantized_model import IntegerLayer, Requantization, TensorQuantization
from npudsl.backends.c_project.weights import ConstantPool
from npudsl.diagnostics import Problem
from npudsl.runtime_c import NPU_MAX_RANK

LINE_LENGTH = 110

C_TYPES = {"u8": "NPU_U8", "i8": "NPU_I8", "i16": "NPU_I16"}
ARRAY_TYPES = {"uint8": "NPU_U8", "int8": "NPU_I8", "int16": "NPU_I16", "int32": "NPU_I32", "int64": "NPU_I64"}
ROUNDINGS = {
    "half_even": "NPU_HALF_EVEN",
    "half_away": "NPU_HALF_AWAY",
    "half_up": "NPU_HALF_UP",
    "double": "NPU_DOUBLE",
}

Array = NDArray[Any]
Fields = Mapping[str, Any]


class Word(str):
    """A C expression in an initializer, as opposed to text."""

    __slots__ = ()


@dataclass(frozen=True)
class LayerCode:
    """The C of one layer: static definitions, calls (one statement per line) and bytes of scratch memory."""

    definitions: tuple[str, ...]
    calls: tuple[str, ...]
    scratch: int = 0


@dataclass(frozen=True)
class LayerView:
    """One layer with everything its emitter needs. ``symbol`` is its C name without prefix."""

    layer: IntegerLayer
    symbol: str
    inputs: tuple[TensorQuantization, ...]
    """As the layer reads them."""
    output: TensorQuantization
    tensor_symbols: Mapping[str, str]
    pool: ConstantPool
    reader: BlobReader
    subject: str

    @property
    def input(self) -> TensorQuantization:
        return self.inputs[0]

    @property
    def requantize(self) -> Requantization:
        return self.layer.requantize[0]

    @property
    def descriptor(self) -> str:
        """Name of the static description."""
        return f"layer_{self.symbol}"

    @property
    def scratch(self) -> str:
        """C expression of the scratch memory."""
        return f"model->arena + SCRATCH_{self.symbol}"

    @property
    def output_place(self) -> str:
        return self.place(self.layer.outputs[0])

    def input_place(self, index: int) -> str:
        return self.place(self.layer.inputs[index])

    def place(self, tensor: str) -> str:
        """C expression of a tensor's address."""
        return f"tensor_data(model, TENSOR_{self.tensor_symbols[tensor]})"

    def array(self, role: str) -> Array:
        """A constant of the layer."""
        return self.reader.read_array(self.layer.constants[role])

    def attribute(self, name: str) -> Any:
        return self.layer.attributes[name]

    def constant(self, role: str, array: Array) -> str:
        """Put an array into the weights; returns the C expression of its address."""
        return f"constant(model, {self.pool.add(self.layer.name, role, array)})"

    def refuse(self, reason: str, help_text: str) -> NoReturn:
        """Raise the problem that this layer cannot be exported."""
        raise Problem(
            "E0610",
            f'layer "{self.layer.name}" ({self.layer.operation}) cannot be exported as C: {reason}',
            subject=self.subject,
            helps=(help_text,),
        )


def definition(struct: str, name: str, fields: Fields) -> str:
    """``static const struct name = {...};`` with designated initializers, wrapped at the line length."""
    lines = _wrapped([f".{key} = {_value(value)}" for key, value in fields.items()])
    return f"static const {struct} {name} = {{\n" + "\n".join(lines) + "\n};"


def array_definition(struct: str, name: str, rows: Sequence[Fields]) -> str:
    """A static array of structs, one per line."""
    body = "\n".join(f"    {_value(row)}," for row in rows)
    return f"static const {struct} {name}[] = {{\n{body}\n}};"


def codes(tensor: TensorQuantization) -> Fields:
    """``npu_codes`` of a tensor."""
    return {"type": Word(C_TYPES[tensor.type]), "zero_point": tensor.zero_point}


def array_codes(array: Array, zero_point: int) -> Fields:
    """``npu_codes`` of constant codes."""
    return {"type": Word(ARRAY_TYPES[array.dtype.name]), "zero_point": zero_point}


def requantize_fields(item: Requantization) -> Fields:
    """``npu_requantize``; with several channels the scalars are those of the first and nobody reads them."""
    return {
        "rounding": Word(ROUNDINGS[item.rounding]),
        "zero_point": item.zero_point,
        "low": item.low,
        "high": item.high,
        "multiplier": item.multipliers[0],
        "shift": item.shifts[0],
    }


def image_size(view: LayerView, tensor: TensorQuantization) -> tuple[int, int, int, int]:
    """A tensor as (N, C, H, W); (N, C, W) has height 1."""
    shape = tensor.shape
    if len(shape) == 3:
        return shape[0], shape[1], 1, shape[2]
    if len(shape) != 4:
        view.refuse(
            f"its tensor has {len(shape)} dimensions, and images have 3 (1-D) or 4 (2-D)",
            "cut the model before this layer with an output block",
        )
    return shape[0], shape[1], shape[2], shape[3]


def check_rank(view: LayerView, rank: int) -> None:
    """Refuse what the kernels have no room for."""
    if rank > NPU_MAX_RANK:
        view.refuse(f"it needs {rank} dimensions, at most {NPU_MAX_RANK} are possible", "reshape the model there")


def contiguous_strides(shape: Sequence[int]) -> list[int]:
    """Strides in elements of a dense row-major tensor."""
    strides, stride = [], 1
    for extent in reversed(shape):
        strides.append(stride)
        stride *= extent
    return strides[::-1]


def merge_axes(shape: Sequence[int], *strides: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """Join neighbouring axes that all operands walk as one; axes of extent 1 go. At least one axis is left."""
    merged: list[int] = []
    walks: list[list[int]] = [[] for _ in strides]
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        steps = [walk[axis] for walk in strides]
        if merged and all(walk[-1] == step * extent for walk, step in zip(walks, steps, strict=True)):
            merged[-1] *= extent
            for walk, step in zip(walks, steps, strict=True):
                walk[-1] = step
        else:
            merged.append(extent)
            for walk, step in zip(walks, steps, strict=True):
                walk.append(step)
    if not merged:
        return [1], [[0] for _ in strides]
    return merged, walks


def size_of(shape: Sequence[int]) -> int:
    """Number of elements."""
    return math.prod(shape)


def little_indices(indices: Array) -> Array:
    """Index arrays as the int32 that the kernels read."""
    return np.ascontiguousarray(indices, dtype=np.int32)


def _value(value: Any) -> str:
    if isinstance(value, Word):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f".{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "{" + (", ".join(_value(item) for item in value) or "0") + "}"
    return str(int(value)) if abs(int(value)) < 2**31 else f"INT64_C({int(value)})"


def _wrapped(parts: Sequence[str]) -> list[str]:
    lines: list[str] = []
    line = "   "
    for part in parts:
        if len(line) + len(part) + 2 > LINE_LENGTH and line.strip():
            lines.append(line)
            line = "   "
        line += f" {part},"
    lines.append(line)
    return lines
