"""Forecast a build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from npudsl.api.planned import plan_of
from npudsl.api.project import located, open_project
from npudsl.engine.decide import Decider
from npudsl.engine.memory import load_memory
from npudsl.engine.predict import StepForecast, forecast


@dataclass(frozen=True)
class PlanReport:
    """What a build would do; ``seconds`` is None when nothing is known of past wall times."""

    program: str
    steps: tuple[StepForecast, ...]

    @property
    def seconds(self) -> float | None:
        known = [step.seconds for step in self.steps if step.verdict == "run" and step.seconds is not None]
        return sum(known) if known else None


def plan_program(path: str | Path, *, roots: Mapping[str, str] | None = None) -> PlanReport:
    """Say what ``build_program`` would run and why. Raises what it would raise before it runs anything."""
    project = open_project(path, roots=roots)

    def work() -> PlanReport:
        plan = plan_of(project)
        cache = project.open_cache()
        try:
            decider = Decider(cache, plan.host)
            steps = forecast(plan.pipeline.steps, cache, decider, load_memory(project.state_file("last")))
        finally:
            cache.close()
        return PlanReport(project.program.name, tuple(steps))

    return located(project.program, work)
