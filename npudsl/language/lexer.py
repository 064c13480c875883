"""Text to tokens, by the token table of the grammar.

Every character belongs to a token, blanks and comments included, so the text of the tokens put together is the text of
the file: the formatter and the highlighter need nothing else. Tokens depend on nothing but the characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from npudsl.language.tables import tables

FOREIGN = "FOREIGN"
"""Type of a character that no token begins with."""


class Token:
    """Type, text and place (character offsets) of a token. Equal only to itself: two tokens may have the same text."""

    __slots__ = ("end_pos", "start_pos", "text", "type")

    def __init__(self, kind: str, text: str, start_pos: int) -> None:
        self.type = kind
        self.text = text
        self.start_pos = start_pos
        self.end_pos = start_pos + len(text)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Token({self.type}, {self.text!r}, {self.start_pos})"


def lex(text: str, start: int = 0) -> Iterator[Token]:
    """All tokens from ``start`` on, also blanks, comments and single foreign characters."""
    words = tables().words
    for match in _pattern().finditer(text, start):
        kind = match.lastgroup
        assert kind is not None
        written = match.group()
        if kind == "NAME" and written in words:
            kind = words[written]
        yield Token(kind, written, match.start())


@cache
def _pattern() -> re.Pattern[str]:
    """One alternative per token; the last one takes any character."""
    named = [f"(?P<{name}>{pattern})" for name, pattern in tables().tokens]
    return re.compile("|".join([*named, f"(?P<{FOREIGN}>(?s:.))"]))
