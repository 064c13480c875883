"""Runs a plan: what is there is reused, what is not runs in worker threads, everything finished is kept.

Design: one coordinating thread decides, a pool of threads computes. A step's parts are decided as soon as the step's
inputs are known; a part that reads another part waits for it alone. What follows from a decision is queued and not
called, so a plan may be as deep as it likes. Workers are threads, not processes: the work is in numpy, BLAS and
onnxruntime, which release the interpreter lock, a spawned process costs more than a typical rebuild, and sessions and
mapped arrays are shared (docs/decisions/0003-threads.md). A worker publishes its result itself, so nothing finished is
lost when the build is interrupted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

from npudsl.artifacts.blob import Tree
from npudsl.diagnostics import Diagnostic, EnvironmentMissing, NpuError, UserError
from npudsl.engine.decide import (
    Decider,
    Decision,
    file_trees,
    load_run_module,
    resolved_inputs,
    settled_record,
    waits_for,
)
from npudsl.engine.estimate import Estimate
from npudsl.engine.events import Event, EventKind, Reporter
from npudsl.engine.memory import Memory, PartMemory, StepMemory
from npudsl.engine.outcome import Outcome, StepResult
from npudsl.engine.reasons import FORCED, join_reason, part_reason
from npudsl.engine.space import StepSpace
from npudsl.plan.action import Host, tree_digest
from npudsl.plan.step import Part, Step
from npudsl.store.cache import Cache
from npudsl.store.content import BlobMissing

ATTEMPTS_WHEN_BLOBS_VANISH = 3


@dataclass
class _StepState:
    step: Step
    sources: set[str]
    """Steps that have to finish before this one starts."""
    inputs: dict[str, Tree] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    blockers: dict[str, set[str]] = field(default_factory=dict)
    """By part, the parts it reads that are not made yet."""
    readers: dict[str, list[str]] = field(default_factory=dict)
    """By part, the parts that read it."""
    made: dict[str, Tree] = field(default_factory=dict)
    memories: dict[str, PartMemory] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    ran: int = 0
    working: int = 0
    started: float = 0.0
    errors: list[NpuError] = field(default_factory=list)
    failed: bool = False
    result: StepResult | None = None
    memory: StepMemory | None = None


@dataclass(frozen=True)
class _Made:
    """What a worker gives back. ``ran`` is False when another process had made it by then."""

    tree: Tree
    seconds: float
    ran: bool


@dataclass(frozen=True)
class _Task:
    state: _StepState
    part: str
    """"" for the join."""
    decision: Decision


class Engine:
    """Builds plans against one cache.

    ``forced`` steps run whatever is there. ``keep_going`` goes on with what does not need a failed step.
    ``cached_only`` runs nothing: the first result that is not there is an error.
    """

    def __init__(
        self,
        cache: Cache,
        host: Host,
        *,
        jobs: int,
        reporter: Reporter,
        forced: Iterable[str] = (),
        keep_going: bool = False,
        cached_only: bool = False,
    ) -> None:
        self.cache = cache
        self.decider = Decider(cache, host, frozenset(forced))
        self.jobs = max(1, jobs)
        self.reporter = reporter
        self.keep_going = keep_going
        self.cached_only = cached_only

    def build(self, steps: Iterable[Step], memory: Memory) -> tuple[Mapping[str, StepResult], Memory]:
        """Bring every step up to date; returns results and the new memory. Raises what ``run`` collects."""
        outcome = self.run(steps, memory)
        outcome.raise_errors()
        return outcome.results, outcome.memory

    def run(self, steps: Iterable[Step], memory: Memory) -> Outcome:
        """Bring every step up to date, as far as that is possible.

        After an error, parts that were running are finished and kept. Raises ``KeyboardInterrupt`` at once; finished
        parts are kept.
        """
        plan = list(steps)
        for _ in range(ATTEMPTS_WHEN_BLOBS_VANISH):
            try:
                return _Run(plan, memory, self).execute()
            except BlobMissing as missing:
                self.reporter.event(Event("note", "", text=f"{missing}; what made it runs again"))
        raise EnvironmentMissing(
            [
                Diagnostic(
                    "E0905",
                    f"the cache folder {self.cache.root} loses files while the build runs",
                    helps=("find out what removes or damages them, or set NPUDSL_CACHE to another folder",),
                )
            ]
        )


class _Run:
    """One attempt at a plan."""

    def __init__(self, plan: list[Step], memory: Memory, engine: Engine) -> None:
        self._states = {step.id: _StepState(step, set(step.inputs.values())) for step in plan}
        self._behind: dict[str, list[_StepState]] = {step.id: [] for step in plan}
        for state in self._states.values():
            for source in state.sources:
                self._behind[source].append(state)
        self._memory = memory
        self._engine = engine
        self._cache = engine.cache
        self._decider = engine.decider
        self._estimate = Estimate(plan, memory)
        self._pool = ThreadPoolExecutor(max_workers=engine.jobs, thread_name_prefix="npudsl")
        self._todo: deque[tuple[_StepState, Callable[[_StepState], None]]] = deque()
        self._tasks: dict[Future[_Made], _Task] = {}
        self._messages: SimpleQueue[str | Future[_Made]] = SimpleQueue()
        """From workers: something to say, or a task that ended."""
        self._done = 0
        self._stopping = False

    def execute(self) -> Outcome:
        try:
            self._todo.extend((state, self._start) for state in self._states.values() if not state.sources)
            while self._todo or self._tasks:
                while self._todo:
                    state, action = self._todo.popleft()
                    self._guarded(state, action)
                if self._tasks:
                    self._receive(self._messages.get())
        except BaseException:
            self._pool.shutdown(wait=False, cancel_futures=True)
            raise
        self._pool.shutdown()
        states = self._states.values()
        results = {state.step.id: state.result for state in states if state.result is not None}
        memory = {state.step.id: state.memory for state in states if state.memory is not None}
        errors = tuple(error for state in states for error in state.errors)
        return Outcome(results, Memory({**self._memory.steps, **memory}), errors)

    def _receive(self, message: str | Future[_Made]) -> None:
        if isinstance(message, str):
            self._tell("note", None, text=message)
            return
        task = self._tasks.pop(message)
        task.state.working -= 1
        if not message.cancelled():
            self._guarded(task.state, lambda _: self._finish(task, message.result()))

    def _guarded(self, state: _StepState, action: Callable[[_StepState], None]) -> None:
        """Do something for a step; an error of the step ends the run, or the step alone with ``keep_going``."""
        try:
            if not self._stopping:
                action(state)
        except NpuError as error:
            state.errors.append(error)
            if not self._engine.keep_going:
                self._stopping = True
                self._todo.clear()
                for future in self._tasks:
                    future.cancel()
        if state.errors and not state.working and not state.failed:
            state.failed = True
            self._estimate.step_finished(state.step, changed=True)
            self._tell("step-failed", state, reason=state.errors[0].diagnostics[0].message)

    # --- steps ---

    def _start(self, state: _StepState) -> None:
        step = state.step
        state.started = time.monotonic()
        for role, source in step.inputs.items():
            result = self._states[source].result
            assert result is not None
            state.inputs[role] = result.tree
        old = self._memory.steps.get(step.id)
        previous = old.part_records if old else []
        inputs = {**state.inputs, **file_trees(step)}
        parts = load_run_module(step).expand(step.record, inputs, self._space(step), previous, step.context)
        state.parts = {part.name: part for part in parts}
        for part in parts:
            state.blockers[part.name] = set(waits_for(part))
            for read in state.blockers[part.name]:
                state.readers.setdefault(read, []).append(part.name)
        self._tell("step-started", state)
        # Known before the first is decided: a part that is made at once frees those that read it.
        for part in [part for part in parts if not state.blockers[part.name]]:
            self._decide_part(state, part)
        self._estimate.step_started(step, [part for part in parts if part.name not in state.made])
        if not parts:
            self._decide_join(state)

    def _decide_part(self, state: _StepState, part: Part) -> None:
        decision = self._decider.part(state.step, part, state.made)
        if decision.tree is not None:
            self._part_made(state, part, decision, _Made(decision.tree, decision.seconds, ran=False))
            return
        step, inputs = state.step, resolved_inputs(part, state.made)
        state.reasons[part.name] = part_reason(part.name, decision, self._memory.steps.get(step.id))
        self._submit(
            _Task(state, part.name, decision),
            lambda space: load_run_module(step).run_part(part.record, inputs, part.context, space),
        )

    def _part_made(self, state: _StepState, part: Part, decision: Decision, made: _Made) -> None:
        state.made[part.name] = made.tree
        state.ran += made.ran
        state.memories[part.name] = PartMemory(part.name, decision.key, decision.record, part.layers, made.seconds)
        self._estimate.part_finished(state.step.id, part.name)
        if not made.ran:
            state.reasons.pop(part.name, None)
        self._tell(
            "part-finished",
            state,
            part=part.name,
            status="ran" if made.ran else "reused",
            seconds=made.seconds,
            reason=state.reasons.get(part.name, ""),
        )
        for name in state.readers.get(part.name, ()):
            state.blockers[name].discard(part.name)
            if not state.blockers[name]:
                self._todo.append((state, partial(self._decide_part, part=state.parts[name])))
        if len(state.made) == len(state.parts):
            self._todo.append((state, self._decide_join))

    def _decide_join(self, state: _StepState) -> None:
        step = state.step
        made = {name: state.made[name] for name in state.parts}
        record = settled_record(step, state.inputs, made, self._space(step))
        decision = self._decider.join(step, record, state.inputs, made)
        if decision.tree is not None:
            self._step_made(state, decision, _Made(decision.tree, decision.seconds, ran=False))
            return
        if not state.ran:
            state.reasons[""] = join_reason(step, decision, state.inputs, self._memory.steps.get(step.id))
        self._submit(
            _Task(state, "", decision), lambda space: load_run_module(step).join(record, state.inputs, made, space)
        )

    def _step_made(self, state: _StepState, decision: Decision, made: _Made) -> None:
        step = state.step
        elapsed = time.monotonic() - state.started
        state.result = StepResult(
            step.id, made.tree, len(state.parts), state.ran, made.ran, elapsed, dict(state.reasons)
        )
        state.memory = StepMemory(
            step.record,
            {role: tree_digest(value) for role, value in state.inputs.items()},
            tuple(state.memories[name] for name in state.parts),
            made.seconds,
            decision.key,
        )
        self._done += 1
        old = self._memory.steps.get(step.id)
        self._estimate.step_finished(step, changed=old is None or old.join_key != decision.key)
        self._tell(
            "step-finished",
            state,
            status="ran" if state.result.ran else "reused",
            seconds=elapsed,
            reason=state.reasons.get("", ""),
        )
        for behind in self._behind[step.id]:
            behind.sources.discard(step.id)
            if not behind.sources:
                self._todo.append((behind, self._start))

    # --- work ---

    def _submit(self, task: _Task, work: Callable[[StepSpace], Tree]) -> None:
        """Give an action to the workers."""
        step, decision = task.state.step, task.decision
        what = f"{step.id} {task.part}".rstrip()
        if self._engine.cached_only:
            reason = task.state.reasons.get(task.part) or decision.why_not
            raise _not_cached(what, reason)

        def compute() -> _Made:
            if decision.why_not == FORCED:
                return self._compute(decision.key, step, work)
            with self._cache.computing(
                decision.key, lambda holder: self._messages.put(f"{what}: waiting for {holder}")
            ) as made:
                if made is not None:
                    return _Made(dict(made.tree), made.wall_seconds, ran=False)
                return self._compute(decision.key, step, work)

        task.state.working += 1
        future = self._pool.submit(compute)
        self._tasks[future] = task
        future.add_done_callback(self._messages.put)

    def _compute(self, key: str, step: Step, work: Callable[[StepSpace], Tree]) -> _Made:
        started = time.monotonic()
        tree = work(self._space(step))
        seconds = time.monotonic() - started
        self._cache.publish(key, tree, seconds)
        return _Made(tree, seconds, ran=True)

    def _finish(self, task: _Task, made: _Made) -> None:
        if task.part:
            self._part_made(task.state, task.state.parts[task.part], task.decision, made)
        else:
            self._step_made(task.state, task.decision, made)

    def _space(self, step: Step) -> StepSpace:
        return StepSpace(self._cache.content, step.files)

    def _tell(
        self,
        kind: EventKind,
        state: _StepState | None,
        *,
        part: str = "",
        status: str = "",
        seconds: float = 0.0,
        reason: str = "",
        text: str = "",
    ) -> None:
        self._engine.reporter.event(
            Event(
                kind,
                state.step.id if state is not None else "",
                part=part,
                status=status,
                done=len(state.made) if state is not None else 0,
                total=len(state.parts) if state is not None else 0,
                ran=state.ran if state is not None else 0,
                seconds=seconds,
                reason=reason,
                steps_done=self._done,
                steps_total=len(self._states),
                left_seconds=self._estimate.seconds(self._engine.jobs),
                text=text,
            )
        )


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


def _not_cached(what: str, reason: str) -> UserError:
    return UserError(
        [
            Diagnostic(
                "E0803",
                f"the result of {what} is not in the cache: {reason}",
                helps=("build without --require-cached, or bring the results here: `npu cache import FILE`",),
            )
        ]
    )
