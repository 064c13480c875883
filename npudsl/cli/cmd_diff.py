"""``npu diff``: what two revisions mean differently, for a terminal, a pull request or a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.diff import Difference, diff_revisions, diff_table_files
from npudsl.api.review.markdown import DEFAULT_MAXIMUM, render_markdown
from npudsl.api.review.text import render_text
from npudsl.cli.programs import parsed_roots

CHANGES_PRESENT = 3


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OLD [NEW]] [FILE.npu ...]",
            help="Revisions, folders, a range A..B, or two .quant files. Default: HEAD and the working tree.",
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option(help="For a pull request comment: summary first, details folded.")] = False,
    max_bytes: Annotated[int, typer.Option(min=200, help="Longest Markdown; what is longer is cut in its middle.")] = (
        DEFAULT_MAXIMUM
    ),
    tol: Annotated[str, typer.Option(help="Ranges that moved less are the same: a share of a step.")] = "1/100lsb",
    root: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 when something changed.")] = False,
    git: Annotated[bool, typer.Option("--git", hidden=True, help="Called by git as an external diff.")] = False,
) -> int:
    """Compare revisions."""
    tolerance = _tolerance(tol)
    given = list(words or ())
    if git:
        return _for_git(given, tolerance)
    difference = _difference(given, tolerance, root)
    if as_json:
        print(json.dumps({"format": 1, **difference.record()}))
    elif markdown:
        print(render_markdown(difference, max_bytes), end="")
    else:
        print(render_text(difference))
    return CHANGES_PRESENT if exit_code and difference.changed else 0


def _difference(words: list[str], tolerance: float, root: list[str] | None) -> Difference:
    tables = [word for word in words if word.endswith(".quant")]
    if tables:
        if len(tables) != 2 or len(words) != 2:
            raise typer.BadParameter("tables are compared two at a time: npu diff OLD.quant NEW.quant")
        return diff_table_files(*tables, tolerance=tolerance)
    programs = [word for word in words if word.endswith(".npu")]
    revisions = [word for word in words if not word.endswith(".npu")]
    return diff_revisions(revisions, programs, roots=parsed_roots(root), tolerance=tolerance)


def _tolerance(text: str) -> float:
    """``1/100lsb``, ``0.5`` or ``0`` as a share of a step."""
    number, slash, divisor = text.removesuffix("lsb").partition("/")
    try:
        value = float(number) / (float(divisor) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(f"--tol takes a share of a step such as 1/100lsb or 0, not {text}")
    return value


def _for_git(words: list[str], tolerance: float) -> int:
    """Arguments of git's external diff: path, old file, old id, old mode, new file, new id, new mode."""
    if len(words) < 7:
        raise typer.BadParameter("--git is for git: git config diff.npuquant.command 'npu diff --git'")
    path, old, new = words[0], words[1], words[4]
    if all(Path(file).is_file() for file in (old, new)):
        print(f"{path}\n{render_text(diff_table_files(old, new, tolerance=tolerance))}")
    else:
        print(f"{path}: {'new' if Path(new).is_file() else 'removed'} table")
    return 0
