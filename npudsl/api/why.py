"""What stands behind the key of a step: the records, part by part, and what differs from the last build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.build import matching_steps
from npudsl.api.planned import plan_of
from npudsl.api.project import located, open_project
from npudsl.diagnostics import Diagnostic, UserError
from npudsl.engine.decide import Decider, Decision, decide_step
from npudsl.engine.memory import StepMemory, load_memory
from npudsl.engine.reasons import join_reason, part_reason, short_differences
from npudsl.engine.run import needed_steps

if TYPE_CHECKING:
    from npudsl.artifacts.blob import Tree
    from npudsl.keys import Json
    from npudsl.store.cache import Cache


@dataclass(frozen=True)
class ActionPage:
    """One action (``part`` is "" for the join): its key, whether its result is there, and what differs."""

    step: str
    part: str
    key: str
    record: Json
    here: bool
    reason: str
    """Why it would run; empty when the result is there."""
    changes: tuple[str, ...]
    """Fields that differ from the last build."""


def explain_keys(path: str | Path, step: str, *, roots: Mapping[str, str] | None = None) -> list[ActionPage]:
    """The actions of a step (an id, or a kind of step that the plan has once).

    Raises ``UserError`` when the inputs of the step are not built, so that its keys are not known yet.
    """
    project = open_project(path, roots=roots)

    def work() -> list[ActionPage]:
        plan = plan_of(project)
        memory = load_memory(project.state_file("last"))
        cache = project.open_cache()
        try:
            decider = Decider(cache, plan.host)
            trees: dict[str, Tree] = {}
            wanted = matching_steps(plan.pipeline, (step,))
            pages = []
            for needed in needed_steps(plan.pipeline.steps, wanted):
                if not all(source in trees for source in needed.inputs.values()):
                    continue
                inputs = {role: trees[source] for role, source in needed.inputs.items()}
                old = memory.steps.get(needed.id)
                decided = decide_step(needed, inputs, cache, decider, old.part_records if old else [])
                if decided.join is not None and decided.join.tree is not None:
                    trees[needed.id] = decided.join.tree
                if needed.id in wanted:
                    pages += [_part_page(needed.id, name, item, old) for name, item in decided.parts.items()]
                    if decided.join is not None:
                        reason = "" if decided.join.tree else join_reason(needed, decided.join, inputs, old)
                        pages.append(_page(needed.id, "", decided.join, reason, _join_changes(decided.join, old)))
            if not pages:
                raise UserError([_unknown(step, cache)])
            return pages
        finally:
            cache.close()

    return located(project.program, work)


def _part_page(step: str, name: str, decision: Decision, old: StepMemory | None) -> ActionPage:
    before = next((part.action for part in old.parts if part.name == name), None) if old is not None else None
    changes = tuple(short_differences(before, decision.record)) if before is not None else ()
    return _page(step, name, decision, "" if decision.tree else part_reason(name, decision, old), changes)


def _join_changes(decision: Decision, old: StepMemory | None) -> tuple[str, ...]:
    return tuple(short_differences(old.record, decision.record["record"])) if old is not None else ()


def _page(step: str, part: str, decision: Decision, reason: str, changes: tuple[str, ...]) -> ActionPage:
    return ActionPage(step, part, decision.key, decision.record, decision.tree is not None, reason, changes)


def _unknown(step: str, cache: Cache) -> Diagnostic:
    return Diagnostic(
        "E0803",
        f"the keys of {step} are not known: a step that it needs is not in the cache",
        notes=(f"cache: {cache.root}",),
        helps=("build that step first; `npu plan` names it",),
    )
