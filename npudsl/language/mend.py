"""One step of error recovery: the mistake is reported, and the parse goes on with other tokens."""

from __future__ import annotations

from npudsl.diagnostics import Diagnostic, Source
from npudsl.language.mistakes import find_mistake
from npudsl.language.recovery import Mistake
from npudsl.language.tokens import Token, without_line


def mended(
    source: Source, tokens: list[Token], index: int, problems: list[Diagnostic], dropped: list[int]
) -> list[Token]:
    """The tokens to go on with; adds to ``problems`` and ``dropped``."""
    mistake = find_mistake(source, tokens, index)
    if mistake.tokens == tokens or _is_repeated(mistake.diagnostic, problems):
        mistake = _leave_line_out(mistake, tokens, index)
    else:
        problems.append(mistake.diagnostic)
    dropped.extend(mistake.dropped)
    return mistake.tokens


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
