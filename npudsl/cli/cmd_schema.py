"""``npu schema``: the language as data: JSON Schema of the evaluated form, or the reference of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from npudsl.cli import options
from npudsl.cli.options import Option, light

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    options.register(app, name, line, run)


@light
def run(
    form: Annotated[
        str,
        Option(
            "--format", help="JSON Schema of `npu show --json`, or Markdown tables of keys.", choices=("json", "md")
        ),
    ] = "json",
) -> int:
    """Print the schema."""
    if form == "md":
        from npudsl.language.reference import reference_page

        print(reference_page(), end="")
        return 0
    import json

    from npudsl.language.evaluated_json import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
