"""Expressions to values: constants, interpolation, exact arithmetic. No conditionals, no functions, no environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from npudsl.diagnostics import Diagnostic, Label, Span
from npudsl.language import syntax
from npudsl.language.frozen import frozen
from npudsl.language.names import meant
from npudsl.language.program import Size
from npudsl.language.values import (
    Located,
    Number,
    Pattern,
    RawCall,
    RawValue,
    Refused,
    Text,
    Word,
    describe,
    fraction_text,
    refuse,
    unknown_constant,
)

_NUMBER = re.compile(r"(-?)([0-9.]+)(?:[eE]([+-]?[0-9]+))?(%|KiB|MiB|GiB|ms|s|min)?")
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_LARGEST_EXPONENT = 400
"""Beyond every float32 and float64; a fraction with more digits would only cost memory."""


@frozen
class Constant:
    """A ``let``: its value (None when its line has an error), where its name stands, from which offset on it holds."""

    value: Located | None
    span: Span
    holds_from: int


@frozen
class Scope:
    """The constants of one file. ``complete`` is false when lines were lost, so unknown names are no news."""

    constants: Mapping[str, Constant]
    complete: bool = True

    def find(self, name: str, place: Span) -> Located | None:
        """The constant called ``name`` as seen from ``place``; None when there is none; refuses an early use."""
        constant = self.constants.get(name)
        if constant is None:
            return None
        if place.start < constant.holds_from:
            labels = (Label(place), Label(constant.span, "defined here", primary=False))
            raise Refused(
                Diagnostic(
                    "E0213",
                    f"`{name}` is used before its definition",
                    labels=labels,
                    helps=("move the `let` above its first use",),
                )
            )
        if constant.value is None:
            raise Silent
        return constant.value


class Silent(Exception):
    """The value depends on something that was already reported."""


def evaluate(node: syntax.Expression, scope: Scope) -> Located:
    """The value of an expression; raises ``Refused`` with the reason when it has none."""
    if isinstance(node, syntax.NumberNode):
        return Located(_number(node), node.span)
    if isinstance(node, syntax.StringNode):
        return Located(Text(string_text(node, scope)), node.span)
    if isinstance(node, syntax.WordNode):
        constant = scope.find(node.text, node.span)
        if constant is not None:
            return Located(constant.value, node.span, scope.constants[node.text].span)
        return Located(Word(node.text), node.span)
    if isinstance(node, syntax.BoolNode):
        return Located(node.value, node.span)
    if isinstance(node, syntax.SizeNode):
        extents = tuple(0 if part == "?" else int(part) for part in node.text.split("x"))
        return Located(Size(extents), node.span)
    if isinstance(node, syntax.RegexNode):
        return Located(Pattern(node.text), node.span)
    if isinstance(node, syntax.ListNode):
        return Located(tuple(evaluate(item, scope) for item in node.items), node.span)
    if isinstance(node, syntax.CallNode):
        return Located(_call(node, scope), node.span)
    return Located(_arithmetic(node, scope), node.span)


def string_text(node: syntax.StringNode, scope: Scope) -> str:
    """The text a string stands for: escapes and ``${name}`` replaced."""
    written, start = node.text[1:-1], node.span.start + 1
    pieces: list[str] = []
    at = 0
    while at < len(written):
        character = written[at]
        if character == "\\":
            piece, length = _escape(written, at, _part(node, start + at, 2))
        elif character == "$":
            piece, length = _dollar(written, at, node, start, scope)
        else:
            piece, length = character, 1
        pieces.append(piece)
        at += length
    return "".join(pieces)


def _part(node: syntax.StringNode, start: int, length: int) -> Span:
    return Span(node.span.source, start, min(start + length, node.span.end))


def _escape(written: str, at: int, span: Span) -> tuple[str, int]:
    letter = written[at + 1]
    if letter in _ESCAPES:
        return _ESCAPES[letter], 2
    match = re.compile(r"\\u\{([0-9A-Fa-f]{1,6})\}").match(written, at)
    if match is not None:
        code = int(match.group(1), 16)
        if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF:
            return chr(code), len(match.group())
    raise refuse("E0101", f"`\\{letter}` is not an escape", span, 'escapes are \\", \\\\, \\n, \\t and \\u{20AC}')


def _dollar(written: str, at: int, node: syntax.StringNode, start: int, scope: Scope) -> tuple[str, int]:
    if written[at + 1 : at + 2] == "$":
        return "$", 2
    match = re.compile(r"\$\{([^}]*)\}").match(written, at)
    if match is None:
        raise refuse(
            "E0101",
            "a `$` in a string begins `${name}`",
            _part(node, start + at, 1),
            "a dollar is written `$$`",
        )
    name = match.group(1)
    span = _part(node, start + at, len(match.group()))
    constant = scope.find(name, span)
    if constant is None:
        if not scope.complete:
            raise Silent
        helps, fixes = meant(name, scope.constants, Span(span.source, span.start + 2, span.end - 1))
        raise refuse("E0213", f"`{name}` is not a constant", span, *helps, fixes=fixes)
    value = constant.value
    if isinstance(value, Text):
        return value.text, len(match.group())
    if isinstance(value, Number):
        text = fraction_text(value.value)
        if "/" not in text:
            return text + (value.unit or ""), len(match.group())
        raise refuse("E0210", f"`{name}` is {text}, which has no exact decimal to insert", span)
    raise refuse("E0210", f"`{name}` is {describe(value)}; `${{}}` inserts strings and numbers", span)


def _number(node: syntax.NumberNode) -> Number:
    text = node.text
    if text.lower().startswith("0x"):
        return Number(Fraction(int(text, 16)))
    if text.lower().startswith("-0x"):
        return Number(Fraction(-int(text[1:], 16)))
    match = _NUMBER.fullmatch(text)
    assert match is not None, text
    sign, mantissa, exponent, unit = match.groups()
    power = int(exponent) if exponent and len(exponent) < 6 else 10**6 * bool(exponent)
    if len(mantissa) > _LARGEST_EXPONENT or abs(power) > _LARGEST_EXPONENT:
        raise refuse("E0102", f"`{text[:40]}` is beyond every number format", node.span)
    value = Fraction(mantissa) * Fraction(10) ** power
    return Number(-value if sign else value, unit)


def _call(node: syntax.CallNode, scope: Scope) -> RawCall:
    positional: list[Located] = []
    keywords: list[tuple[str, Span, Located]] = []
    for argument in node.arguments:
        if isinstance(argument, syntax.KeywordNode):
            keywords.append((argument.name.text, argument.name.span, evaluate(argument.value, scope)))
        elif keywords:
            raise refuse("E0105", "a value without a name stands after a named one", argument.span)
        else:
            positional.append(evaluate(argument, scope))
    return RawCall(node.name.text, node.name.span, tuple(positional), tuple(keywords))


def _arithmetic(node: syntax.NegativeNode | syntax.BinaryNode, scope: Scope) -> RawValue:
    if isinstance(node, syntax.NegativeNode):
        operand = _operand(node.operand, scope)
        return Number(-operand.value, operand.unit)
    left, right = _operand(node.left, scope), _operand(node.right, scope)
    if node.operator in "+-":
        if left.unit != right.unit and left.value != 0 and right.value != 0:
            raise refuse("E0212", "the units differ", node.span, "convert one of the numbers")
        value = left.value + right.value if node.operator == "+" else left.value - right.value
        return Number(value, left.unit or right.unit)
    if left.unit and right.unit and not (node.operator == "/" and left.unit == right.unit):
        raise refuse("E0212", f"`{node.operator}` of two numbers with units has no meaning here", node.span)
    if node.operator == "*":
        return Number(left.value * right.value, left.unit or right.unit)
    if right.value == 0:
        raise refuse("E0212", "division by zero", node.span)
    if right.unit and not left.unit:
        raise refuse("E0212", f"`/` by a number with the unit {right.unit} has no meaning here", node.span)
    return Number(left.value / right.value, None if right.unit else left.unit)


def _operand(node: syntax.Expression, scope: Scope) -> Number:
    located = evaluate(node, scope)
    if isinstance(located.value, Number):
        return located.value
    if isinstance(located.value, Word):
        if not scope.complete:
            raise Silent
        raise unknown_constant(located.value.text, located.span, scope.constants)
    if isinstance(located.value, Text):
        help_text = 'strings are joined by insertion: "${first}/${second}"'
        raise refuse("E0210", "strings do not add up", located.span, help_text)
    raise refuse("E0210", f"arithmetic takes numbers, not {describe(located.value)}", located.span)
