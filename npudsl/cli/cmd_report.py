"""``npu report``: what the last build measured, as text, Markdown, HTML or JSON. Runs nothing."""

from __future__ import annotations

import json
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.report import BuildView, last_build
from npudsl.cli import complete
from npudsl.cli.programs import chosen_programs, parsed_roots


class ReportFormat(StrEnum):
    """The forms of a report."""

    TEXT = "text"
    MARKDOWN = "md"
    HTML = "html"
    JSON = "json"


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    program: Annotated[
        Path | None,
        typer.Argument(help="The .npu file; without one, the only one here.", autocompletion=complete.programs),
    ] = None,
    form: Annotated[ReportFormat, typer.Option("--format", help="text, md, html (one page) or json.")] = (
        ReportFormat.TEXT
    ),
    top: Annotated[int | None, typer.Option(min=1, help="Only so many layers, largest own error first.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to write; default: here.")] = None,
    root: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> int:
    """Report the last build."""
    view = last_build(chosen_programs([program] if program else None)[0], roots=parsed_roots(root))
    text = _rendered(view, ReportFormat.JSON if as_json else form, top, to_file=output is not None)
    if view.stale:
        print(f"note: this is the build before; {view.stale}", file=sys.stderr)
    if output is None:
        print(text, end="")
        return 0
    from npudsl.api.outputs import write_if_different

    write_if_different(output, text.encode())
    print(f"wrote {output}", file=sys.stderr)
    return 0


def _rendered(view: BuildView, form: ReportFormat, top: int | None, *, to_file: bool) -> str:
    if form is ReportFormat.JSON:
        return json.dumps({"format": 1, **view.record()}) + "\n"
    if form is ReportFormat.MARKDOWN:
        from npudsl.api.report_page.markdown import render_markdown

        return render_markdown(view, top)
    if form is ReportFormat.HTML:
        from npudsl.api.report_page.page import render_page

        return render_page(view, top)
    from npudsl.artifacts.comparison_text import render_text

    width = shutil.get_terminal_size((100, 40)).columns if sys.stdout.isatty() and not to_file else None
    return "\n\n".join(render_text(comparison.report, width, top) for comparison in view.comparisons)
