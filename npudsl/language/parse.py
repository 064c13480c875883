"""Text to syntax tree, with every independent syntax error of the file in one run.

LALR by Lark with the basic lexer. The parser is fed token by token: on a token that does not fit, ``mistakes`` names
the mistake and gives the tokens to go on with, and the parse starts over, at most 20 times. Feeding tokens instead of
text lets recovery insert a missing ``}`` without moving a single position.

Lark is imported when the first file is parsed: light commands that parse nothing do not pay for it. Its ``cache``
option is not used: it unpickles a file with a predictable name from the shared temporary folder.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from npudsl.diagnostics import Diagnostic, Source
from npudsl.language.characters import unexpected_character
from npudsl.language.mistakes import find_mistake
from npudsl.language.recovery import Mistake
from npudsl.language.syntax import Parsed
from npudsl.language.tokens import Token, without_line
from npudsl.language.tree import TreeReader

MOST_ERRORS = 20
"""More errors than this are not looked for: the first ones are read, the later ones often follow from them."""


def parse(source: Source) -> Parsed:
    """The syntax tree of ``source``; lines with syntax errors are reported and left out."""
    tokens, problems, dropped = _tokens(source)
    while True:
        outcome = _feed(tokens)
        if not isinstance(outcome, int):
            break
        mistake = find_mistake(source, tokens, outcome)
        if mistake.tokens == tokens or _is_repeated(mistake.diagnostic, problems):
            mistake = _leave_line_out(mistake, tokens, outcome)
        else:
            problems.append(mistake.diagnostic)
        tokens = mistake.tokens
        dropped.extend(mistake.dropped)
        if len(problems) >= MOST_ERRORS or not tokens:
            return Parsed(source, (), tuple(_in_order(problems)), complete=False)
    items = TreeReader(source, dropped).items(outcome)
    inside = [item.span for item in items]
    loose = any(not any(span.start < offset < span.end for span in inside) for offset in dropped)
    return Parsed(source, items, tuple(_in_order(problems)), complete=not loose)


def grammar_text() -> str:
    """The grammar: packaged beside this module, or in ``grammar/`` of a checkout."""
    here = Path(__file__).resolve().parent
    for path in (here / "npu.lark", here.parent.parent / "grammar" / "npu.lark"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError("npu.lark is neither beside npudsl.language nor in the checkout's grammar folder")


@cache
def _parser() -> Any:
    from lark import Lark

    return Lark(grammar_text(), parser="lalr", lexer="basic", maybe_placeholders=True, propagate_positions=False)


def _tokens(source: Source) -> tuple[list[Token], list[Diagnostic], list[int]]:
    """All tokens but ignored ones; lines with a foreign character are reported and blanked out."""
    from lark import UnexpectedCharacters

    text = source.text if source.text.endswith("\n") else source.text + "\n"
    problems: list[Diagnostic] = []
    dropped: list[int] = []
    while True:
        interactive = _parser().parse_interactive(text)
        try:
            return list(interactive.lexer_thread.lex(interactive.parser_state)), problems, dropped
        except UnexpectedCharacters as error:
            offset = error.pos_in_stream or 0
            if len(problems) < MOST_ERRORS:
                problems.append(unexpected_character(source, offset))
            start = text.rfind("\n", 0, offset) + 1
            end = text.index("\n", offset)
            dropped.append(start)
            text = text[:start] + _blank(text[start:end]) + text[end:]


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


def _feed(tokens: list[Token]) -> Any:
    """The tree, or the index of the first token that does not fit (the number of tokens for the end)."""
    from lark import UnexpectedInput

    parser = _parser().parse_interactive("")
    for index, token in enumerate(tokens):
        try:
            parser.feed_token(token)
        except UnexpectedInput:
            return index
    try:
        return parser.feed_eof(tokens[-1] if tokens else None)
    except UnexpectedInput:
        return len(tokens)


def _is_repeated(diagnostic: Diagnostic, problems: list[Diagnostic]) -> bool:
    return any(problem.labels[0].span == diagnostic.labels[0].span for problem in problems)


def _leave_line_out(mistake: Mistake, tokens: list[Token], index: int) -> Mistake:
    """Go on without the line of a mistake that was reported before; where that changes nothing, without one token."""
    at = max(0, min(index, len(tokens) - 1))
    while at > 0 and tokens[at].type == "_NL":
        at -= 1
    shorter = without_line(tokens, at, at)
    if len(shorter) >= len(tokens):
        shorter = tokens[:at] + tokens[at + 1 :]
    return Mistake(mistake.diagnostic, shorter, (tokens[at].start_pos,))


def _in_order(problems: list[Diagnostic]) -> list[Diagnostic]:
    return sorted(problems, key=lambda problem: problem.labels[0].span.start)
