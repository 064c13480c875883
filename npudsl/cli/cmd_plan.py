"""``npu plan``: what a build would run and why; the same decisions as the build, without side effects."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from npudsl.api.plan import PlanReport, plan_program
from npudsl.cli import complete
from npudsl.cli.programs import chosen_programs, parsed_roots
from npudsl.engine.predict import StepForecast

CHANGES_PRESENT = 3
MOST_LAYERS_SHOWN = 4


def register(app: typer.Typer, name: str, line: str) -> None:
    """Add the command to ``app``."""
    app.command(name, help=line)(run)


def run(
    programs: Annotated[
        list[Path] | None,
        typer.Argument(help="The .npu files; without one, the only one here.", autocompletion=complete.programs),
    ] = None,
    root: Annotated[list[str] | None, typer.Option(help="NAME=FOLDER for paths that start with @NAME.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 when something would run.")] = False,
) -> int:
    """Say what a build would run."""
    roots = parsed_roots(root)
    reports = [plan_program(program, roots=roots) for program in chosen_programs(programs)]
    if as_json:
        plans = [
            {"program": report.program, "steps": [asdict(step) for step in report.steps], "seconds": report.seconds}
            for report in reports
        ]
        print(json.dumps({"format": 1, "plans": plans}))
    else:
        for report in reports:
            _show(report)
    pending = any(step.verdict == "run" for report in reports for step in report.steps)
    return CHANGES_PRESENT if exit_code and pending else 0


def _show(report: PlanReport) -> None:
    reused = [step.id for step in report.steps if step.verdict == "reuse"]
    running = [step for step in report.steps if step.verdict == "run"]
    width = max((len(step.id) for step in running), default=0)
    if reused:
        print(f"  reuse  {', '.join(reused)}")
    for step in running:
        print(f"  run    {step.id:<{width}}  {_parts(step)}{step.reason}")
        if step.layers and step.parts_to_run and len(step.parts_to_run) != step.parts:
            print(f"         {'':<{width}}  layers: {_layers(step.layers)}")
    if not running:
        print(f"{report.program}: up to date ({len(reused)} steps)")
        return
    time = f" (about {report.seconds:.1f} s by the last build)" if report.seconds is not None else ""
    print(f"{len(running)} to run{time}, {len(reused)} reused")


def _parts(step: StepForecast) -> str:
    if step.parts is None or step.parts_to_run is None or step.parts <= 1:
        return ""
    return f"{len(step.parts_to_run)} of {step.parts} parts; "


def _layers(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:MOST_LAYERS_SHOWN])
    return shown if len(names) <= MOST_LAYERS_SHOWN else f"{shown} and {len(names) - MOST_LAYERS_SHOWN} more"
