"""Highlighting: the Pygments lexer of the language."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from language_corpus import EVERYTHING, right_texts
from pygments.token import Comment, Error, Keyword, Name, Number, String

from npudsl.language.lexer import FOREIGN
from npudsl.language.lexer_pygments import _STYLES, NpuLexer
from npudsl.language.tables import tables


def styles(text: str) -> list[tuple[object, str]]:
    return [(style, word) for style, word in NpuLexer().get_tokens(text) if word.strip()]


def test_a_line_is_coloured_by_what_its_words_are():
    assert styles('let a = 1/0x88  # why\nlayer re"x" type=kl(bins=2) because "y"\n') == [
        (Keyword, "let"),
        (Name.Attribute, "a"),
        (_STYLES["EQUAL"], "="),
        (Number, "1"),
        (_STYLES["SLASH"], "/"),
        (Number.Hex, "0x88"),
        (Comment.Single, "# why"),
        (Name.Tag, "layer"),
        (String.Regex, 're"x"'),
        (Name.Attribute, "type"),
        (_STYLES["EQUAL"], "="),
        (Name.Function, "kl"),
        (_STYLES["LPAR"], "("),
        (Name.Attribute, "bins"),
        (_STYLES["EQUAL"], "="),
        (Number, "2"),
        (_STYLES["RPAR"], ")"),
        (Keyword, "because"),
        (String, '"y"'),
    ]


@pytest.mark.parametrize("text", right_texts())
def test_nothing_is_lost_and_nothing_in_a_right_text_is_an_error(text):
    found = list(NpuLexer(stripnl=False, ensurenl=False).get_tokens(text))
    assert "".join(word for _, word in found) == text
    assert all(style is not Error for style, _ in found)


@given(st.text(max_size=60))
def test_any_text_is_coloured_without_losing_a_character(text):
    assert "".join(word for _, _, word in NpuLexer().get_tokens_unprocessed(text)) == text


def test_a_line_alone_is_coloured_as_in_its_file():
    whole = styles(EVERYTHING)
    lines = [pair for line in EVERYTHING.splitlines() for pair in styles(line)]
    assert whole == lines


def test_every_token_has_a_style():
    named = {name for name, _ in tables().tokens} | {FOREIGN}
    assert set(_STYLES) >= named - {"NAME"}


def test_the_lexer_is_an_entry_point_of_the_package(repository):
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pygments.lexers"] == {"npu": f"{NpuLexer.__module__}:{NpuLexer.__name__}"}
