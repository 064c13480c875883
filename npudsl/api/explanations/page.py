"""One page of an explanation, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npudsl.keys import Json


@dataclass(frozen=True)
class Page:
    """``kind`` is code, block, key, rule, part, word, alias, layer, tensor or step."""

    kind: str
    subject: str
    text: str
    details: Mapping[str, Json] = field(default_factory=dict)

    def record(self) -> dict[str, Json]:
        """The JSON form; ``text`` is what the terminal shows."""
        return {"kind": self.kind, "subject": self.subject, **self.details, "text": self.text}


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows as lines, columns two spaces apart, the last one as long as it is."""
    if not rows:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*(row[:-1] for row in rows), strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        lines.append((indent + "  ".join([*cells, row[-1]])).rstrip())
    return lines
