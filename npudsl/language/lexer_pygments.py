"""Highlighting of ``.npu`` text by Pygments, from the same token table as the parser (entry point ``npu``).

A name is a keyword of a block, a key, or a word, by what stands around it on its line; nothing else is looked at, so a
single line is coloured as it is in its file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pygments.lexer import Lexer
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Text, _TokenType

from npudsl.language.lexer import FOREIGN, Token, lex

_STYLES: dict[str, _TokenType] = {
    "SIZE": Number,
    "HEX": Number.Hex,
    "NUMBER": Number,
    "REGEX": String.Regex,
    "STRING": String,
    "COMMENT": Comment.Single,
    "WS_INLINE": Text,
    "_NL": Text,
    "TRUE": Keyword.Constant,
    "FALSE": Keyword.Constant,
    "CMP": Operator,
    "EQUAL": Operator,
    "PLUS": Operator,
    "MINUS": Operator,
    "STAR": Operator,
    "SLASH": Operator,
    "COMMA": Punctuation,
    "LBRACE": Punctuation,
    "RBRACE": Punctuation,
    "LPAR": Punctuation,
    "RPAR": Punctuation,
    "LSQB": Punctuation,
    "RSQB": Punctuation,
    FOREIGN: Error,
}
_BLANK = ("WS_INLINE", "COMMENT")


class NpuLexer(Lexer):  # type: ignore[misc]  # the library has no types
    """The language of npudsl."""

    name = "npu"
    aliases: ClassVar[list[str]] = ["npu"]
    filenames: ClassVar[list[str]] = ["*.npu"]
    mimetypes: ClassVar[list[str]] = ["text/x-npu"]

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, _TokenType, str]]:
        """Offset, style and text of every token."""
        tokens = list(lex(text))
        following = [token.type for token in tokens if token.type != "WS_INLINE"]
        place = 0
        starts_line = True
        for token in tokens:
            place += token.type != "WS_INLINE"
            behind = following[place] if place < len(following) else "_NL"
            yield token.start_pos, _style(token, behind, starts_line), token.text
            if token.type == "_NL":
                starts_line = True
            elif token.type not in _BLANK:
                starts_line = False


def _style(token: Token, behind: str, starts_line: bool) -> _TokenType:
    """``behind``: the type of the next token that is no blank."""
    if token.type in _STYLES:
        return _STYLES[token.type]
    if token.type != "NAME":
        return Keyword
    if behind == "EQUAL":
        return Name.Attribute
    if behind == "LPAR":
        return Name.Function
    return Name.Tag if starts_line else Name
