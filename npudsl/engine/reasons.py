"""Why an action has to run, in words: the changed fields against the last build, or what became of the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from npudsl.plan.action import tree_digest
from npudsl.plan.difference import differences

if TYPE_CHECKING:
    from npudsl.artifacts.blob import Tree
    from npudsl.engine.decide import Decision
    from npudsl.engine.memory import StepMemory
    from npudsl.plan.step import Step

FORCED = "forced"
NEVER_BUILT = "never built"
NEW_PART = "new part"
GONE = "its result is no longer in the cache"


def part_reason(name: str, decision: Decision, old: StepMemory | None) -> str:
    """Why the part ``name`` runs, given what the last build did with the step."""
    if decision.why_not != NEVER_BUILT or old is None:
        return decision.why_not
    before = next((part.action for part in old.parts if part.name == name), None)
    if before is None:
        return NEW_PART
    return "; ".join(short_differences(before, decision.record)) or GONE


def join_reason(step: Step, decision: Decision, inputs: Mapping[str, Tree], old: StepMemory | None) -> str:
    """Why the join of a step runs although no part of it does."""
    if decision.why_not != NEVER_BUILT or old is None:
        return decision.why_not
    changes = differences(old.record, step.record)
    changes += [
        f"{step.inputs.get(role, role)} changed"
        for role, tree in inputs.items()
        if old.inputs.get(role) != tree_digest(tree)
    ]
    return "; ".join(changes) or ("its parts changed" if old.join_key != decision.key else GONE)


def short_differences(old: object, new: object) -> list[str]:
    """The differences of two action records; ``record.`` and ``inputs.`` say nothing to a reader."""
    return [line.removeprefix("record.").removeprefix("inputs.") for line in differences(old, new)]
