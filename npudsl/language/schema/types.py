"""What a key takes: each type turns an evaluated value into the value of the program, or refuses it with a reason.

No implicit conversions: a string is never a word, a number never a bool, a percentage never a plain number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol

from npudsl.diagnostics import Fix, Span
from npudsl.language.frozen import frozen
from npudsl.language.names import listed, with_article
from npudsl.language.names import meant as near_name
from npudsl.language.paths import PathBase
from npudsl.language.program import Size
from npudsl.language.values import (
    Located,
    Number,
    Pattern,
    Refused,
    Text,
    Word,
    describe,
    fraction_text,
    refuse,
    unknown_constant,
)


@frozen
class Reference:
    """A name that must belong to a block; looked up when all blocks are known."""

    kinds: tuple[str, ...]
    name: str
    span: Span
    key: str


@dataclass
class Use:
    """Who asks for a value: the key's name for messages, the folder for paths, the names of constants for suggestions,
    and where references are collected."""

    key: str
    base: PathBase
    constants: Collection[str] = ()
    references: list[Reference] = field(default_factory=list)

    def inside(self, key: str) -> Use:
        """The same for an argument called ``key``."""
        return Use(key, self.base, self.constants, self.references)


class ValueType(Protocol):
    """A type of the schema."""

    @property
    def expected(self) -> str:
        """What it takes, as a noun with its article."""
        ...

    def convert(self, located: Located, use: Use) -> object:
        """The program's value; raises ``Refused``."""
        ...


_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*")


def wrong_type(located: Located, use: Use, expected: str, *helps: str, fixes: tuple[Fix, ...] = ()) -> Refused:
    """E0210 for a value of another type."""
    notes: tuple[str, ...] = ()
    if located.constant is not None:
        text = located.span.source.text[located.span.start : located.span.end]
        notes = (f"`{text}` is a constant ({_place(located)})",)
    message = f"`{use.key}` takes {expected}, not {describe(located.value)}"
    return refuse("E0210", message, located.span, *helps, notes=notes, fixes=fixes)


def _place(located: Located) -> str:
    assert located.constant is not None
    if located.constant.source is located.span.source:
        return f"line {located.constant.line}"
    return str(located.constant)


def as_word(text: str, span: Span) -> tuple[Fix, ...]:
    """The edit that writes a text without quotes, where it is a word."""
    return (Fix(span, text, "write a word"),) if _WORD.fullmatch(text) else ()


@frozen
class Words:
    """One word of a list. ``aliases``: words of other tools; ``unavailable``: known words -> what to write instead."""

    noun: str
    words: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @property
    def expected(self) -> str:
        return "a word"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, Text):
            raise self._quoted(located, value.text, use)
        if not isinstance(value, Word):
            raise wrong_type(located, use, self.expected, f"one of {listed(self.words)}")
        return self.check(value.text, located.span)

    def _quoted(self, located: Located, text: str, use: Use) -> Refused:
        if text in self.words or text in self.unavailable:
            fix = Fix(located.span, text, "write a word")
            return wrong_type(located, use, "a word", f"write `{use.key} = {text}`", fixes=(fix,))
        return wrong_type(located, use, "a word", f"one of {listed(self.words)}")

    def check(self, word: str, span: Span) -> str:
        if word in self.words:
            return word
        if word in self.unavailable:
            raise refuse("E0208", f"{self.noun} `{word}` is not available yet", span, self.unavailable[word])
        meant = self.aliases.get(word) or self.aliases.get(word.lower())
        if meant:
            fix = Fix(span, meant, f"write {meant}")
            raise refuse(
                "E0211",
                f"`{word}` is not {with_article(self.noun)} here",
                span,
                f"did you mean `{meant}`?",
                fixes=(fix,),
            )
        helps, fixes = near_name(word, self.words, span)
        message = f"`{word}` is not {with_article(self.noun)} here"
        raise refuse("E0211", message, span, *helps, f"one of {listed(self.words)}", fixes=fixes)


@frozen
class AnyWord:
    """A free word (a chip, a vendor); a string with the same letters is refused with a fix."""

    noun: str

    @property
    def expected(self) -> str:
        return "a word"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, Word):
            return value.text
        if isinstance(value, Text):
            fixes = as_word(value.text, located.span)
            raise wrong_type(located, use, "a word", f"write `{use.key} = {value.text}`", fixes=fixes)
        raise wrong_type(located, use, "a word")


@frozen
class Integer:
    """A whole number in a range, without unit."""

    minimum: int | None = None
    maximum: int | None = None

    @property
    def expected(self) -> str:
        return "a whole number"

    def convert(self, located: Located, use: Use) -> object:
        value = _plain_number(located, use, self.expected)
        if value.denominator != 1:
            raise refuse("E0212", f"`{use.key}` takes a whole number, not {fraction_text(value)}", located.span)
        _check_range(value, self.minimum, self.maximum, located, use)
        return int(value)


@frozen
class Real:
    """A number without unit. ``above``: must be greater than this."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None

    @property
    def expected(self) -> str:
        return "a number"

    def convert(self, located: Located, use: Use) -> object:
        value = _plain_number(located, use, self.expected)
        _check_range(value, self.minimum, self.maximum, located, use)
        if self.above is not None and value <= Fraction(self.above):
            raise refuse(
                "E0212", f"`{use.key}` is greater than {self.above:g}, not {fraction_text(value)}", located.span
            )
        return as_float(value, located, use)


@frozen
class Percentage:
    """A number with ``%``; the program holds the fraction. ``above`` and ``maximum`` are percentages."""

    above: float = 0.0
    maximum: float = 100.0
    example: str = "99.9%"

    @property
    def expected(self) -> str:
        return "a percentage"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if not isinstance(value, Number):
            raise wrong_type(located, use, self.expected, f"for example {self.example}")
        if value.unit != "%":
            fixes: tuple[Fix, ...] = ()
            if value.unit is None and value.value > 1 and located.constant is None:
                text = located.span.source.text[located.span.start : located.span.end]
                fixes = (Fix(located.span, f"{text}%", "write a percentage"),)
            message = f"`{use.key}` needs a `%`"
            raise refuse("E0212", message, located.span, f"for example {self.example}", fixes=fixes)
        if not Fraction(self.above) < value.value <= Fraction(self.maximum):
            message = f"`{use.key}` is above {self.above:g}% and at most {self.maximum:g}%"
            raise refuse("E0212", message, located.span)
        return as_float(value.value / 100, located, use)


def _plain_number(located: Located, use: Use, expected: str) -> Fraction:
    value = located.value
    if isinstance(value, Word):
        raise unknown_constant(value.text, located.span, use.constants)
    if not isinstance(value, Number):
        raise wrong_type(located, use, expected)
    if value.unit and value.value != 0:
        raise refuse("E0212", f"`{use.key}` takes a number without a unit", located.span, f"leave out `{value.unit}`")
    return value.value


def _check_range(value: Fraction, minimum: float | None, maximum: float | None, located: Located, use: Use) -> None:
    low = minimum is not None and value < Fraction(minimum)
    high = maximum is not None and value > Fraction(maximum)
    if not (low or high):
        return
    if minimum is not None and maximum is not None:
        limits = f"between {minimum:g} and {maximum:g}"
    else:
        limits = f"at least {minimum:g}" if minimum is not None else f"at most {maximum:g}"
    raise refuse("E0212", f"`{use.key}` is {limits}, not {fraction_text(value)}", located.span)


def as_float(value: Fraction, located: Located, use: Use) -> float:
    """The nearest float64; refuses what only infinity could stand for."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise refuse("E0212", f"`{use.key}` is beyond every float", located.span)
    return number


@frozen
class Numbers:
    """One number or a list of numbers, one per channel; the program holds a tuple. ``nonzero``: 0 is refused."""

    nonzero: bool = False

    @property
    def expected(self) -> str:
        return "a number or a list of numbers"

    def convert(self, located: Located, use: Use) -> object:
        items = located.value if isinstance(located.value, tuple) else (located,)
        if not items:
            raise refuse("E0212", f"`{use.key}` is an empty list", located.span, "write one number, or one per channel")
        return tuple(self._item(item, use) for item in items)

    def _item(self, item: Located, use: Use) -> Fraction:
        value = _plain_number(item, use, self.expected)
        if self.nonzero and value == 0:
            raise refuse("E0212", f"`{use.key}` is not 0", item.span)
        as_float(value, item, use)
        return value


_SPOKEN = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}


@frozen
class Flag:
    """``true`` or ``false``."""

    @property
    def expected(self) -> str:
        return "`true` or `false`"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, bool):
            return value
        helps = ("write `true` or `false`",) if isinstance(value, (Word, Number, Text)) else ()
        plain = _SPOKEN.get(value.text.lower()) if isinstance(value, (Word, Text)) and not located.constant else None
        fixes = (Fix(located.span, plain, f"write {plain}"),) if plain else ()
        raise wrong_type(located, use, self.expected, *helps, fixes=fixes)


@frozen
class String:
    """A string that is not a path."""

    nonempty: bool = True

    @property
    def expected(self) -> str:
        return "a string"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, Text):
            if self.nonempty and not value.text:
                raise refuse("E0210", f"`{use.key}` is an empty string", located.span)
            return value.text
        if isinstance(value, Word):
            fix = Fix(located.span, f'"{value.text}"', "write a string")
            raise wrong_type(located, use, self.expected, f'write "{value.text}" in double quotes', fixes=(fix,))
        raise wrong_type(located, use, self.expected)


@frozen
class FilePath:
    """A path, relative to the file that contains it."""

    @property
    def expected(self) -> str:
        return "a path in double quotes"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, Text):
            return use.base.resolve(value.text, located.span)
        if isinstance(value, Word):
            fix = Fix(located.span, f'"{value.text}"', "write a string")
            raise wrong_type(located, use, self.expected, f'write "{value.text}" in double quotes', fixes=(fix,))
        raise wrong_type(located, use, self.expected)


@frozen
class Shape:
    """A size (``1x3x224x224``) or a list of whole numbers; the program holds a tuple of extents."""

    ranks: tuple[int, ...] = ()
    free: bool = False

    @property
    def expected(self) -> str:
        return "a size such as 1x3x224x224"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, Size):
            extents = value.extents
        elif isinstance(value, tuple):
            extent = Integer(minimum=1)
            extents = tuple(self._extent(extent, item, use) for item in value)
        elif isinstance(value, Number) and value.unit is None and value.value.denominator == 1:
            raise wrong_type(located, use, self.expected, f"a single extent is written as a list: [{value.value}]")
        else:
            raise wrong_type(located, use, self.expected)
        if 0 in extents and not self.free:
            help_text = "NPUs need fixed extents: write a number (the batch is usually 1)"
            raise refuse("E0208", "a free extent (`?`) is not available here", located.span, help_text)
        if not extents:
            raise refuse("E0212", f"`{use.key}` has no extents", located.span)
        if self.ranks and len(extents) not in self.ranks:
            expected = " or ".join(str(rank) for rank in self.ranks)
            raise refuse("E0212", f"`{use.key}` has {expected} extents, not {len(extents)}", located.span)
        return extents

    def _extent(self, extent: Integer, item: Located, use: Use) -> int:
        number = extent.convert(item, use)
        assert isinstance(number, int)
        return number


@frozen
class Integers:
    """A list of whole numbers, for example channel order."""

    @property
    def expected(self) -> str:
        return "a list of whole numbers"

    def convert(self, located: Located, use: Use) -> object:
        if not isinstance(located.value, tuple):
            raise wrong_type(located, use, self.expected)
        item_type = Integer(minimum=0)
        return tuple(item_type.convert(item, use) for item in located.value)


@frozen
class Name:
    """A reference to a block, by its word."""

    kinds: tuple[str, ...]

    @property
    def expected(self) -> str:
        return f"the name of a {self.kinds[0]} block"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, Word):
            use.references.append(Reference(self.kinds, value.text, located.span, use.key))
            return value.text
        if isinstance(value, Text):
            fixes = as_word(value.text, located.span)
            raise wrong_type(located, use, self.expected, f"write {value.text} without quotes", fixes=fixes)
        raise wrong_type(located, use, self.expected)


@frozen
class ListOf:
    """A list; with ``single`` also one item without brackets. The program holds a tuple."""

    item: ValueType
    single: bool = False

    @property
    def expected(self) -> str:
        return f"a list of {self.item.expected.removeprefix('a ').removeprefix('an ')} items"

    def convert(self, located: Located, use: Use) -> object:
        if isinstance(located.value, tuple):
            if not located.value:
                raise refuse("E0212", f"`{use.key}` is an empty list", located.span)
            return tuple(self.item.convert(item, use) for item in located.value)
        if self.single:
            return (self.item.convert(located, use),)
        text = located.span.source.text[located.span.start : located.span.end]
        fix = Fix(located.span, f"[{text}]", "write a list")
        raise wrong_type(located, use, "a list", f"write `[{text}]`", fixes=(fix,))


@frozen
class Either:
    """The first type whose kind of value fits; ``choose`` maps a Python type of the raw value to a type."""

    choose: Mapping[type, ValueType]
    expected: str

    def convert(self, located: Located, use: Use) -> object:
        for kind, value_type in self.choose.items():
            if isinstance(located.value, kind):
                return value_type.convert(located, use)
        raise wrong_type(located, use, self.expected)


@frozen
class Selection:
    """What a rule selects: a string (exact or glob, by the rule's kind), or a regular expression where allowed."""

    patterns: bool = False
    word: bool = False

    @property
    def expected(self) -> str:
        if self.word:
            return "an operator such as Conv"
        return 'a glob "..." or re"..."' if self.patterns else "a name in double quotes"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if isinstance(value, Text):
            if not value.text:
                raise refuse("E0210", f"`{use.key}` selects an empty name", located.span)
            return value
        if isinstance(value, Word) and self.word:
            return Text(value.text)
        if isinstance(value, Pattern):
            if self.patterns:
                return value
            plural = {"layer": "layers", "tensor": "tensors"}.get(use.key)
            helps = (f'write `{plural} re"..."`',) if plural else ()
            raise wrong_type(located, use, self.expected, *helps)
        if isinstance(value, Word):
            fix = Fix(located.span, f'"{value.text}"', "write a string")
            raise wrong_type(located, use, self.expected, f'write `{use.key} "{value.text}"`', fixes=(fix,))
        raise wrong_type(located, use, self.expected)
