"""Check a program: its text, its targets; with the model also names, rules and data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from npudsl.api.build import plan_host, planned
from npudsl.api.project import open_project
from npudsl.diagnostics import Diagnostic, NpuError
from npudsl.diagnostics.render import locate
from npudsl.engine.events import SilentReporter
from npudsl.engine.memory import Memory
from npudsl.engine.run import Engine, needed_steps
from npudsl.steps.quantize.check import variant_findings
from npudsl.steps.quantize.kind import KIND as QUANTIZE
from npudsl.store.cache import Cache
from npudsl.targets.constraints import check_targets


def check_program(
    path: str | Path, *, roots: Mapping[str, str] | None = None, with_model: bool = True
) -> list[Diagnostic]:
    """Every problem found, errors and warnings; empty when there is none. ``with_model`` imports the model (cached)."""
    try:
        project = open_project(path, roots=roots)
    except NpuError as error:
        return list(error.diagnostics)
    found = [*project.program.warnings, *check_targets(project.program)]
    if with_model and not any(diagnostic.severity == "error" for diagnostic in found):
        try:
            pipeline, _ = planned(project)
            found.extend(pipeline.warnings)
            cache = Cache(project.cache)
            try:
                host = plan_host(pipeline)
                wanted = needed_steps(pipeline.steps, [pipeline.steps[0].id])
                engine = Engine(cache, host, jobs=1, reporter=SilentReporter())
                results, _ = engine.build(wanted, Memory())
                model = results[pipeline.steps[0].id].tree
                for step in pipeline.steps:
                    if step.kind.name == QUANTIZE.name:
                        found.extend(variant_findings(step.record, model, cache.content))
            finally:
                cache.close()
        except NpuError as error:
            found.extend(error.diagnostics)
    unique = dict.fromkeys(locate(diagnostic, project.program.origins) for diagnostic in found)
    return list(unique)
