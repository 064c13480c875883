"""The imported model of a program, without its data: imports what is not in the cache yet, like ``npu layers``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npudsl.api.project import Project
from npudsl.engine.events import SilentReporter
from npudsl.engine.files import FileTracker
from npudsl.engine.host import host_for
from npudsl.engine.memory import Memory
from npudsl.engine.run import Engine
from npudsl.steps.pipeline import import_step_of

if TYPE_CHECKING:
    from npudsl.steps.quantize.structure import Structure


def imported_structure(project: Project) -> Structure:
    """Graph and layers of the model; raises ``UserError`` when the model cannot be imported.

    Constants of the structure cannot be read from it: the cache is closed.
    """
    from npudsl.steps.quantize.structure import load_structure

    step = import_step_of(project.program, FileTracker(project.state_file("files")))
    cache = project.open_cache()
    try:
        engine = Engine(cache, host_for(step.kind.tools, project.settings.salt), jobs=1, reporter=SilentReporter())
        results, _ = engine.build([step], Memory())
        return load_structure(results[step.id].tree, cache.content)
    finally:
        cache.close()
