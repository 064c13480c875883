"""The constants of a model: one pool, written as ``weights.bin`` or as C arrays.

The file's layout is described in ``npu_model.h``, which also reads it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.backends.c_project.memory import ALIGNMENT
from npudsl.backends.c_project.names import Identifiers, comment_text, string_literal

HEADER = struct.Struct("<4s4I12x")
FORMAT = 1
LARGEST_PAYLOAD = 2**32 - 1
NUMBERS_PER_LINE = 24


@dataclass(frozen=True)
class PooledConstant:
    """``symbol`` is the C enumerator without its prefix, ``name`` is layer/role, ``data`` is little endian."""

    symbol: str
    name: str
    array: NDArray[Any]
    offset: int

    @property
    def data(self) -> bytes:
        return np.ascontiguousarray(self.array, dtype=self.array.dtype.newbyteorder("<")).tobytes()


class ConstantPool:
    """Collects constants in the order in which layers ask for them."""

    def __init__(self) -> None:
        self.constants: list[PooledConstant] = []
        self.size = 0
        self._symbols = Identifiers()

    def add(self, layer: str, role: str, array: NDArray[Any]) -> str:
        """Take an array in; returns its enumerator."""
        constant = PooledConstant(self._symbols.new(f"{layer}_{role}"), f"{layer}/{role}", array, self.size)
        self.constants.append(constant)
        self.size += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        return f"CONSTANT_{constant.symbol}"

    def payload(self) -> bytes:
        """All constants, each at its offset."""
        parts = []
        for constant in self.constants:
            parts.append(constant.data)
            parts.append(bytes(-constant.array.nbytes % ALIGNMENT))
        return b"".join(parts)


def weights_file(pool: ConstantPool) -> bytes:
    """``weights.bin``."""
    payload = pool.payload()
    return HEADER.pack(b"NPUW", FORMAT, len(payload), zlib.crc32(payload), len(pool.constants)) + payload


def constant_table(pool: ConstantPool) -> str:
    """The C table by which the loader finds and checks every constant."""
    rows = [
        f"    {{{string_literal(constant.name)}, {constant.offset}u, {constant.array.size}u, "
        f"{constant.array.itemsize}u, 0x{zlib.crc32(constant.data):08X}u}},"
        for constant in pool.constants
    ]
    return "\n".join(rows)


def embedded_source(pool: ConstantPool, model: str) -> str:
    """A C file with one array per constant and the table of their addresses."""
    parts = [
        "/* The constants of the model. */",
        f'#include "{model}.h"',
        "",
    ]
    for constant in pool.constants:
        parts.append(f"/* {comment_text(constant.name)} */")
        parts.append(f"static const {constant.array.dtype.name}_t {_array_name(constant)}[] = {{")
        parts.extend(_number_lines(constant.array))
        parts.append("};")
        parts.append("")
    parts.append(f"const void *const {model}_constants[] = {{")
    parts.extend(f"    {_array_name(constant)}," for constant in pool.constants)
    if not pool.constants:
        parts.append("    0,")
    parts.extend(["};", ""])
    return "\n".join(parts)


def _array_name(constant: PooledConstant) -> str:
    return f"constant_{constant.symbol}"


def _number_lines(array: NDArray[Any]) -> Iterable[str]:
    flat = array.reshape(-1)
    if not flat.size:
        yield "    0,"
    write = _long_literal if array.dtype.itemsize == 8 else _literal
    for start in range(0, flat.size, NUMBERS_PER_LINE):
        yield "    " + ", ".join(write(int(item)) for item in flat[start : start + NUMBERS_PER_LINE]) + ","


def _literal(value: int) -> str:
    return str(value) if value < 2**31 else f"{value}u"


def _long_literal(value: int) -> str:
    return f"INT64_C({value})" if value > -(2**63) else "INT64_MIN"
