"""``npu completion``: the script that makes a shell complete the words of ``npu``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from npudsl.cli import options
from npudsl.cli.options import Argument, light
from npudsl.diagnostics import Diagnostic, UserError

if TYPE_CHECKING:
    import typer

SHELLS = ("bash", "zsh", "fish", "powershell")


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    options.register(app, name, line, run)


@light
def run(
    shell: Annotated[
        str | None, Argument(help="bash, zsh, fish or powershell; default: the shell in SHELL.", complete="shells")
    ] = None,
) -> int:
    """Print a completion script."""
    from npudsl.cli.main import library_run

    chosen = shell or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119
    if chosen not in SHELLS:
        helps = (f"shells: {', '.join(SHELLS)}", 'for example: eval "$(npu completion bash)"')
        raise UserError([Diagnostic("E0005", f"there is no completion for {chosen or 'no shell'}", helps=helps)])
    os.environ["_NPU_COMPLETE"] = f"source_{chosen}"
    return library_run([], None)
