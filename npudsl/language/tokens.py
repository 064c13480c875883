"""A token list seen as lines and brackets: what error recovery needs to know and to change.

Edits give a new list; an inserted token borrows the place of its neighbour, so positions of everything else stay true.
"""

from __future__ import annotations

from npudsl.language.lexer import Token

__all__ = ["NEW_LINE", "Token"]

NEW_LINE = "_NL"
_OPENING = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_CLOSING = {closing: opening for opening, closing in _OPENING.items()}


def open_brackets(tokens: list[Token], end: int) -> list[int]:
    """Indices of the brackets opened before ``end`` and not closed, outermost first."""
    stack: list[int] = []
    for index in range(end):
        kind = tokens[index].type
        if kind in _OPENING:
            stack.append(index)
        elif kind in _CLOSING and stack and tokens[stack[-1]].type == _CLOSING[kind]:
            stack.pop()
    return stack


def matching_close(tokens: list[Token], opening: int) -> int | None:
    """Index of the token that closes the ``(`` or ``[`` at ``opening``; None when a brace or the end comes first."""
    depth = 0
    for index in range(opening, len(tokens)):
        kind = tokens[index].type
        if kind in ("LPAR", "LSQB"):
            depth += 1
        elif kind in ("RPAR", "RSQB"):
            depth -= 1
            if depth == 0:
                return index
        elif kind in ("LBRACE", "RBRACE"):
            return None
    return None


def line_start(tokens: list[Token], index: int) -> int:
    """Index of the first token on the text line of ``tokens[index]``."""
    while index > 0 and tokens[index - 1].type != NEW_LINE:
        index -= 1
    return index


def line_end(tokens: list[Token], index: int) -> int:
    """Index of the line end at or after ``index`` (or the number of tokens)."""
    while index < len(tokens) and tokens[index].type != NEW_LINE:
        index += 1
    return index


def without_line(tokens: list[Token], first: int, last: int) -> list[Token]:
    """The tokens without the lines from that of ``first`` to that of ``last``; a block's opening keeps its brace."""
    start, end = line_start(tokens, first), line_end(tokens, last)
    kept: list[Token] = []
    if end > start + 1 and tokens[end - 1].type == "LBRACE":
        kept = [like(tokens[start], "NAME", "_"), tokens[end - 1]]
    return tokens[:start] + kept + tokens[end:]


def like(neighbour: Token, kind: str, text: str) -> Token:
    """A token that stands where ``neighbour`` stands."""
    token = Token(kind, text, neighbour.start_pos)
    token.end_pos = neighbour.end_pos
    return token
