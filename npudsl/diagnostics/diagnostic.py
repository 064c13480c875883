"""The values a diagnostic is made of. Rendering is in ``render.py``; the table of codes is in ``codes.py``."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Source:
    """A text that places point into; ``name`` is what the user sees (a path as they would type it)."""

    name: str
    text: str

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(index + 1 for index, character in enumerate(self.text) if character == "\n")
        return starts

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both counted from 1."""
        line = bisect.bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line ``number`` (from 1) without its line end."""
        start = self._line_starts[number - 1]
        end = self._line_starts[number] - 1 if number < len(self._line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")


@dataclass(frozen=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.line_column(self.start)[0]

    @property
    def column(self) -> int:
        return self.source.line_column(self.start)[1]

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Place:
    """A place in a file that is not program text (a list file, a table): path, line from 1 or 0 for the whole file."""

    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True)
class Label:
    """A span with the words written under it; the primary one carries the carets."""

    span: Span
    text: str = ""
    primary: bool = True


@dataclass(frozen=True)
class Fix:
    """A text edit that mends the problem: replace ``span`` by ``replacement``."""

    span: Span
    replacement: str
    title: str = ""


@dataclass(frozen=True)
class Diagnostic:
    """One finding. ``subject`` names a value of the program (``"dataset[calib].list"``) when no label does yet.

    ``instead`` is program text that, in the place of the subject, mends the problem: a ``Fix`` once the place is known.
    """

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()
    severity: Severity = "error"
    subject: str | None = None
    places: tuple[Place, ...] = field(default=())
    instead: str | None = None
