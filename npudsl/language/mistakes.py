"""Names for syntax mistakes: what the user did, what to write, and how the parse goes on.

The parser only says that a token does not fit. Its list of expected tokens is no text for people (merged states list
tokens that could not follow here), so the mistake is recognised from the tokens around it. Each finding also gives
the token list to continue with: the smallest edit that restores the shape, else the guilty line is left out.
"""

from __future__ import annotations

from collections.abc import Callable

from npudsl.diagnostics import Source
from npudsl.language import shape_mistakes, statement_mistakes
from npudsl.language.recovery import Mistake, Reader, shown
from npudsl.language.tokens import Token

_MISTAKES: tuple[Callable[[Reader], Mistake | None], ...] = (
    shape_mistakes.bracket_from_an_earlier_line,
    shape_mistakes.brace_never_closed,
    shape_mistakes.block_with_equals,
    shape_mistakes.block_on_one_line,
    shape_mistakes.no_line_end_after_brace,
    shape_mistakes.unmatched_closing,
    shape_mistakes.brace_on_its_own_line,
    statement_mistakes.missing_value,
    statement_mistakes.missing_key,
    statement_mistakes.quoted_key,
    statement_mistakes.comma_in_rule,
    statement_mistakes.incomplete_statement,
    statement_mistakes.unnamed_constant,
    statement_mistakes.operator_in_rule,
    statement_mistakes.two_values,
    statement_mistakes.lonely_word,
    statement_mistakes.reserved_word,
)


def find_mistake(source: Source, tokens: list[Token], index: int) -> Mistake:
    """The mistake behind the token at ``index`` (or the end of the text) that does not fit."""
    reader = Reader(source, tokens, index)
    for recognise in _MISTAKES:
        mistake = recognise(reader)
        if mistake is not None:
            return mistake
    return reader.dropping("E0105", f"`{shown(reader)}` does not fit here")
