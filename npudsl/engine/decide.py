"""The one decision: is the result of this action there? Build and plan ask the same code.

A step is decided in two halves: its parts (as soon as the step's inputs are known), then its join (as soon as every
part is). A key is made of the actual digests of what goes in, so early cutoff needs no code of its own: when a step
that ran made what it made before, the keys behind it are the old ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from npudsl.artifacts.blob import Blob, BlobReader, Tree
from npudsl.engine.space import StepSpace
from npudsl.keys import Json
from npudsl.plan.action import Host, action_key, action_record, tree_digest
from npudsl.plan.step import Part, PartOutput, RunModule, Step

if TYPE_CHECKING:
    from npudsl.store.cache import Cache


@dataclass(frozen=True)
class Decision:
    """An action's record and key, and its result or why there is none."""

    record: Json
    key: str
    tree: Tree | None
    why_not: str
    seconds: float = 0.0


class Decider:
    """Asks the cache about actions. ``forced`` steps never have results."""

    def __init__(self, cache: Cache, host: Host, forced: frozenset[str] = frozenset()) -> None:
        self._cache = cache
        self._host = host
        self._forced = forced

    def part(self, step: Step, part: Part, made: Mapping[str, Tree]) -> Decision:
        """Decide a part; ``made`` holds the trees of the parts it reads."""
        inputs = {role: blob.digest for role, blob in resolved_inputs(part, made).items()}
        return self._decide(step, action_record(step.kind, "part", part.record, inputs, self._host))

    def join(self, step: Step, record: Json, inputs: Mapping[str, Tree], parts: Mapping[str, Tree]) -> Decision:
        """Decide the join of a step whose parts are all there; ``record`` is ``settled_record``."""
        digests = {role: tree_digest(tree) for role, tree in inputs.items()}
        digests |= {f"part:{name}": tree_digest(tree) for name, tree in parts.items()}
        return self._decide(step, action_record(step.kind, "join", record, digests, self._host))

    def _decide(self, step: Step, record: Json) -> Decision:
        key = action_key(record)
        if step.id in self._forced:
            return Decision(record, key, None, "forced")
        result, why_not = self._cache.lookup(key)
        if result is None:
            return Decision(record, key, None, why_not)
        return Decision(record, key, result.tree, "", result.wall_seconds)


@dataclass(frozen=True)
class StepDecision:
    """What can be said of a step without running anything of it."""

    all_parts: tuple[Part, ...]
    parts: Mapping[str, Decision]
    """Parts whose inputs are known."""
    made: Mapping[str, Tree]
    """Parts whose results are there."""
    join: Decision | None
    """None while a part has to run."""

    @property
    def to_run(self) -> tuple[Part, ...]:
        """Parts that have to run, or wait for one that has to."""
        return tuple(part for part in self.all_parts if part.name not in self.made)


def decide_step(
    step: Step, inputs: Mapping[str, Tree], cache: Cache, decider: Decider, previous: list[Json]
) -> StepDecision:
    """Decide every part of a step and its join, as far as results are there; ``inputs`` by role without files."""
    space = StepSpace(cache.content, step.files)
    expand = load_run_module(step).expand
    parts = expand(step.record, {**inputs, **file_trees(step)}, space, previous, step.context)
    decisions: dict[str, Decision] = {}
    made: dict[str, Tree] = {}
    for part in parts:
        if waits_for(part) <= made.keys():
            decision = decisions[part.name] = decider.part(step, part, made)
            if decision.tree is not None:
                made[part.name] = decision.tree
    join = None
    if len(made) == len(parts):
        join = decider.join(step, settled_record(step, inputs, made, space), inputs, made)
    return StepDecision(tuple(parts), decisions, made, join)


def resolved_inputs(part: Part, made: Mapping[str, Tree]) -> dict[str, Blob]:
    """The part's inputs with outputs of other parts put in; raises ``KeyError`` while one is not made yet."""
    return {
        role: made[source.part][source.name] if isinstance(source, PartOutput) else source
        for role, source in part.inputs.items()
    }


def file_trees(step: Step) -> dict[str, Tree]:
    """The step's files as inputs."""
    return {role: {"file": file.blob} for role, file in step.files.items()}


def settled_record(step: Step, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], reader: BlobReader) -> Json:
    """The record of the join: the step's, with what it takes from the step's files."""
    settle = getattr(load_run_module(step), "settle", None)
    if settle is None:
        return step.record
    return {**step.record, "settled": settle(step.record, {**inputs, **file_trees(step)}, parts, reader)}


def waits_for(part: Part) -> frozenset[str]:
    """Names of the parts that this one reads."""
    return frozenset(source.part for source in part.inputs.values() if isinstance(source, PartOutput))


def load_run_module(step: Step) -> RunModule:
    """The step's code."""
    return cast(RunModule, importlib.import_module(step.kind.run_module))
