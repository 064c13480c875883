"""``npu graph``: the steps of a pipeline or the layers of its model, for reading and for drawing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.graph import BoxGraph, model_graph, step_graph
from npudsl.api.graph_text import render_dot, render_mermaid, render_text
from npudsl.cli import complete
from npudsl.cli.programs import chosen_programs, parsed_roots


class GraphFormat(StrEnum):
    """The forms of a graph."""

    TEXT = "text"
    DOT = "dot"
    MERMAID = "mermaid"
    JSON = "json"


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    program: Annotated[
        Path | None,
        typer.Argument(help="The .npu file; without one, the only one here.", autocompletion=complete.programs),
    ] = None,
    steps: Annotated[bool, typer.Option("--steps", help="The steps of the plan (the default).")] = False,
    model: Annotated[bool, typer.Option("--model", help="The layers of the imported model.")] = False,
    variant: Annotated[
        str | None,
        typer.Option(help="Types of the layers in this variant; with --model.", autocompletion=complete.variants),
    ] = None,
    form: Annotated[GraphFormat, typer.Option("--format", help="text, dot, mermaid or json.")] = GraphFormat.TEXT,
    root: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> int:
    """Print a graph."""
    if steps and model:
        raise typer.BadParameter("--steps and --model are two graphs; name one of them")
    if variant is not None and not model:
        raise typer.BadParameter("--variant is about layers: add --model")
    chosen = chosen_programs([program] if program else None)[0]
    roots = parsed_roots(root)
    graph = model_graph(chosen, variant=variant, roots=roots) if model else step_graph(chosen, roots=roots)
    print(_rendered(graph, GraphFormat.JSON if as_json else form))
    return 0


def _rendered(graph: BoxGraph, form: GraphFormat) -> str:
    if form is GraphFormat.JSON:
        return json.dumps({"format": 1, **graph.record()})
    return {
        GraphFormat.TEXT: render_text,
        GraphFormat.DOT: render_dot,
        GraphFormat.MERMAID: render_mermaid,
    }[form](graph)
