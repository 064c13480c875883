"""``npu layers``: the names that override rules can use, with operators, shapes and what each variant makes of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.layers import list_layers
from npudsl.cli import complete
from npudsl.cli.programs import chosen_programs, parsed_roots
from npudsl.cli.tables import print_columns


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    program: Annotated[
        Path | None,
        typer.Argument(help="The .npu file; without one, the only one here.", autocompletion=complete.programs),
    ] = None,
    pattern: Annotated[str | None, typer.Argument(help="Only layers that match this glob.")] = None,
    variant: Annotated[
        str | None, typer.Option(help="Show the types of this variant.", autocompletion=complete.variants)
    ] = None,
    root: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """List layers."""
    chosen = chosen_programs([program] if program else None)[0]
    layers = list_layers(chosen, pattern=pattern, variant=variant, roots=parsed_roots(root))
    if as_json:
        print(json.dumps({"format": 1, "layers": [asdict(layer) for layer in layers]}))
        return 0
    header = ("layer", "operator", "output", "weights", *(("type",) if variant else ()))
    rows = [
        (
            layer.name,
            "+".join(layer.operators),
            "x".join(map(str, layer.shape)),
            ", ".join(layer.weights),
            *((layer.type or "",) if variant else ()),
        )
        for layer in layers
    ]
    print_columns(header, rows)
    return 0
