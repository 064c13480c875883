"""``npu check``: every problem of a pipeline at once, in source order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.check import check_program
from npudsl.cli.guard import show_diagnostics
from npudsl.cli.programs import chosen_programs, parsed_roots


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    programs: Annotated[
        list[Path] | None, typer.Argument(help="The .npu files; without one, the only one here.")
    ] = None,
    no_model: Annotated[bool, typer.Option("--no-model", help="Look at the text alone.")] = False,
    root: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Check pipelines."""
    roots = parsed_roots(root)
    found = [
        diagnostic
        for program in chosen_programs(programs)
        for diagnostic in check_program(program, roots=roots, with_model=not no_model)
    ]
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    if as_json:
        show_diagnostics(tuple(found), as_json=True)
    elif found:
        show_diagnostics(tuple(found))
    if not as_json and not errors:
        print("no errors" if found else "no problems")
    return 1 if errors else 0
