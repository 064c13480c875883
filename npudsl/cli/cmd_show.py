"""``npu show``: the evaluated pipeline: bases merged, constants replaced, defaults filled in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from npudsl.cli import options
from npudsl.cli.color import code_painter, wants_color
from npudsl.cli.options import Argument, Option, light
from npudsl.cli.programs import Roots, chosen_programs, parsed_roots

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    options.register(app, name, line, run)


@light
def run(
    program: Annotated[
        Path | None,
        Argument(help="The .npu file; without one, the only one here.", metavar="[FILE.npu]", complete="programs"),
    ] = None,
    flat: Annotated[bool, Option("--flat", help="One fact per line, each with the whole path of its block.")] = False,
    defaults: Annotated[bool, Option("--defaults", help="Only values that the tool chose.")] = False,
    as_json: Annotated[bool, Option("--json", help="One JSON document on standard output.")] = False,
    root: Roots = None,
) -> int:
    """Print the evaluated pipeline."""
    from npudsl.language.load import load_program

    path = chosen_programs([program] if program else None)[0]
    loaded = load_program(path, roots=parsed_roots(root))
    if as_json:
        import json

        from npudsl.language.evaluated_json import program_record

        print(json.dumps(program_record(loaded), indent=2, ensure_ascii=False))
        return 0
    from npudsl.language.flat import flat_lines, program_text

    if flat or defaults:
        text = "".join(f"{line}\n" for line in flat_lines(loaded, only_defaults=defaults))
    else:
        text = program_text(loaded)
    sys.stdout.write(code_painter()(text) if wants_color(sys.stdout) else text)
    return 0
