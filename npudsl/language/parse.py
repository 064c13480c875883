"""Text to syntax tree, with every independent syntax error of the file in one run.

On a token that does not fit, ``mistakes`` names the mistake and gives the tokens to go on with, and the parse starts
over, at most 20 times. Parsing tokens instead of text lets recovery insert a missing ``}`` without moving a single
position. What only a faulty file needs is imported when a fault is found.
"""

from __future__ import annotations

from npudsl.diagnostics import Diagnostic, Source
from npudsl.language.lalr import parse_tokens
from npudsl.language.lexer import FOREIGN, Token, lex
from npudsl.language.syntax import Parsed
from npudsl.language.tables import tables
from npudsl.language.tree import TreeReader

MOST_ERRORS = 20
"""More errors than this are not looked for: the first ones are read, the later ones often follow from them."""


def parse(source: Source) -> Parsed:
    """The syntax tree of ``source``; lines with syntax errors are reported and left out."""
    tokens, problems, dropped = _tokens(source)
    while True:
        if len(problems) >= MOST_ERRORS or not tokens:
            return Parsed(source, (), tuple(_in_order(problems)), complete=not problems)
        outcome = parse_tokens(tokens)
        if not isinstance(outcome, int):
            break
        from npudsl.language.mend import mended

        tokens = mended(source, tokens, outcome, problems, dropped)
    items = TreeReader(source, dropped).items(outcome)
    inside = [item.span for item in items]
    loose = any(not any(span.start < offset < span.end for span in inside) for offset in dropped)
    return Parsed(source, items, tuple(_in_order(problems)), complete=not loose)


def _tokens(source: Source) -> tuple[list[Token], list[Diagnostic], list[int]]:
    """All tokens but ignored ones; lines with a foreign character are reported and blanked out."""
    text = source.text if source.text.endswith("\n") else source.text + "\n"
    tokens: list[Token] = []
    problems: list[Diagnostic] = []
    dropped: list[int] = []
    start = 0
    while len(problems) < MOST_ERRORS:
        offset = _read_tokens(text, start, tokens)
        if offset is None:
            break
        from npudsl.language.characters import unexpected_character

        problems.append(unexpected_character(source, offset))
        line = text.rfind("\n", 0, offset) + 1
        end = text.index("\n", offset)
        dropped.append(line)
        text = text[:line] + _blank(text[line:end]) + text[end:]
        start = line
        while tokens and tokens[-1].end_pos >= line:
            start = tokens.pop().start_pos
    return tokens, problems, dropped


def _read_tokens(text: str, start: int, tokens: list[Token]) -> int | None:
    """Add the tokens from ``start`` on; returns the place of the first foreign character, None at the end."""
    ignored = tables().ignored
    for token in lex(text, start):
        if token.type == FOREIGN:
            return token.start_pos
        if token.type not in ignored:
            tokens.append(token)
    return None


def _blank(line: str) -> str:
    """Spaces, with the brace kept where the line opens or closes a block, so that the rest keeps its shape."""
    bare = line.rstrip()
    if bare.endswith("{") and len(bare) > 2:
        indent = len(line) - len(line.lstrip())
        indent = min(indent, len(bare) - 3)
        return (" " * indent + "_").ljust(len(bare) - 1) + "{" + " " * (len(line) - len(bare))
    if bare.lstrip().startswith("}"):
        return (" " * bare.index("}") + "}").ljust(len(line))
    return " " * len(line)


def _in_order(problems: list[Diagnostic]) -> list[Diagnostic]:
    return sorted(problems, key=lambda problem: problem.labels[0].span.start)
