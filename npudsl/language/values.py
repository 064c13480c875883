"""Evaluated values before the schema gives them a type: what an expression comes to, and where it stands.

Numbers are exact fractions until a key uses them, so ``1/128`` loses nothing on the way.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

from npudsl.diagnostics import Diagnostic, Fix, Label, Span
from npudsl.language.frozen import frozen
from npudsl.language.names import meant
from npudsl.language.program import Size


@frozen
class Number:
    """``value`` is as written: ``99%`` is 99 with unit ``%``."""

    value: Fraction
    unit: str | None = None


@frozen
class Text:
    text: str


@frozen
class Pattern:
    """A regular expression."""

    text: str


@frozen
class Word:
    """A bare word that is no constant: an enum word or the name of a block."""

    text: str


@frozen
class RawCall:
    name: str
    name_span: Span
    positional: tuple[Located, ...]
    keywords: tuple[tuple[str, Span, Located], ...]


@frozen
class Located:
    """A value and its place. ``constant`` is the place of the ``let`` it came from as a whole, if any."""

    value: RawValue
    span: Span
    constant: Span | None = None


RawValue = Number | Text | Pattern | Word | bool | Size | RawCall | tuple[Located, ...]


class Refused(Exception):
    """A value that cannot be used; whoever checks the statement reports the diagnostic and goes on."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message)


def refuse(
    code: str, message: str, span: Span, *helps: str, notes: tuple[str, ...] = (), fixes: tuple[Fix, ...] = ()
) -> Refused:
    """An exception with one diagnostic at ``span``."""
    return Refused(Diagnostic(code, message, labels=(Label(span),), notes=notes, helps=helps, fixes=fixes))


def describe(value: RawValue) -> str:
    """What kind of value this is, as a noun with its article."""
    if isinstance(value, bool):
        return "`true` or `false`"
    if isinstance(value, Number):
        return f"a number with the unit {value.unit}" if value.unit else "a number"
    names: dict[type, str] = {
        Text: "a string",
        Pattern: "a regular expression",
        Word: "a word",
        Size: "a size",
        RawCall: "a call",
        tuple: "a list",
    }
    return names[type(value)]


def unknown_constant(name: str, span: Span, constants: Collection[str]) -> Refused:
    """E0213 for a word where a number stands; ``side-3`` is one name."""
    left = name.partition("-")[0]
    if "-" in name and left in constants:
        spaced = name.replace("-", " - ")
        fix = Fix(span, spaced, "write spaces")
        help_text = f"a subtraction needs spaces: `{spaced}`"
        return refuse("E0213", f"`{name}` is one name", span, help_text, fixes=(fix,))
    helps, fixes = meant(name, constants, span)
    helps = helps or ("a constant is defined with `let name = value` above its use",)
    return refuse("E0213", f"`{name}` is not a constant", span, *helps, fixes=fixes)


def fraction_text(value: Fraction) -> str:
    """The shortest exact decimal of ``value``; as a quotient when there is none."""
    if value.denominator == 1:
        return str(value.numerator)
    rest, digits = value.denominator, 0
    for factor in (2, 5):
        count = 0
        while rest % factor == 0:
            rest //= factor
            count += 1
        digits = max(digits, count)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    shifted = abs(value) * 10**digits
    text = str(shifted.numerator).rjust(digits + 1, "0")
    return f"{'-' if value < 0 else ''}{text[:-digits]}.{text[-digits:]}"
