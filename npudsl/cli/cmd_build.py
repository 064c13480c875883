"""``npu build``: bring pipelines up to date, print what came out, decide the exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.build import BuildOptions, BuildReport, build_program
from npudsl.cli.guard import show_diagnostics
from npudsl.cli.programs import chosen_programs, parsed_roots
from npudsl.cli.progress import progress_reporter
from npudsl.cli.tables import print_report


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    programs: Annotated[
        list[Path] | None, typer.Argument(help="The .npu files; without one, the only one here.")
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="How many parts run side by side.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this kind of step or this step, e.g. quantize.")] = None,
    force: Annotated[list[str] | None, typer.Option(help="Run this step again even if its result is there.")] = None,
    root: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    relock: Annotated[bool, typer.Option(help="Take fresh ranges instead of keeping the committed table's.")] = False,
) -> int:
    """Bring pipelines up to date."""
    roots = parsed_roots(root)
    reports = []
    for program in chosen_programs(programs):
        progress = progress_reporter(quiet=quiet or as_json)
        options = BuildOptions(
            jobs=jobs,
            until=until,
            forced=tuple(force or ()),
            roots=roots,
            root_options=tuple(root or ()),
            relock=relock,
        )
        try:
            report = build_program(program, options, progress)
        finally:
            progress.close()
        reports.append(report)
        if not as_json:
            _show(report)
    if as_json:
        print(json.dumps({"format": 1, "builds": [report.record() for report in reports]}))
    return max(report.exit_code for report in reports)


def _show(report: BuildReport) -> None:
    for comparison in report.comparisons:
        print_report(comparison)
    sys.stdout.flush()
    if report.diagnostics:
        show_diagnostics(report.diagnostics)
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    print(report.summary)
