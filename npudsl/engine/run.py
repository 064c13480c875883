"""Runs a plan: what is there is reused, what is not runs in worker threads, everything finished is kept.

Design: one coordinating thread decides, a pool of threads computes. A step's parts are decided as soon as the step's
inputs are known; a part that reads another part waits for it alone. Workers are threads, not processes: the work is in
numpy, BLAS and onnxruntime, which release the interpreter lock, a spawned process costs more than a typical rebuild,
and sessions and mapped arrays are shared (docs/decisions/0003-threads.md). A worker publishes its result itself, so
nothing finished is lost when the build is interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from queue import SimpleQueue

from npudsl.artifacts.blob import Tree
from npudsl.diagnostics import NpuError
from npudsl.engine.decide import (
    Decider,
    Decision,
    file_trees,
    load_run_module,
    resolved_inputs,
    settled_record,
    waits_for,
)
from npudsl.engine.events import Event, Reporter
from npudsl.engine.memory import Memory, PartMemory, StepMemory
from npudsl.engine.space import StepSpace
from npudsl.plan.action import Host, tree_digest
from npudsl.plan.step import Part, Step
from npudsl.store.cache import Cache
from npudsl.store.content import BlobMissing

ATTEMPTS_WHEN_BLOBS_VANISH = 3
NOTES_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class StepResult:
    """A finished step: its value, and what it took."""

    id: str
    tree: Tree
    parts: int
    parts_ran: int
    join_ran: bool
    seconds: float

    @property
    def ran(self) -> bool:
        """True when anything of the step ran."""
        return self.parts_ran > 0 or self.join_ran


@dataclass
class _StepState:
    step: Step
    inputs: dict[str, Tree] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    waiting: set[str] = field(default_factory=set)
    made: dict[str, Tree] = field(default_factory=dict)
    memories: dict[str, PartMemory] = field(default_factory=dict)
    ran: int = 0
    started: float = 0.0
    join_decision: Decision | None = None
    result: StepResult | None = None
    memory: StepMemory | None = None


class Engine:
    """Builds plans against one cache."""

    def __init__(self, cache: Cache, host: Host, *, jobs: int, reporter: Reporter, forced: Iterable[str] = ()) -> None:
        self._cache = cache
        self._decider = Decider(cache, host, frozenset(forced))
        self._jobs = max(1, jobs)
        self._reporter = reporter

    def build(self, steps: Iterable[Step], memory: Memory) -> tuple[dict[str, StepResult], Memory]:
        """Bring every step up to date.

        Returns results and the new memory. Raises ``NpuError`` (all parts that were running are finished and kept),
        ``KeyboardInterrupt`` (at once; finished parts are kept).
        """
        plan = list(steps)
        for attempt in range(ATTEMPTS_WHEN_BLOBS_VANISH):
            run = _Run(plan, memory, self._cache, self._decider, self._reporter, self._jobs)
            try:
                return run.execute()
            except BlobMissing as missing:
                if attempt + 1 == ATTEMPTS_WHEN_BLOBS_VANISH:
                    raise
                self._reporter.event(Event("note", "", text=f"{missing}; what made it runs again"))
        raise AssertionError("the loop above returns or raises")


class _Run:
    """One attempt at a plan."""

    def __init__(
        self, plan: list[Step], memory: Memory, cache: Cache, decider: Decider, reporter: Reporter, jobs: int
    ) -> None:
        self._states = {step.id: _StepState(step) for step in plan}
        self._memory = memory
        self._cache = cache
        self._decider = decider
        self._reporter = reporter
        self._pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="npudsl")
        self._futures: dict[Future[tuple[Tree, float]], tuple[_StepState, str, Decision]] = {}
        self._notes: SimpleQueue[str] = SimpleQueue()
        """What workers want said; said by the coordinating thread."""

    def execute(self) -> tuple[dict[str, StepResult], Memory]:
        try:
            self._start_ready_steps()
            while self._futures:
                done, _ = wait(self._futures, timeout=NOTES_EVERY_SECONDS, return_when=FIRST_COMPLETED)
                while not self._notes.empty():
                    self._reporter.event(Event("note", "", text=self._notes.get()))
                for future in done:
                    self._finish(future)
        except (NpuError, BlobMissing):
            self._pool.shutdown(wait=True, cancel_futures=True)
            raise
        except BaseException:
            self._pool.shutdown(wait=False, cancel_futures=True)
            raise
        self._pool.shutdown()
        results = {id_: state.result for id_, state in self._states.items() if state.result is not None}
        memory = {id_: state.memory for id_, state in self._states.items() if state.memory is not None}
        return results, Memory({**self._memory.steps, **memory})

    # --- steps ---

    def _start_ready_steps(self) -> None:
        progress = True
        while progress:
            progress = False
            for state in self._states.values():
                if state.started or not self._inputs_known(state.step):
                    continue
                self._start(state)
                progress = True

    def _inputs_known(self, step: Step) -> bool:
        return all(self._states[source].result is not None for source in step.inputs.values())

    def _start(self, state: _StepState) -> None:
        step = state.step
        state.started = time.monotonic()
        for role, source in step.inputs.items():
            result = self._states[source].result
            assert result is not None
            state.inputs[role] = result.tree
        known = self._memory.steps.get(step.id)
        previous = known.part_records if known else []
        space = StepSpace(self._cache.content, step.files)
        parts = load_run_module(step).expand(
            step.record, {**state.inputs, **file_trees(step)}, space, previous, step.context
        )
        state.parts = {part.name: part for part in parts}
        state.waiting = set(state.parts)
        self._reporter.event(
            Event("step-started", step.id, total=len(parts), expected_seconds=known.seconds if known else None)
        )
        self._decide_parts(state)

    # --- parts ---

    def _decide_parts(self, state: _StepState) -> None:
        progress = True
        while progress:
            progress = False
            for name in [name for name in state.parts if name in state.waiting]:
                part = state.parts[name]
                if not waits_for(part) <= state.made.keys():
                    continue
                state.waiting.discard(name)
                decision = self._decider.part(state.step, part, state.made)
                if decision.tree is not None:
                    self._part_made(state, part, decision, decision.tree, decision.seconds, "reused")
                    progress = True
                else:
                    self._submit_part(state, part, decision)
        if len(state.made) == len(state.parts) and state.join_decision is None:
            self._decide_join(state)

    def _submit_part(self, state: _StepState, part: Part, decision: Decision) -> None:
        step = state.step
        inputs = resolved_inputs(part, state.made)

        def work(space: StepSpace) -> Tree:
            return load_run_module(step).run_part(part.record, inputs, part.context, space)

        self._submit(state, part.name, decision, work)

    def _part_made(
        self, state: _StepState, part: Part, decision: Decision, tree: Tree, seconds: float, status: str
    ) -> None:
        state.made[part.name] = tree
        state.ran += status == "ran"
        state.memories[part.name] = PartMemory(part.name, decision.key, decision.record, part.layers, seconds)
        self._reporter.event(
            Event(
                "part-finished",
                state.step.id,
                part=part.name,
                status=status,
                done=len(state.made),
                total=len(state.parts),
                ran=state.ran,
                seconds=seconds,
            )
        )

    # --- joins ---

    def _decide_join(self, state: _StepState) -> None:
        step = state.step
        made = {name: state.made[name] for name in state.parts}
        record = settled_record(step, state.inputs, made, StepSpace(self._cache.content, step.files))
        decision = self._decider.join(step, record, state.inputs, made)
        state.join_decision = decision
        if decision.tree is not None:
            self._step_made(state, decision, decision.tree, decision.seconds, ran=False)
            return

        def work(space: StepSpace) -> Tree:
            return load_run_module(step).join(record, state.inputs, made, space)

        self._submit(state, "", decision, work)

    def _submit(self, state: _StepState, name: str, decision: Decision, work: Callable[[StepSpace], Tree]) -> None:
        """Give an action to the workers; the part's name, or "" for the join."""
        step = state.step

        def compute() -> tuple[Tree, float]:
            if decision.why_not == "forced":
                return self._compute(decision.key, step, work)
            what = f"{step.id} {name}".rstrip()
            with self._cache.computing(
                decision.key, lambda holder: self._notes.put(f"{what}: waiting for {holder}")
            ) as made:
                if made is not None:
                    return dict(made.tree), made.wall_seconds
                return self._compute(decision.key, step, work)

        self._futures[self._pool.submit(compute)] = (state, name, decision)

    def _compute(self, key: str, step: Step, work: Callable[[StepSpace], Tree]) -> tuple[Tree, float]:
        started = time.monotonic()
        tree = work(StepSpace(self._cache.content, step.files))
        seconds = time.monotonic() - started
        self._cache.publish(key, tree, seconds)
        return tree, seconds

    def _step_made(self, state: _StepState, decision: Decision, tree: Tree, seconds: float, *, ran: bool) -> None:
        step = state.step
        elapsed = time.monotonic() - state.started
        state.result = StepResult(step.id, tree, len(state.parts), state.ran, ran, elapsed)
        state.memory = StepMemory(
            step.record,
            {role: tree_digest(value) for role, value in state.inputs.items()},
            tuple(state.memories[name] for name in state.parts),
            seconds,
            decision.key,
        )
        self._reporter.event(
            Event(
                "step-finished",
                step.id,
                status="ran" if state.result.ran else "reused",
                done=len(state.parts),
                total=len(state.parts),
                ran=state.ran,
                seconds=elapsed,
            )
        )
        self._start_ready_steps()

    def _finish(self, future: Future[tuple[Tree, float]]) -> None:
        state, name, decision = self._futures.pop(future)
        tree, seconds = future.result()
        if name:
            self._part_made(state, state.parts[name], decision, tree, seconds, "ran")
            self._decide_parts(state)
        else:
            self._step_made(state, decision, tree, seconds, ran=True)


def needed_steps(steps: Iterable[Step], wanted: Iterable[str]) -> list[Step]:
    """The steps that ``wanted`` (ids) depend on, themselves included, in plan order."""
    by_id: Mapping[str, Step] = {step.id: step for step in steps}
    needed: set[str] = set()
    stack = [id_ for id_ in wanted if id_ in by_id]
    while stack:
        id_ = stack.pop()
        if id_ not in needed:
            needed.add(id_)
            stack.extend(by_id[id_].inputs.values())
    return [step for step in by_id.values() if step.id in needed]
