"""``npu explain``: a page about an error code, a word of the language, or a layer, tensor or step of a program."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from npudsl.api.explain import explain_in_program, explain_word
from npudsl.cli.programs import chosen_programs, parsed_roots


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[FILE.npu] SUBJECT...",
            help="A code (E0301), a key (quantize.algorithm), or with a program: layer NAME, tensor NAME, step ID.",
        ),
    ],
    root: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Explain something."""
    from pathlib import Path

    if words[0].endswith(".npu"):
        program = chosen_programs([Path(words[0])])[0]
        subjects = words[1:]
        if not subjects:
            raise typer.BadParameter("say what to explain: layer NAME, tensor NAME, step ID, or a key")
        pages = explain_in_program(program, subjects, roots=parsed_roots(root))
    elif words[0] in ("layer", "tensor", "step") and len(words) > 1:
        pages = explain_in_program(chosen_programs(None)[0], words, roots=parsed_roots(root))
    else:
        pages = [page for word in words for page in explain_word(word)]
    if as_json:
        print(json.dumps({"format": 1, "pages": [page.record() for page in pages]}))
    else:
        print("\n\n".join(page.text for page in pages))
    return 0
