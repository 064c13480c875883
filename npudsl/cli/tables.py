"""Tables on standard output: aligned columns, full names, no wrapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npudsl.artifacts.comparison import ComparisonReport


LAYERS_SHOWN = 24
"""A build shows the worst so many layers; `npu report` shows all."""


def print_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header, columns as wide as their widest entry."""
    table = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())


def print_report(report: ComparisonReport) -> None:
    """Print a comparison: requirements, outputs, worst layers first."""
    import shutil

    from npudsl.artifacts.comparison_text import render_text

    print(render_text(report, shutil.get_terminal_size((120, 40)).columns, layers=LAYERS_SHOWN))
    print()
