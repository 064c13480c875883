"""``npu init``: a pipeline that builds as soon as its data folder is filled; ``--git`` makes git at home."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from npudsl.api.git_setup import GitSetup


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    model: Annotated[Path | None, typer.Argument(help="The model file.")] = None,
    source: Annotated[Path | None, typer.Option("--from", help="The model file, if it is not an argument.")] = None,
    target: Annotated[str | None, typer.Option(help="The chip; `npu targets` lists them.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default MODEL.npu here.")
    ] = None,
    git: Annotated[bool, typer.Option("--git", help="Also add to .gitattributes and .gitignore, configure git.")] = (
        False
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Write a pipeline, or make git at home here, or both."""
    file = _model(model, source, git)
    written = None
    if file is not None:
        from npudsl.api.init import init_program

        if target is None:
            raise typer.BadParameter("say which chip: --target CHIP; `npu targets` lists them")
        written = init_program(file, target, output)
    elif target is not None or output is not None:
        raise typer.BadParameter("--target and --output are about a model file: npu init MODEL --target CHIP")
    setup = None
    if git:
        from npudsl.api.git_setup import set_up_git

        setup = set_up_git(written.parent if written is not None else Path())
    _show(written, setup, as_json=as_json)
    return 0


def _model(model: Path | None, source: Path | None, git: bool) -> Path | None:
    if model is not None and source is not None:
        raise typer.BadParameter("the model file is given twice, as an argument and with --from")
    file = model or source
    if file is None and not git:
        raise typer.BadParameter("name the model file: npu init MODEL --target CHIP; or npu init --git")
    return file


def _show(written: Path | None, setup: GitSetup | None, *, as_json: bool) -> None:
    if as_json:
        document: dict[str, object] = {"format": 1, "program": None if written is None else str(written)}
        if setup is not None:
            document["git"] = {
                "added": {name: list(lines) for name, lines in setup.added.items()},
                "configured": list(setup.configured),
                "kept": list(setup.kept),
                "commands": list(setup.commands),
            }
        print(json.dumps(document))
        return
    if written is not None:
        print(f"wrote {written}; put calibration data where its dataset block says, then: npu build {written}")
    if setup is not None:
        _show_git(setup)


def _show_git(setup: GitSetup) -> None:
    from npudsl.api.git_setup import HINTS

    for name, lines in setup.added.items():
        print(f"{name}: added {', '.join(lines)}")
    if not setup.added:
        print(".gitattributes and .gitignore have all they need")
    for line in setup.kept:
        print(f"left as it is: {line}")
    if setup.in_repository:
        for key in setup.configured:
            print(f"configured {key}")
        print("every other clone configures itself:")
    else:
        print("this folder is in no git repository yet; in one, configure it:")
    for command in setup.commands:
        print(f"  {command}")
    for hint in HINTS:
        print(f"hint: {hint}")
