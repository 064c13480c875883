"""The saved tables: what the own lexer and parser make is what Lark makes of the same grammar."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language_corpus import GOLDEN, right_texts, shape, syntax_of

from npudsl.language import saved_table
from npudsl.language import tables as tables_module
from npudsl.language.lexer import FOREIGN, lex
from npudsl.language.tables import TABLE_FILE, grammar_text, tables


@cache
def lark() -> Any:
    from lark import Lark

    return Lark(grammar_text(), parser="lalr", lexer="basic", maybe_placeholders=True, propagate_positions=False)


def lark_tokens(text: str) -> list[tuple[str, str, int]] | int:
    """Lark's tokens, or the place of the first foreign character."""
    from lark import UnexpectedCharacters

    found = []
    try:
        for token in lark().lex(text):
            found.append((token.type, str(token), token.start_pos))
    except UnexpectedCharacters as error:
        return error.pos_in_stream
    return found


def own_tokens(text: str) -> list[tuple[str, str, int]] | int:
    found = []
    for token in lex(text):
        if token.type == FOREIGN:
            return token.start_pos
        if token.type not in tables().ignored:
            found.append((token.type, token.text, token.start_pos))
    return found


def lark_shape(node: Any) -> object:
    if hasattr(node, "children"):
        return (str(node.data), *map(lark_shape, node.children))
    return None if node is None else (node.type, str(node))


def lark_syntax(text: str) -> object:
    """Lark's tree, or None for a text with a syntax error."""
    from lark import UnexpectedInput

    try:
        return lark_shape(lark().parse(text if text.endswith("\n") else text + "\n"))
    except UnexpectedInput:
        return None


def own_syntax(text: str) -> object:
    tree = syntax_of(text)
    return None if isinstance(tree, int) else shape(tree)


def damaged(text: str, seed: int) -> str:
    """Some words of a text swapped, doubled or left out."""
    chance = random.Random(seed)
    tokens = [token.text for token in lex(text)]
    for _ in range(chance.randint(0, 3)):
        place = chance.randrange(len(tokens))
        tokens[place : place + 1] = chance.choice([[], [tokens[place]] * 2, [chance.choice(tokens)]])
    return "".join(tokens)


def test_the_table_is_that_of_the_grammar():
    """When this fails: ``python -m npudsl.language.saved_table``, then read the difference."""
    assert saved_table.table_text(grammar_text()) == TABLE_FILE.read_text(encoding="utf-8")


def test_an_edited_grammar_is_read_instead_of_the_table(monkeypatch):
    edited = grammar_text().replace('LET: "let"', 'LET: "constant"')
    monkeypatch.setattr(tables_module, "grammar_text", lambda: edited)

    found = tables_module.tables.__wrapped__()

    assert found.words["constant"] == "LET"
    assert "let" not in found.words


@pytest.mark.parametrize("text", right_texts())
def test_a_right_text_gives_larks_tokens_and_tree(text):
    assert own_tokens(text) == lark_tokens(text)
    assert own_syntax(text) == lark_syntax(text) is not None


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.glob("*.npu")))
def test_a_faulty_text_is_refused_where_lark_refuses_it(name):
    text = (GOLDEN / name).read_text(encoding="utf-8")
    assert own_tokens(text) == lark_tokens(text)
    assert own_syntax(text) == lark_syntax(text)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_a_damaged_text_is_read_as_lark_reads_it(seed):
    text = damaged(right_texts()[seed % len(right_texts())], seed)
    assert own_tokens(text) == lark_tokens(text)
    assert own_syntax(text) == lark_syntax(text)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='az_09.-x?#"\\\n\t =()[]{},+*/%<>!;:', max_size=40))
def test_any_characters_are_the_tokens_that_lark_sees(text):
    assert own_tokens(text) == lark_tokens(text)


@given(st.text(max_size=60))
def test_the_tokens_put_together_are_the_text(text):
    assert "".join(token.text for token in lex(text)) == text
