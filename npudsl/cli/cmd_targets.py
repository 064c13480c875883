"""``npu targets``: the known chips, or the one behind a serial number."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from npudsl.cli.tables import print_columns
from npudsl.targets.load import all_targets, by_serial


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    serial: Annotated[str | None, typer.Option(help="Find the chip of a board's serial number, e.g. 290b...")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """List the known chips."""
    targets = list(by_serial(serial)) if serial else list(all_targets())
    if as_json:
        print(json.dumps({"format": 1, "targets": [asdict(target) for target in targets]}))
        return 0
    rows = [
        (
            target.id,
            ", ".join(target.socs),
            ", ".join(target.optimize),
            ", ".join(str(pair) for pair in target.types) if target.types is not None else "unpublished",
            {True: "yes", False: "no", None: "unpublished"}[target.per_channel_weights],
            target.profile or "exact",
        )
        for target in targets
    ]
    if serial and len(targets) > 1:
        print(
            f"the serial {serial} fits {len(targets)} targets; ask the board's vendor which one it is", file=sys.stderr
        )
    print_columns(("target", "chips", "optimize", "types", "per channel", "profile"), rows)
    return 0
