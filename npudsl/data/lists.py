"""List files: one sample per line, columns separated by blanks.

``#`` begins a comment where a column could begin, blank lines do not count, a name with blanks stands in double quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from npudsl.diagnostics import Place, Problem

_COLUMN = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True)
class ListLine:
    """The columns of one line and its number, from 1."""

    number: int
    columns: tuple[str, ...]


def read_list(path: str, shown: str, subject: str | None) -> tuple[ListLine, ...]:
    """The lines of a list file that say something. Raises E0501 when the file is missing or not text."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(
            "E0501",
            f"{shown} is not a list: byte {error.start} is not UTF-8 text",
            subject=subject,
            helps=("a list has one sample per line; a single data file is fed with files=, idx= or npz=",),
        ) from None
    except OSError as error:
        raise Problem("E0501", f"the list {shown} cannot be read: {error.strerror}", subject=subject) from None
    lines = []
    for number, line in enumerate(text.split("\n"), start=1):
        columns = _columns(line)
        if columns:
            lines.append(ListLine(number, columns))
    return tuple(lines)


def class_index(word: str, shown: str, line: int, subject: str | None) -> int:
    """The class index written in a list; raises E0507 for anything but a whole number from 0."""
    if word.isascii() and word.isdigit():
        return int(word)
    raise Problem(
        "E0507",
        f'"{word}" is not a class index',
        subject=subject,
        places=(Place(shown, line),),
        helps=("a class index is a whole number from 0; the last column of the line is read",),
    )


def _columns(line: str) -> tuple[str, ...]:
    columns = []
    for match in _COLUMN.finditer(line):
        if match.group().startswith("#"):
            break
        columns.append(match.group(1) if match.group(1) is not None else match.group(2))
    return tuple(columns)
