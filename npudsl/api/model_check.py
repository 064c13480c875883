"""What only the model shows of a program: rules that match nothing, inputs that do not fit, data that is not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from npudsl.api.planned import plan_of
from npudsl.api.project import open_project
from npudsl.diagnostics import Diagnostic, NpuError
from npudsl.engine.events import SilentReporter
from npudsl.engine.memory import Memory
from npudsl.engine.run import Engine, needed_steps
from npudsl.steps.quantize.check import variant_findings
from npudsl.steps.quantize.kind import KIND as QUANTIZE


def model_findings(path: str | Path, *, roots: Mapping[str, str] | None = None) -> list[Diagnostic]:
    """What the model and the data have against a program whose text is right; imports the model (cached)."""
    found: list[Diagnostic] = []
    try:
        project = open_project(path, roots=roots)
        plan = plan_of(project)
        found.extend(plan.pipeline.warnings)
        cache = project.open_cache()
        try:
            host = plan.host
            wanted = needed_steps(plan.pipeline.steps, [plan.pipeline.steps[0].id])
            engine = Engine(cache, host, jobs=1, reporter=SilentReporter())
            results, _ = engine.build(wanted, Memory())
            model = results[plan.pipeline.steps[0].id].tree
            for step in plan.pipeline.steps:
                if step.kind.name == QUANTIZE.name:
                    found.extend(variant_findings(step.record, model, cache.content))
        finally:
            cache.close()
    except NpuError as error:
        found.extend(error.diagnostics)
    return found
