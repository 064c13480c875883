"""What recognisers of mistakes share: the tokens around the one that did not fit, and ways to go on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from npudsl.diagnostics import Diagnostic, Fix, Label, Source, Span
from npudsl.language.tokens import NEW_LINE, Token, line_start, open_brackets, without_line


@dataclass(frozen=True)
class Mistake:
    """A finding and the tokens to parse instead. ``dropped``: offsets of lines that were left out."""

    diagnostic: Diagnostic
    tokens: list[Token]
    dropped: tuple[int, ...] = ()


class Reader:
    """The tokens around the one that did not fit."""

    def __init__(self, source: Source, tokens: list[Token], index: int) -> None:
        self.source = source
        self.tokens = tokens
        self.index = index
        self.at_end = index >= len(tokens)
        self.kind = "END" if self.at_end else tokens[index].type
        self.text = "" if self.at_end else str(tokens[index])
        self.before = tokens[index - 1] if index else None
        self.before_kind = self.before.type if self.before is not None else NEW_LINE
        self.brackets = open_brackets(tokens, min(index, len(tokens)))
        self.depth = sum(tokens[bracket].type == "LBRACE" for bracket in self.brackets)
        start = line_start(tokens, min(index, len(tokens) - 1)) if tokens else 0
        self.line = tokens[start:index]

    @property
    def starts_line(self) -> bool:
        return self.before_kind == NEW_LINE

    def span(self, index: int | None = None) -> Span:
        at = min(self.index if index is None else index, len(self.tokens) - 1)
        token = self.tokens[at]
        end = token.start_pos + 1 if token.type == NEW_LINE else token.end_pos
        return Span(self.source, token.start_pos, end)

    def column(self, index: int) -> int:
        """The column of a token, counted from 1."""
        return self.source.line_column(self.tokens[index].start_pos)[1]

    def after_before(self) -> Span:
        """The place just behind the previous token."""
        assert self.before is not None
        return Span(self.source, self.before.end_pos, self.before.end_pos + 1)

    def dropping(
        self, code: str, message: str, *helps: str, span: Span | None = None, fixes: tuple[Fix, ...] = ()
    ) -> Mistake:
        """The finding with its line left out."""
        at = min(self.index, len(self.tokens) - 1)
        if not self.at_end and self.kind == NEW_LINE and at > 0:
            at -= 1
        dropped = self.tokens[line_start(self.tokens, at)].start_pos
        diagnostic = Diagnostic(code, message, labels=(Label(span or self.span()),), helps=helps, fixes=fixes)
        return Mistake(diagnostic, without_line(self.tokens, at, at), (dropped,))

    def with_block_before(self, mistake: Mistake) -> Mistake:
        """The mistake, with the block that ended before it taken as incomplete: it may have been closed too early."""
        ends = [token.start_pos for token in self.tokens[: self.index] if token.type == "RBRACE"]
        return replace(mistake, dropped=(*mistake.dropped, *ends[-1:]))

    def continuing(
        self,
        tokens: list[Token],
        code: str,
        message: str,
        *helps: str,
        span: Span | None = None,
        fixes: tuple[Fix, ...] = (),
    ) -> Mistake:
        """The finding, going on with edited tokens."""
        labels = (Label(span or self.span()),)
        return Mistake(Diagnostic(code, message, labels=labels, helps=helps, fixes=fixes), tokens)


def shown(reader: Reader) -> str:
    return "the end of the line" if reader.kind in (NEW_LINE, "END") else reader.text


def last_span(reader: Reader) -> Span:
    return reader.span(reader.index - 1)
