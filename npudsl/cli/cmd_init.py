"""``npu init``: a pipeline for a model file that builds as soon as its data folder is filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.init import init_program


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    model: Annotated[Path, typer.Argument(help="The model file.")],
    target: Annotated[str, typer.Option(help="The chip; `npu targets` lists them.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; default MODEL.npu here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Write a pipeline."""
    written = init_program(model, target, output)
    if as_json:
        print(json.dumps({"format": 1, "program": str(written)}))
    else:
        print(f"wrote {written}; put calibration data where its dataset block says, then: npu build {written}")
    return 0
