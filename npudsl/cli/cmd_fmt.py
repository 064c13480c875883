"""``npu fmt``: the one layout of program text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from npudsl.cli import options
from npudsl.cli.guard import show_diagnostics
from npudsl.cli.options import Argument, Option, light
from npudsl.cli.programs import chosen_programs
from npudsl.cli.texts import STANDARD_INPUT, print_difference, read_source, replace_text, with_folders
from npudsl.diagnostics import Diagnostic, UserError
from npudsl.language.fmt import formatted

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    options.register(app, name, line, run)


@light
def run(
    files: Annotated[
        list[Path] | None,
        Argument(
            help="Files, folders of .npu files, or - for standard input; without one, the only program here.",
            metavar="[FILE.npu ...]",
            complete="programs",
        ),
    ] = None,
    check: Annotated[
        bool, Option("--check", help="Write nothing; list files that would change and exit with 1.")
    ] = False,
    diff: Annotated[bool, Option("--diff", help="Write nothing; print what would change.")] = False,
) -> int:
    """Lay out program text."""
    problems: list[Diagnostic] = []
    changed = False
    for path in with_folders(files) if files else chosen_programs(None):
        try:
            changed |= _format(path, check=check, diff=diff)
        except UserError as error:
            problems += error.diagnostics
    if problems:
        sys.stdout.flush()
        show_diagnostics(tuple(problems))
    return 1 if problems or (check and changed) else 0


def _format(path: Path, *, check: bool, diff: bool) -> bool:
    """Format one file; returns whether it is not in its layout. Raises ``UserError``."""
    source = read_source(path)
    text = formatted(source)
    changed = text != source.text
    if diff:
        print_difference(source.name, source.text, text)
    elif path == STANDARD_INPUT and not check:
        sys.stdout.write(text)
    elif changed:
        if not check:
            replace_text(path, text)
        print(source.name)
    return changed
