"""Values of a program as text of the language: what is written here reads back as the same value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import cast

from npudsl.language.program import Call, PathValue
from npudsl.language.schema.calls import Calls
from npudsl.language.schema.types import (
    Either,
    FilePath,
    Integers,
    ListOf,
    Numbers,
    Percentage,
    Shape,
    String,
    ValueType,
    Words,
)
from npudsl.language.strings import string_literal
from npudsl.language.values import fraction_text

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*(\.[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*)*")


def value_literal(value: object, value_type: ValueType) -> str:
    """``value``, which a key of this type holds. A type whose values have a form of their own has a ``literal``."""
    own = getattr(value_type, "literal", None)
    if own is not None:
        return str(own(value))
    if isinstance(value_type, Either):
        return _either(value, value_type)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Call):
        return _call(value, cast(Calls, value_type))
    if isinstance(value, PathValue):
        return string_literal(value.text)
    if isinstance(value, tuple):
        return _sequence(value, value_type)
    if isinstance(value, str):
        return string_literal(value) if isinstance(value_type, (String, FilePath)) else value
    assert isinstance(value, (int, float, Fraction)), value
    return percentage_literal(value) if isinstance(value_type, Percentage) else number_literal(value)


def number_literal(value: float | Fraction) -> str:
    """The shortest number that reads back as ``value``."""
    if isinstance(value, Fraction):
        return fraction_text(value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def percentage_literal(value: float | Fraction) -> str:
    """A fraction as a percentage: 0.985 is 98.5%. Exact: reading divides by 100 again."""
    exact = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    return f"{fraction_text(exact * 100)}%"


def word_literal(text: str) -> str:
    """A free name as a word, or in quotes where it is none."""
    return text if _NAME.fullmatch(text) else string_literal(text)


def _either(value: object, value_type: Either) -> str:
    """The first alternative that has the value: a word of a list before any string."""
    kinds = list(value_type.choose.values())
    if isinstance(value, str):
        for kind in kinds:
            if isinstance(kind, Words) and value in kind.words:
                return value
        return string_literal(value)
    chosen = next((kind for kind in kinds if isinstance(kind, ListOf) == isinstance(value, tuple)), kinds[0])
    return value_literal(value, chosen)


def _call(value: Call, value_type: Calls) -> str:
    types = {parameter.name: parameter.type for parameter in value_type.signatures[value.name].parameters}
    arguments = [
        f"{name}={value_literal(argument, types[name])}" for name, argument in value.arguments if argument is not None
    ]
    return f"{value.name}({', '.join(arguments)})" if arguments else value.name


def _sequence(values: Sequence[object], value_type: ValueType) -> str:
    if isinstance(value_type, Shape) and len(values) > 1 and 0 not in values:
        return "x".join(map(str, values))
    if isinstance(value_type, (Shape, Integers)):
        return f"[{', '.join(map(str, values))}]"
    if isinstance(value_type, Numbers):
        texts = [number_literal(cast(float, value)) for value in values]
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    assert isinstance(value_type, ListOf), value_type
    texts = [value_literal(value, value_type.item) for value in values]
    return texts[0] if len(texts) == 1 and value_type.single else f"[{', '.join(texts)}]"
