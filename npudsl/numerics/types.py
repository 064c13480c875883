"""Element types of quantized tensors. Needs no numpy, so light code may ask."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ElementType:
    """``name`` as written in programs and tables; integer limits; name of the numpy type that stores it."""

    name: str
    bits: int
    minimum: int
    maximum: int
    storage: str

    @property
    def is_integer(self) -> bool:
        return self.minimum != self.maximum


ELEMENT_TYPES = {
    "u8": ElementType("u8", 8, 0, 255, "uint8"),
    "i8": ElementType("i8", 8, -128, 127, "int8"),
    "i16": ElementType("i16", 16, -32768, 32767, "int16"),
    "f32": ElementType("f32", 32, 0, 0, "float32"),
}


def element_type(name: str) -> ElementType:
    """The element type called ``name``; raises ``KeyError`` for a name outside the table."""
    return ELEMENT_TYPES[name]
