"""The line form that the committed text artefacts share: fields separated by one space, names quoted when they must be.

Both artefacts (the quantization table and the lock) are read strictly: a line is right when writing what was read gives
the same line again. So there is one spelling of every fact, and a diff shows changes of facts only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TypeVar

from npudsl.diagnostics import Diagnostic, Place, UserError

LineValue = TypeVar("LineValue")

MAXIMUM_PROBLEMS = 20
"""More problems than this in one file say nothing new."""

_FIELD = re.compile(r'"(?:[^"\\]|\\.)*"|[^ ]+')
_BARE = re.compile(r"[^\s\"\\#][^\s\"\\]*")
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|(.))", re.DOTALL)
_PLAIN_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_CONFLICT = re.compile(r"(<{7}|={7}|>{7}|\|{7})( |$)")


class BadLine(ValueError):
    """What is wrong with one line; the reader adds path and line number."""


def name_text(name: str) -> str:
    """The name as it stands in a line: bare when it is one plain word, else a string with the language's escapes."""
    if _BARE.fullmatch(name) and name.isprintable():
        return name
    return string_text(name)


def string_text(text: str) -> str:
    """``text`` as a string in double quotes on one line."""
    escaped = []
    for character in text:
        if character in '"\\':
            escaped.append("\\" + character)
        elif character == "\n":
            escaped.append("\\n")
        elif character == "\t":
            escaped.append("\\t")
        elif character.isprintable():
            escaped.append(character)
        else:
            escaped.append(f"\\u{{{ord(character):x}}}")
    return '"' + "".join(escaped) + '"'


def read_name(field: str) -> str:
    """The inverse of ``name_text``; raises ``BadLine``."""
    if not field.startswith('"'):
        return field
    if len(field) < 2 or not field.endswith('"'):
        raise BadLine("the string is not closed")

    def plain(match: re.Match[str]) -> str:
        code, character = match.groups()
        if code is not None and int(code, 16) <= 0x10FFFF:
            return chr(int(code, 16))
        if character in _PLAIN_ESCAPES:
            return _PLAIN_ESCAPES[character]
        raise BadLine(f"{match.group()} is not an escape")

    return _ESCAPE.sub(plain, field[1:-1])


def split_fields(line: str) -> list[str]:
    """The fields of a line; a string in quotes is one field."""
    return _FIELD.findall(line)


def number_text(value: float, digits: int) -> str:
    """Shortest decimal text of ``value`` rounded to ``digits`` significant digits; -0 is 0.

    No exponent between 1e-4 and 10**digits.
    """
    text = format(value, f".{digits}g")
    mantissa, mark, exponent = text.partition("e")
    if mark:
        return f"{mantissa}e{int(exponent)}"
    return "0" if mantissa == "-0" else mantissa


def read_number(text: str) -> float:
    """A finite number; raises ``BadLine``."""
    try:
        value = float(text)
    except ValueError:
        raise BadLine(f"{text} is not a number") from None
    if not math.isfinite(value):
        raise BadLine(f"{text} is not a finite number")
    return value


def read_integer(text: str) -> int:
    """A decimal integer; raises ``BadLine``."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise BadLine(f"{text} is not an integer")
    return int(text)


def read_hex(text: str) -> str:
    """A digest, whole or its first digits; raises ``BadLine``."""
    if not re.fullmatch(r"[0-9a-f]{8,64}", text):
        raise BadLine(f"{text} is not a digest (8 to 64 lower-case hexadecimal digits)")
    return text


def keyed(field: str, key: str) -> str:
    """The value of a ``key=value`` field; raises ``BadLine`` when it is another field."""
    name, mark, value = field.partition("=")
    if not mark or name != key:
        raise BadLine(f"expected {key}=..., found {field}")
    return value


def read_lines(
    text: str,
    path: str,
    what: str,
    read: Callable[[str], LineValue],
    write: Callable[[LineValue], str],
    *,
    first_number: int = 1,
) -> list[tuple[int, LineValue]]:
    """Every line of ``text`` as a value, with its number; raises one ``UserError`` with all problems.

    ``what`` is what the user calls the file ("quantization table"); ``first_number`` is the number of the first line.
    """
    values: list[tuple[int, LineValue]] = []
    problems: list[Diagnostic] = []
    for number, line in enumerate(_lines_of(text), start=first_number):
        try:
            value = read(line)
            if write(value) != line:
                raise BadLine(f"the line is not written as npu writes it, which is: {write(value)}")
            values.append((number, value))
        except BadLine as error:
            problems.append(problem(path, number, what, line, str(error)))
    raise_all(problems)
    return values


def problem(path: str, number: int, what: str, line: str, reason: str) -> Diagnostic:
    """The diagnostic of one bad line."""
    if _CONFLICT.match(line):
        return Diagnostic(
            "E0802",
            f"the {what} holds the mark of a merge conflict in line {number}",
            places=(Place(path, number),),
            helps=("run npu lock --resolve, or take either side and run npu build: it writes what is right",),
        )
    return Diagnostic(
        "E0802",
        f"line {number} of the {what} was not written by npu: {reason}",
        places=(Place(path, number),),
        helps=("restore the file from version control, or delete it and run npu build",),
    )


def raise_all(problems: list[Diagnostic]) -> None:
    """Raise the problems as one error when there are any."""
    if problems:
        raise UserError(problems[:MAXIMUM_PROBLEMS])


def check_format(header: str, word: str, known: int, path: str, what: str) -> None:
    """The first line must say ``word`` and a format that this npudsl knows; raises ``UserError`` (E0801)."""
    fields = split_fields(header)
    if _CONFLICT.match(header):
        raise UserError([problem(path, 1, what, header, "")])
    if len(fields) < 2 or fields[0] != word or not fields[1].isdigit():
        raise UserError(
            [
                Diagnostic(
                    "E0801",
                    f"this is no {what}: its first line does not start with '{word} {known}'",
                    places=(Place(path, 1),),
                    helps=("delete the file and run npu build; it is written again",),
                )
            ]
        )
    if int(fields[1]) != known:
        raise UserError(
            [
                Diagnostic(
                    "E0801",
                    f"the {what} has format {fields[1]}; this npudsl reads format {known}",
                    places=(Place(path, 1),),
                    helps=("use the npudsl that wrote it, or delete the file and run npu build",),
                )
            ]
        )


def _lines_of(text: str) -> list[str]:
    lines = text.split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def first_line(text: str) -> str:
    return text.partition("\n")[0].removesuffix("\r")


def body(text: str) -> str:
    """The text behind the first line."""
    return text.partition("\n")[2]
