"""``npu doctor``: one line per thing on this machine that npudsl needs or uses, with a fix."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from npudsl.api.doctor import examine

SOMETHING_MISSING = 5
MARKS = {"ok": "ok", "missing": "MISSING", "warning": "warning", "absent": "-"}


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """Look at this machine."""
    findings = examine()
    missing = any(finding.status == "missing" for finding in findings)
    if as_json:
        print(json.dumps({"format": 1, "usable": not missing, "findings": [item.record() for item in findings]}))
        return SOMETHING_MISSING if missing else 0
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        fix = f"; fix: {finding.fix}" if finding.fix else ""
        print(f"{MARKS[finding.status]:<7}  {finding.name:<{width}}  {finding.text}{fix}")
    return SOMETHING_MISSING if missing else 0
