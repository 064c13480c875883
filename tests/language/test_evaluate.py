"""Constants, interpolation and exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npudsl.diagnostics import Source, Span
from npudsl.language import syntax
from npudsl.language.evaluate import Constant, Scope, evaluate
from npudsl.language.parse import parse
from npudsl.language.program import Size
from npudsl.language.values import Located, Number, Refused, Text, Word, fraction_text

NOWHERE = Span(Source("constants", " "), 0, 1)


def scope(**constants: object) -> Scope:
    return Scope({name: Constant(Located(value, NOWHERE), NOWHERE, -1) for name, value in constants.items()})


def value_of(text: str, names: Scope | None = None) -> object:
    parsed = parse(Source("test.npu", f"npu 1\nlet value = {text}\n"))
    assert parsed.problems == ()
    node = parsed.items[1]
    assert isinstance(node, syntax.LetNode)
    return evaluate(node.value, names or scope()).value


def refusal(text: str, names: Scope | None = None) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        value_of(text, names)
    return caught.value.diagnostic.code, caught.value.diagnostic.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1/128", Number(Fraction(1, 128))),
        ("1/3 * 3", Number(Fraction(1))),
        ("2 * (3 + 4) - 1", Number(Fraction(13))),
        ("-3", Number(Fraction(-3))),
        ("0x88", Number(Fraction(136))),
        ("1e-3", Number(Fraction(1, 1000))),
        ("0.1 + 0.2", Number(Fraction(3, 10))),
        ("99.99%", Number(Fraction(9999, 100), "%")),
        ("2 * 10%", Number(Fraction(20), "%")),
        ("4KiB / 2KiB", Number(Fraction(2))),
        ("10% + 5%", Number(Fraction(15), "%")),
        ("1x3x224x224", Size((1, 3, 224, 224))),
        ("?x16", Size((0, 16))),
        ("true", True),
        ("onnx", Word("onnx")),
    ],
)
def test_an_expression_has_an_exact_value(text, value):
    assert value_of(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"plain"', "plain"),
        (r'"a\"b\\c\n\t\u{20AC}"', 'a"b\\c\n\t€'),
        ('"$$5"', "$5"),
        ('"${net}/conv"', "resnet/conv"),
        ('"x${half}"', "x0.5"),
        ('"${share}"', "10%"),
    ],
)
def test_a_string_replaces_escapes_and_constants(text, value):
    names = scope(net=Text("resnet"), half=Number(Fraction(1, 2)), share=Number(Fraction(10), "%"))
    assert value_of(text, names) == Text(value)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("1/0", "E0212", "division by zero"),
        ("10% + 5", "E0212", "the units differ"),
        ("10% * 5%", "E0212", "no meaning"),
        ('"a" + "b"', "E0210", "strings do not add up"),
        ("true + 1", "E0210", "arithmetic takes numbers"),
        ("unknown + 1", "E0213", "`unknown` is not a constant"),
        ("side-3 + 1", "E0213", "`side-3` is one name"),
        ("1e999999", "E0102", "beyond every number format"),
        (r'"\d"', "E0101", "is not an escape"),
        (r'"\u{110000}"', "E0101", "is not an escape"),
        ('"$x"', "E0101", "begins `${name}`"),
        ('"${nothing}"', "E0213", "`nothing` is not a constant"),
        ('"${third}"', "E0210", "no exact decimal"),
        ('"${flag}"', "E0210", "inserts strings and numbers"),
        ("f(a=1, 2)", "E0105", "stands after a named one"),
    ],
)
def test_what_has_no_value_is_refused_with_a_reason(text, code, words):
    names = scope(side=Number(Fraction(8)), third=Number(Fraction(1, 3)), flag=True)
    found, message = refusal(text, names)
    assert found == code
    assert words in message


@given(st.fractions(max_denominator=10**6), st.fractions(max_denominator=10**6))
def test_arithmetic_is_that_of_fractions(left, right):
    text = f"({left.numerator}/{left.denominator}) - ({right.numerator}/{right.denominator})"
    assert value_of(text) == Number(left - right)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_the_text_of_a_decimal_reads_back_as_the_same_fraction(decimal):
    assert Fraction(fraction_text(Fraction(decimal))) == Fraction(decimal)
