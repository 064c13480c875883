"""What to say about a character that no token begins with (E0101, E0102, E0104).

Each finding covers the characters that the user would change; the line around it is left out of the parse.
"""

from __future__ import annotations

import re

from npudsl.diagnostics import Diagnostic, Fix, Label, Source, Span

_NUMBER_LIKE = re.compile(r"[0-9.][0-9A-Za-z_.%]*")
_LEADING_ZEROS = re.compile(r"0+[0-9]+")
_UNITS = "%, KiB, MiB, GiB, ms, s, min"


def unexpected_character(source: Source, offset: int) -> Diagnostic:
    """The diagnostic for the first character that cannot begin a token."""
    text = source.text
    character = text[offset]
    if character in "0123456789" or (character == "." and text[offset + 1 : offset + 2].isdigit()):
        return _malformed_number(source, offset)
    if character == '"':
        return _open_string(source, offset)
    span = Span(source, offset, offset + 1)
    message, helps, replacement = _character_advice(character)
    fixes = _line_fixes(source, offset) if replacement is None else (Fix(span, replacement, message),)
    return Diagnostic("E0101", message, labels=(Label(span),), helps=helps, fixes=fixes)


_OTHER_QUOTES = re.compile(r"'([^'\"\\\n]*)'|`([^`\"\\\n]*)`|[“”„«»]([^“”„«»\"\\\n]*)[“”„«»]")
_COLON = re.compile(r"[ \t]*:[ \t]*(?=[^ \t\r\n])")


def _line_fixes(source: Source, offset: int) -> tuple[Fix, ...]:
    """Edits that need the characters around: other quotes, `:` between key and value, `;` between two settings."""
    text = source.text
    start = text.rfind("\n", 0, offset) + 1
    before = text[start:offset]
    quoted = _OTHER_QUOTES.match(text, offset)
    if quoted is not None:
        inner = next(group for group in quoted.groups() if group is not None)
        return (Fix(Span(source, offset, quoted.end()), f'"{inner}"', "write double quotes"),)
    if text[offset] == ":" and re.fullmatch(r"[ \t]*[\w.-]+[ \t]*", before):
        place = start + len(before.rstrip())
        colon = _COLON.match(text, place)
        return (Fix(Span(source, place, colon.end()), " = ", "write `=`"),) if colon else ()
    if text[offset] == ";":
        rest = text[offset + 1 :].partition("\n")[0]
        if not rest.strip() or rest.lstrip().startswith(("#", ";")):
            return (Fix(Span(source, offset, offset + 1), "", "remove `;`"),)
        indent = before[: len(before) - len(before.lstrip())]
        end = offset + 1 + len(rest) - len(rest.lstrip())
        return (Fix(Span(source, offset, end), f"\n{indent}", "begin a new line"),)
    return ()


def _character_advice(character: str) -> tuple[str, tuple[str, ...], str | None]:
    """Message, helps and, where deleting or replacing the character mends the line, its replacement."""
    if character == ";":
        return "`;` is not needed: one setting per line", (), None
    if character == "'":
        return "strings stand in double quotes", ("write \"text\" instead of 'text'",), None
    if character == "`":
        return "strings stand in double quotes", ('write "text"',), None
    if character == ":":
        return "`:` is not used here", ("write `key = value`",), None
    if character == "\\":
        return "`\\` is not used here", ("a line cannot be continued; lists in `[ ]` may take several lines",), None
    if character == "$":
        return "`$` stands only inside strings", ("write the constant's name without `${ }`",), None
    if character == "\ufeff":
        return "the file begins with a byte order mark", ("save it as UTF-8 without BOM",), ""
    if character == "\u00a0":
        return "this is a no-break space", ("write a normal space",), " "
    if character in "“”„«»":
        return "this is a typographic quote", ('write "text" with straight double quotes',), None
    if character == "\r":
        return "a carriage return stands alone", ("end lines with LF, or with CR LF",), None
    if character == "@":
        return "`@` stands only inside paths", ('write "@root/path" with its quotes',), None
    if character == "!":
        return "`!` is not used here", ("conditions are `>=`, `<=`, `==`, `!=`, `>` and `<`",), None
    if character == ".":
        return "`.` stands only inside names and numbers", (), None
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    return f"`{shown}` is not a character of the language", (), None


def _malformed_number(source: Source, offset: int) -> Diagnostic:
    match = _NUMBER_LIKE.match(source.text, offset)
    assert match is not None
    written = match.group()
    span = Span(source, offset, match.end())
    advice, replacement = _number_advice(written)
    fixes = (Fix(span, replacement, f"write {replacement}"),) if replacement else ()
    return Diagnostic("E0102", f"`{written}` is not a number", labels=(Label(span),), helps=(advice,), fixes=fixes)


def _number_advice(written: str) -> tuple[str, str]:
    """What to write instead, and the exact replacement where there is only one."""
    if written.startswith(".") and written[1:].isdigit():
        return f"write 0{written}", f"0{written}"
    if written.endswith(".") and written[:-1].isdigit():
        return f"write {written[:-1]} or {written}0", f"{written}0"
    if "_" in written and written.replace("_", "").isdigit():
        plain = written.replace("_", "")
        return f"write {plain}", plain
    if _LEADING_ZEROS.fullmatch(written):
        plain = written.lstrip("0")
        return f"write {plain}", plain
    if re.fullmatch(r"[0-9]+([xX][0-9]+)+", written):
        sizes = written.lower()
        return f"extents are joined with a small x and are at least 1, for example {sizes}", ""
    number = re.match(r"[0-9]+(\.[0-9]+)?", written)
    if number is not None and written[number.end() :].isalpha():
        return f"`{written[number.end() :]}` is not a unit ({_UNITS}); write the number alone: {number.group()}", ""
    return "numbers look like 12, 0.5, 1e-3, 0x88, 10% or 2MiB", ""


def _open_string(source: Source, offset: int) -> Diagnostic:
    line = source.line_column(offset)[0]
    start = source.line_column(offset)[1] - 1
    span = Span(source, offset, offset + len(source.line(line)[start:].rstrip()))
    return Diagnostic(
        "E0104",
        "the string that starts here has no closing quote on this line",
        labels=(Label(span),),
        helps=('a string ends with " on its line; a quote inside it is written \\"',),
    )
