"""``npu lock``: does the committed lock fit, and what to do with it after a merge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

from npudsl.cli import options
from npudsl.cli.guard import show_diagnostics
from npudsl.cli.options import Option, light
from npudsl.cli.programs import Programs, Roots, chosen_programs, parsed_roots
from npudsl.diagnostics import Diagnostic, UserError

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    options.register(app, name, line, run)


@light
def run(
    programs: Programs = None,
    check: Annotated[
        bool, Option("--check", help="Say whether lock and tables fit the program and its data; runs nothing.")
    ] = False,
    resolve: Annotated[
        bool, Option("--resolve", help="Take the marks of a merge conflict out of lock and tables, then build.")
    ] = False,
    root: Roots = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Check or mend the committed lock."""
    if check == resolve:
        raise UserError([Diagnostic("E0005", "npu lock takes one of --check and --resolve")])
    chosen = chosen_programs(programs)
    if resolve:
        return max(_resolve(str(program), root, as_json=as_json) for program in chosen)
    from npudsl.api.locked import check_lock

    found = [problem for program in chosen for problem in check_lock(program, roots=parsed_roots(root))]
    if found or as_json:
        show_diagnostics(tuple(found), as_json=as_json)
    if not found and not as_json:
        print("lock and tables fit")
    return 1 if found else 0


def _resolve(program: str, root: list[str] | None, *, as_json: bool) -> int:
    from npudsl.api.build import BuildOptions, build_program
    from npudsl.api.locked import resolve_conflicts
    from npudsl.cli.progress import progress_reporter

    done = resolve_conflicts(program, roots=parsed_roots(root))
    progress = progress_reporter(quiet=as_json)
    try:
        report = build_program(
            program, BuildOptions(roots=parsed_roots(root), root_options=tuple(root or ())), progress
        )
    finally:
        progress.close()
    if report.diagnostics and not as_json:
        show_diagnostics(report.diagnostics)
    if as_json:
        files = [{"file": str(item.path), "removed": item.removed} for item in done]
        print(json.dumps({"format": 1, "resolved": files, "build": report.record()}))
        return report.exit_code
    for item in done:
        print(f"{item.path}: {'neither side could be read; written anew' if item.removed else 'our side taken'}")
    print(f"{report.summary}; look at the difference before you commit it" if done else report.summary)
    return report.exit_code
