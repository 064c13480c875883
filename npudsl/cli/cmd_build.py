"""``npu build``: bring pipelines up to date, print what came out, decide the exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from npudsl.api.build import BuildOptions, BuildReport, build_program
from npudsl.cli import options
from npudsl.cli.guard import show_diagnostics
from npudsl.cli.options import Option, light
from npudsl.cli.programs import Programs, Roots, chosen_programs, parsed_roots
from npudsl.cli.progress import progress_reporter
from npudsl.cli.start import json_document
from npudsl.cli.tables import print_report
from npudsl.engine.snapshot import Snapshot, identity, options_text, up_to_date

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    options.register(app, name, line, run)


@light
def run(
    programs: Programs = None,
    jobs: Annotated[
        int | None, Option("--jobs", "-j", help="How many parts run side by side; default: one per processor.")
    ] = None,
    until: Annotated[
        str | None,
        Option(
            "--until",
            help="Stop after this kind of step or this step, e.g. quantize.",
            metavar="STEP",
            complete="steps",
        ),
    ] = None,
    force: Annotated[
        list[str] | None,
        Option("--force", help="Run this step again even if its result is there.", metavar="STEP", complete="steps"),
    ] = None,
    keep_going: Annotated[
        bool, Option("--keep-going", "-k", help="After a failed step go on with what does not need it.")
    ] = False,
    locked: Annotated[
        bool, Option("--locked", help="Fail instead of changing the lock or a quantization table.")
    ] = False,
    relock: Annotated[
        bool, Option("--relock", help="Take fresh ranges and metrics instead of keeping the committed ones.")
    ] = False,
    require_cached: Annotated[
        bool, Option("--require-cached", help="Run nothing: fail on the first result that is not in the cache.")
    ] = False,
    check_determinism: Annotated[
        str | None,
        Option("--check-determinism", help="Run this step twice more and compare what it makes.", metavar="STEP"),
    ] = None,
    explain: Annotated[bool, Option("--explain", help="Say why each part ran.")] = False,
    root: Roots = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document on standard output.")] = False,
    json_events: Annotated[
        bool, Option("--json-events", help="JSON lines on standard output: one per step and part as they finish.")
    ] = False,
    quiet: Annotated[bool, Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Bring pipelines up to date."""
    wanted = BuildOptions(
        jobs=jobs,
        until=until,
        forced=tuple(force or ()),
        roots=parsed_roots(root),
        root_options=tuple(root or ()),
        relock=relock,
        locked=locked,
        keep_going=keep_going,
        cached_only=require_cached,
    )
    if check_determinism is not None:
        from npudsl.cli.determinism import check

        return max(check(program, check_determinism, wanted, quiet=quiet) for program in chosen_programs(programs))
    plain = until is None and not force and not relock and not json_events
    texts, code = [], 0
    for program in chosen_programs(programs):
        known = _already(program, wanted) if plain else None
        if known is not None:
            texts.append(known.result)
            code = max(code, known.exit_code)
            if not as_json:
                print(known.summary)
            continue
        report = _build(program, wanted, quiet=quiet or as_json, explain=explain, events=json_events)
        texts.append(json.dumps(report.record()))
        code = max(code, report.exit_code)
        if not as_json and not json_events:
            _show(report)
    if as_json:
        print(json_document(texts))
    return code


def _already(program: Path, wanted: BuildOptions) -> Snapshot | None:
    """What the last build of this program said, when nothing changed since: of several programs most are like that."""
    return up_to_date(str(program), options_text(wanted.root_options), identity())


def _build(program: Path, wanted: BuildOptions, *, quiet: bool, explain: bool, events: bool) -> BuildReport:
    progress = progress_reporter(quiet=quiet, explain=explain, events=events)
    try:
        report = build_program(program, wanted, progress)
    finally:
        progress.close()
    if events:
        print(json.dumps({"event": "build-finished", **report.record()}), flush=True)
    return report


def _show(report: BuildReport) -> None:
    for comparison in report.comparisons:
        print_report(comparison)
    sys.stdout.flush()
    if report.diagnostics:
        show_diagnostics(report.diagnostics)
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    print(report.summary)
