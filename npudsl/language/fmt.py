"""The one layout of program text, made from its tokens.

Tokens, not the tree: every comment and blank line is there, and nothing can be lost that the tree does not hold. What
is written stays in its order and on its lines; what changes is blanks. The exceptions change no value: a list or call
that is broken over lines has one item per line and a comma behind the last, one on a single line has none there; the
letters of ``0X88`` and ``1E-3`` become small. There are no options, nothing is aligned (a changed line must not move
its neighbours), and text with syntax errors is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from npudsl.diagnostics import Source, UserError
from npudsl.language.lalr import parse_tokens
from npudsl.language.lexer import FOREIGN, Token, lex
from npudsl.language.tables import tables

INDENT = "  "
BEFORE_COMMENT = "  "
_OPENING = ("LPAR", "LSQB")
_CLOSING = ("RPAR", "RSQB")
_OPERANDS = frozenset(("NAME", "NUMBER", "HEX", "SIZE", "STRING", "REGEX", "TRUE", "FALSE", *_CLOSING))
"""A ``-`` behind one of these is a subtraction, else a sign."""


def formatted(source: Source) -> str:
    """The text of ``source`` in its layout; raises ``UserError`` with the syntax errors when it has any."""
    text = source.text if source.text.endswith("\n") else source.text + "\n"
    tokens = [token for token in lex(text) if token.type != "WS_INLINE"]
    _refuse_errors(source, tokens)
    result = _Layout(tokens).text()
    if _meaning(tokens) != _meaning(list(lex(result))):
        raise AssertionError(f"{source.name}: the layout would change the program; please report this file")
    return result


def _refuse_errors(source: Source, tokens: Sequence[Token]) -> None:
    ignored = tables().ignored
    written = [token for token in tokens if token.type not in ignored]
    if any(token.type == FOREIGN for token in written) or isinstance(parse_tokens(written), int):
        from npudsl.language.parse import parse

        raise UserError(parse(source).problems)


def _meaning(tokens: Iterable[Token]) -> tuple[list[str], list[str]]:
    """What a layout must keep: the words without last commas, and the words with the comments between them."""
    words: list[str] = []
    commented: list[str] = []
    for token in tokens:
        if token.type in ("WS_INLINE", "_NL"):
            continue
        if token.type != "COMMA":
            commented.append(_written(token))
        if token.type in _CLOSING and words and words[-1] == ",":
            words.pop()
        if token.type != "COMMENT":
            words.append(_written(token))
    return words, commented


def _written(token: Token) -> str:
    if token.type == "COMMENT":
        return token.text.rstrip()
    if token.type == "HEX":
        return "0x" + token.text[2:]
    if token.type == "NUMBER":
        return token.text.replace("E", "e")
    return token.text


class _Layout:
    """One pass over the tokens, writing lines."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.broken = _broken_brackets(tokens)
        self.lines: list[str] = []
        self.line: list[str] = []
        self.depth = 0
        self.brackets: list[bool] = []
        """For every open ``(`` and ``[``: whether it is broken over lines."""
        self.before = ""
        """Type of the token before; empty at the beginning of a statement."""
        self.behind_sign = False
        self.is_setting = False
        self.ends_line = False
        """A comma or an opening bracket was the last on its line; only a comment may follow there."""
        self.blank = False
        """A blank line was seen, to be written before the next line."""
        self.opened = True
        """Nothing stands between an opening bracket (or the beginning) and here: no blank line is kept."""

    def text(self) -> str:
        for index, token in enumerate(self.tokens):
            if token.type == "_NL":
                self._line_end(token)
            elif token.type == "COMMENT":
                self._comment(_written(token))
            else:
                self._word(token, index)
        return "".join(f"{line}\n" for line in self.lines)

    def _line_end(self, token: Token) -> None:
        if self.brackets and not self.brackets[-1]:
            return
        self._end_item()
        self._flush()
        self.blank = self.blank or token.text.count("\n") > 1
        if not self.brackets:
            self.before = ""

    def _comment(self, text: str) -> None:
        if self.line:
            self._end_item()
            self.line.append(BEFORE_COMMENT + text)
        else:
            self._start_line(text)

    def _word(self, token: Token, index: int) -> None:
        kind = token.type
        if kind == "COMMA" and self._is_needless(index):
            return
        if self.ends_line:
            self._flush()
        if kind in _CLOSING and self.brackets.pop():
            self._close_broken()
        if kind == "RBRACE":
            self.depth -= 1
            self.blank = False
        if not self.before:
            self.is_setting = kind == "LET" or (kind == "NAME" and self._type(index + 1) == "EQUAL")
        if self.line:
            self.line.append(self._space(kind) + _written(token))
        else:
            self._start_line(_written(token))
        self.behind_sign = kind == "MINUS" and self.before not in _OPERANDS
        self.before = kind
        self._open(kind, index)

    def _open(self, kind: str, index: int) -> None:
        if kind in _OPENING:
            self.brackets.append(index in self.broken)
            self.ends_line = self.opened = self.brackets[-1]
        elif kind == "LBRACE":
            self.depth += 1
            self.opened = True
        elif kind == "COMMA":
            self.ends_line = bool(self.brackets) and self.brackets[-1]

    def _is_needless(self, index: int) -> bool:
        """Whether a comma stands before the closing bracket of a list on one line."""
        return bool(self.brackets) and not self.brackets[-1] and self._type(index + 1) in _CLOSING

    def _end_item(self) -> None:
        """Inside a broken list a line ends with a comma, where an item has ended; the last one may have had none."""
        if self.line and self.brackets and self.brackets[-1] and self.before not in ("COMMA", *_OPENING):
            self.line.append(",")
            self.before = "COMMA"

    def _close_broken(self) -> None:
        """The closing bracket of a broken list begins a line. The bracket is no longer in ``brackets``."""
        if self.line and self.before not in ("COMMA", *_OPENING):
            self.line.append(",")
        self.blank = False
        self._flush()

    def _space(self, kind: str) -> str:
        """What stands between the token before and one of type ``kind`` on a line."""
        pair = (self.before, kind)
        if self.behind_sign or kind in ("COMMA", *_CLOSING) or self.before in _OPENING:
            return ""
        if pair in (("NAME", "LPAR"), ("LBRACE", "RBRACE")):
            return ""
        if "EQUAL" in pair:
            return " " if self.is_setting and not self.brackets else ""
        return "" if "SLASH" in pair or "STAR" in pair else " "

    def _type(self, index: int) -> str:
        return self.tokens[index].type if index < len(self.tokens) else ""

    def _start_line(self, text: str) -> None:
        if self.blank and not self.opened:
            self.lines.append("")
        self.blank = self.opened = False
        self.line = [INDENT * (self.depth + sum(self.brackets)) + text]

    def _flush(self) -> None:
        self.ends_line = False
        if self.line:
            self.lines.append("".join(self.line))
            self.line = []


def _broken_brackets(tokens: Sequence[Token]) -> set[int]:
    """Indices of the opening brackets of lists and calls that are written over several lines and are not empty.

    The parentheses of an expression cannot be broken themselves.
    """
    broken: set[int] = set()
    opened: list[int] = []
    last_line_end = last_written = -1
    for index, token in enumerate(tokens):
        if token.type in _OPENING:
            opened.append(index)
        elif token.type in _CLOSING:
            opening = opened.pop()
            is_group = tokens[opening].type == "LPAR" and tokens[opening - 1].type != "NAME"
            if last_line_end > opening and last_written > opening and not is_group:
                broken.add(opening)
        if token.type == "_NL":
            last_line_end = index
        else:
            last_written = index
    return broken
