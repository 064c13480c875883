"""Mistakes of brackets and blocks: what is open, what closes nothing, what stands on the wrong line."""

from __future__ import annotations

from npudsl.diagnostics import Diagnostic, Fix, Label, Span
from npudsl.language.recovery import Mistake, Reader, shown
from npudsl.language.tokens import (
    NEW_LINE,
    Token,
    like,
    line_end,
    line_start,
    matching_close,
    open_brackets,
    without_line,
)

_OPENING_TEXT = {"RPAR": ")", "RSQB": "]"}
_CLOSING_TEXT = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}


def bracket_from_an_earlier_line(reader: Reader) -> Mistake | None:
    if not reader.brackets or reader.tokens[reader.brackets[-1]].type == "LBRACE":
        return None
    opening = reader.brackets[-1]
    last = reader.index - 1
    if reader.kind not in (NEW_LINE, "END", "RBRACE") and line_start(reader.tokens, opening) == line_start(
        reader.tokens, reader.index
    ):
        return None
    closing = matching_close(reader.tokens, opening)
    if closing is not None and not reader.at_end:
        line = _first_line_of(reader, opening)
        dropped = tuple(token.start_pos for token in reader.tokens[line : closing + 1])
        token = shown(reader)
        diagnostic = Diagnostic(
            "E0105",
            f"a `,` is missing before `{token}`" if reader.starts_line else f"`{token}` does not fit here",
            labels=(Label(reader.span()),),
            helps=("the items of a list and the arguments of a call are separated by `,`",),
        )
        return Mistake(diagnostic, without_line(reader.tokens, line, closing), dropped)
    return _never_closed(reader, opening, last)


def _first_line_of(reader: Reader, opening: int) -> int:
    """Index of a token on the line where the statement of ``opening`` begins."""
    outer = [bracket for bracket in open_brackets(reader.tokens, opening) if reader.tokens[bracket].type != "LBRACE"]
    return outer[0] if outer else opening


def _never_closed(reader: Reader, opening: int, last: int) -> Mistake:
    token = reader.tokens[opening]
    labels = [Label(reader.span(opening), "opened here")]
    closing = _CLOSING_TEXT[token.type]
    next_line = _next_statement(reader, opening)
    if next_line is not None:
        text = f'a new statement starts here, so the "{closing}" belongs before it'
        labels.append(Label(reader.span(next_line), text, primary=False))
    fixes = _closing_fix(reader, opening, closing)
    diagnostic = Diagnostic("E0103", f'"{token}" is never closed', labels=tuple(labels), fixes=fixes)
    line = _first_line_of(reader, opening)
    dropped = reader.tokens[line_start(reader.tokens, line)].start_pos
    return Mistake(diagnostic, without_line(reader.tokens, line, opening), (dropped,))


def _closing_fix(reader: Reader, opening: int, closing: str) -> tuple[Fix, ...]:
    """A bracket whose line goes on with a value and is followed by a new setting closes at the end of its line."""
    end, following = line_end(reader.tokens, opening), _next_statement(reader, opening)
    if end <= opening + 1 or reader.tokens[end - 1].type == "COMMA":
        return ()
    if following is not None and reader.tokens[following].type != "RBRACE":
        kinds = [token.type for token in reader.tokens[following : following + 2]]
        if kinds != ["NAME", "EQUAL"]:
            return ()
    place = reader.tokens[end - 1].end_pos
    return (Fix(Span(reader.source, place, place), closing, f"write `{closing}`"),)


def _next_statement(reader: Reader, opening: int) -> int | None:
    """The first token after the bracket's line that begins a line, where there is one."""
    index = line_end(reader.tokens, opening)
    while index < len(reader.tokens) and reader.tokens[index].type == NEW_LINE:
        index += 1
    return index if index < len(reader.tokens) else None


def brace_never_closed(reader: Reader) -> Mistake | None:
    if not reader.at_end or not reader.brackets:
        return None
    opening, place = _misindented(reader)
    labels = [Label(reader.span(opening), "opened here")]
    if place < len(reader.tokens):
        text = 'the indentation says that the block has ended, so the "}" belongs before this line'
        labels.append(Label(reader.span(place), text, primary=False))
    neighbour = reader.tokens[min(place, len(reader.tokens) - 1)]
    inserted = [like(neighbour, "RBRACE", "}"), like(neighbour, NEW_LINE, "\n")]
    tokens = reader.tokens[:place] + inserted + reader.tokens[place:]
    return Mistake(Diagnostic("E0103", '"{" is never closed', labels=tuple(labels)), tokens)


def _misindented(reader: Reader) -> tuple[int, int]:
    """The ``{`` whose block ends without ``}`` by the indentation of the lines, and where the ``}`` belongs."""
    tokens = reader.tokens
    stack: list[tuple[int, int]] = []
    indentation = 0
    for index, token in enumerate(tokens):
        if index == 0 or tokens[index - 1].type == NEW_LINE:
            indentation = reader.column(index)
            if stack and token.type != NEW_LINE:
                closes = token.type == "RBRACE"
                if indentation < stack[-1][1] or (indentation == stack[-1][1] and not closes):
                    return stack[-1][0], index
        if token.type == "LBRACE":
            stack.append((index, reader.column(line_start(tokens, index))))
        elif token.type == "RBRACE" and stack:
            stack.pop()
    return reader.brackets[-1], len(tokens)


def unmatched_closing(reader: Reader) -> Mistake | None:
    if reader.kind == "RBRACE" and not reader.depth:
        return reader.with_block_before(reader.dropping("E0103", "this `}` closes no block"))
    if reader.kind in _OPENING_TEXT and not any(
        reader.tokens[bracket].type in ("LPAR", "LSQB") for bracket in reader.brackets
    ):
        return reader.dropping("E0103", f"this `{reader.text}` closes nothing")
    return None


def block_on_one_line(reader: Reader) -> Mistake | None:
    help_text = "a block opens with `{` at the end of the line; its settings stand on their own lines, and so does `}`"
    if reader.before_kind == "LBRACE" and reader.kind != NEW_LINE:
        return _split_line(reader, reader.index - 1, help_text)
    if reader.kind == "RBRACE" and not reader.starts_line and reader.depth and reader.before_kind != "EQUAL":
        return _split_line(reader, reader.index, help_text)
    return None


def _split_line(reader: Reader, brace: int, help_text: str) -> Mistake:
    """Put line ends behind every ``{`` and around every ``}`` of the line."""
    start, end = line_start(reader.tokens, brace), line_end(reader.tokens, brace)
    spread: list[Token] = []
    for token in reader.tokens[start:end]:
        if token.type == "RBRACE" and spread and spread[-1].type != NEW_LINE:
            spread.append(like(token, NEW_LINE, "\n"))
        spread.append(token)
        if token.type == "LBRACE" or (token.type == "RBRACE" and token is not reader.tokens[end - 1]):
            spread.append(like(token, NEW_LINE, "\n"))
    tokens = reader.tokens[:start] + spread + reader.tokens[end:]
    return reader.continuing(tokens, "E0106", "a block does not fit on one line", help_text, span=reader.span(brace))


def brace_on_its_own_line(reader: Reader) -> Mistake | None:
    """``model net`` and ``{`` on the next line, or no ``{`` at all."""
    message, help_text = "the `{` of a block stands at the end of its first line", "write `model net {`"
    if reader.kind == "LBRACE" and reader.starts_line and reader.index:
        brace, first = reader.index, reader.index
    elif reader.kind == NEW_LINE and reader.line and reader.line[0].type in ("NAME", "PRESET") and not reader.depth:
        if any(token.type in ("EQUAL", "CMP", "LBRACE") for token in reader.line):
            return None
        brace, first = _skip_line_ends(reader, reader.index), reader.index
        if brace >= len(reader.tokens) or reader.tokens[brace].type != "LBRACE":
            return _block_without_brace(reader, brace)
    else:
        return None
    while first > 0 and reader.tokens[first - 1].type == NEW_LINE:
        first -= 1
    tokens = reader.tokens[:first] + reader.tokens[brace:]
    comment = first > 0 and "#" in reader.source.text[reader.tokens[first - 1].end_pos : reader.tokens[brace].start_pos]
    fixes: tuple[Fix, ...] = ()
    if first > 0 and not comment:
        gap = Span(reader.source, reader.tokens[first - 1].end_pos, reader.tokens[brace].end_pos)
        fixes = (Fix(gap, " {", "put `{` on the line before"),)
    return reader.continuing(tokens, "E0106", message, help_text, span=reader.span(brace), fixes=fixes)


def _skip_line_ends(reader: Reader, index: int) -> int:
    while index < len(reader.tokens) and reader.tokens[index].type == NEW_LINE:
        index += 1
    return index


def _block_without_brace(reader: Reader, following: int) -> Mistake:
    words = " ".join(str(token) for token in reader.line)
    message, advice = "this block has no `{`", f"write `{words} {{` and close the block with `}}`"
    place = reader.after_before()
    indented = following < len(reader.tokens) and reader.column(following) > reader.column(
        line_start(reader.tokens, reader.index - 1)
    )
    if not indented:
        return reader.dropping("E0106", message, advice, span=place)
    assert reader.before is not None
    brace = like(reader.before, "LBRACE", "{")
    tokens = [*reader.tokens[: reader.index], brace, *reader.tokens[reader.index :]]
    return reader.continuing(tokens, "E0106", message, advice, span=place)


def block_with_equals(reader: Reader) -> Mistake | None:
    if reader.kind != "LBRACE" or reader.before_kind != "EQUAL":
        return None
    tokens = reader.tokens[: reader.index - 1] + reader.tokens[reader.index :]
    place = reader.span(reader.index - 1)
    fixes = (Fix(place, "", "remove `=`"),)
    return reader.continuing(tokens, "E0105", "a block has no `=`", "write `name {`", span=place, fixes=fixes)


def no_line_end_after_brace(reader: Reader) -> Mistake | None:
    if reader.before is None or reader.before_kind != "RBRACE" or reader.kind in (NEW_LINE, "END"):
        return None
    tokens = [*reader.tokens[: reader.index], like(reader.before, NEW_LINE, "\n"), *reader.tokens[reader.index :]]
    return reader.continuing(tokens, "E0106", "nothing may follow `}` on its line", "begin a new line after `}`")
