"""Carry what a program's plan uses from one cache to another: for CI, and for colleagues."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from npudsl import native
from npudsl.api.planned import plan_of
from npudsl.api.project import located, open_project
from npudsl.engine.events import SilentReporter
from npudsl.engine.memory import load_memory
from npudsl.engine.run import Engine
from npudsl.store.bundle import Bundled, write_bundle


def export_bundle(path: str | Path, target: str | Path, *, roots: Mapping[str, str] | None = None) -> Bundled:
    """Write every result that the program's plan uses now; raises ``UserError`` E0803 when one is not built yet."""
    project = open_project(path, roots=roots)

    def work() -> Bundled:
        plan = plan_of(project)
        native.configure(project.cache / "native")
        cache = project.open_cache()
        try:
            engine = Engine(cache, plan.host, jobs=1, reporter=SilentReporter(), cached_only=True)
            engine.build(plan.pipeline.steps, load_memory(project.state_file("last")))
            return write_bundle(cache, cache.used, Path(target))
        finally:
            cache.close()

    return located(project.program, work)
