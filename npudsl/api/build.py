"""Build a program: run its plan, put exports in place, write the committed texts, judge the requirements."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl import native
from npudsl.api.committed import lock_text, table_texts, write_texts
from npudsl.api.locked import changed_texts, lock_problems
from npudsl.api.outputs import PlacedExport, PlacedFile, place_export, remove_left_over
from npudsl.api.planned import Plan, plan_of
from npudsl.api.project import Project, located, open_project
from npudsl.api.state import save_state
from npudsl.artifacts.comparison import ComparisonReport
from npudsl.diagnostics import Diagnostic, UserError
from npudsl.diagnostics.render import locate
from npudsl.engine.events import Event, Reporter, SilentReporter
from npudsl.engine.memory import load_memory, save_memory
from npudsl.engine.outcome import StepResult
from npudsl.engine.run import Engine, needed_steps
from npudsl.engine.snapshot import identity
from npudsl.steps.compare.kind import requirement_diagnostics
from npudsl.steps.pipeline import Pipeline
from npudsl.store.cache import Cache
from npudsl.store.collect import collect_when_over

if TYPE_CHECKING:
    from npudsl.keys import Json
    from npudsl.plan.step import Step


@dataclass(frozen=True)
class BuildOptions:
    """How to build; nothing here changes a result except ``relock``."""

    jobs: int | None = None
    until: str | None = None
    forced: tuple[str, ...] = ()
    roots: Mapping[str, str] = field(default_factory=dict)
    root_options: tuple[str, ...] = ()
    """The roots as written on the command line: the up-to-date check compares them."""
    relock: bool = False
    locked: bool = False
    """Change neither lock nor tables: what does not fit is an error."""
    keep_going: bool = False
    """After a failed step, go on with what does not need it."""
    cached_only: bool = False
    """Run nothing: a result that is not in the cache is an error."""


@dataclass(frozen=True)
class BuildReport:
    """What a build did and found."""

    program: str
    steps: tuple[StepResult, ...]
    comparisons: tuple[ComparisonReport, ...]
    exports: tuple[PlacedExport, ...]
    diagnostics: tuple[Diagnostic, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def exit_code(self) -> int:
        return 1 if any(diagnostic.severity == "error" for diagnostic in self.diagnostics) else 0

    @property
    def ran(self) -> int:
        """Parts that really ran."""
        return sum(step.parts_ran for step in self.steps)

    @property
    def summary(self) -> str:
        """One line for the end of the output."""
        total = sum(step.parts for step in self.steps)
        if not any(step.ran for step in self.steps):
            written = sum(file.written for export in self.exports for file in export.files)
            done = f"up to date ({len(self.steps)} steps)"
            return f"{self.program}: {done}{f', {written} files put back in place' if written else ''}"
        return f"{self.program}: built in {self.seconds:.1f} s ({self.ran} of {total} parts ran)"

    @property
    def later_summary(self) -> str:
        """What an up-to-date build says later."""
        lines = [f"{self.program}: up to date ({len(self.steps)} steps)"]
        lines += [f"  {item.code}: {item.message}" for item in self.diagnostics if item.severity == "error"]
        return "\n".join(lines)

    def later_record(self) -> dict[str, Json]:
        """The JSON form of what an up-to-date build says later: everything is as it was, and nothing ran."""
        steps = tuple(replace(step, parts_ran=0, join_ran=False, reasons={}) for step in self.steps)
        return replace(self, steps=steps, seconds=0.0).record()

    def record(self) -> dict[str, Json]:
        """The JSON form."""
        from npudsl.diagnostics.render import to_json

        return {
            "program": self.program,
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "steps": [
                {
                    "step": step.id,
                    "ran": step.ran,
                    "parts": step.parts,
                    "parts_ran": step.parts_ran,
                    "reasons": dict(step.reasons),
                }
                for step in self.steps
            ],
            "comparisons": [comparison.record() for comparison in self.comparisons],
            "exports": [
                {"step": placed.export.step, "place": placed.export.shown, "files": len(placed.files)}
                for placed in self.exports
            ],
            "diagnostics": [to_json(diagnostic) for diagnostic in self.diagnostics],
            "notes": list(self.notes),
        }


def build_program(
    path: str | Path, options: BuildOptions | None = None, reporter: Reporter | None = None
) -> BuildReport:
    """Bring the program in ``path`` up to date.

    Raises ``UserError`` (the program or its data), ``StepFailed``, ``EnvironmentMissing``. A requirement that is not
    met does not raise: it is in the report, and in its exit code.
    """
    options = options or BuildOptions()
    begin = _Begin(time.monotonic(), time.time(), identity())
    project = open_project(path, roots=options.roots)
    return located(project.program, lambda: _build(project, options, reporter or SilentReporter(), begin))


@dataclass(frozen=True)
class _Begin:
    """When the build began, by both clocks, and which npudsl did it."""

    ticks: float
    time: float
    tool: str


def _build(project: Project, options: BuildOptions, reporter: Reporter, begin: _Begin) -> BuildReport:
    plan = plan_of(project, relock=options.relock)
    steps = chosen_steps(plan.pipeline, options.until)
    forced = matching_steps(plan.pipeline, options.forced)
    if options.locked:
        _refuse(lock_problems(project, plan))
    project.prepare_state()
    native.configure(project.cache / "native")
    cache = project.open_cache()
    try:
        with cache.leased():
            engine = Engine(
                cache,
                plan.host,
                jobs=options.jobs or os.cpu_count() or 1,
                reporter=reporter,
                forced=forced,
                keep_going=options.keep_going,
                cached_only=options.cached_only,
            )
            memory_path = project.state_file("last")
            outcome = engine.run(steps, load_memory(memory_path))
            with contextlib.suppress(OSError):
                save_memory(memory_path, outcome.memory)
                plan.tracker.save()
            own_notes = _notes_on_tool(cache, begin)
            if not options.keep_going:
                outcome.raise_errors()
            whole = len(outcome.results) == len(plan.pipeline.steps)
            with project.finishing(lambda text: reporter.event(Event("note", "", text=text))):
                report, committed = _finish(project, plan, outcome.results, cache, options, begin, whole=whole)
                if whole:
                    kept = committed if not own_notes else None
                    save_state(project, plan.tracker, report, kept, plan.host, options.root_options, begin.time)
            outcome.raise_errors()
            collected = collect_when_over(cache, project.settings.cache_limit)
        if collected is not None:
            own_notes.append(f"the cache was above its limit; {collected.freed_bytes / 2**20:.0f} MiB were removed")
        return replace(report, notes=(*report.notes, *own_notes, *cache.notes, *_slower()))
    finally:
        cache.close()


def _finish(
    project: Project,
    plan: Plan,
    results: Mapping[str, StepResult],
    cache: Cache,
    options: BuildOptions,
    begin: _Begin,
    *,
    whole: bool,
) -> tuple[BuildReport, list[PlacedFile] | None]:
    """Judge, put exports in place, write the committed texts.

    Returns the report and the committed files; None for the latter when the next build has to look at them. A part of
    the plan leaves the lock alone, and the tables too unless their exports were asked for.
    """
    comparisons, findings = _judge(plan.pipeline, results, cache)
    texts = table_texts(project, results, cache) if whole or options.keep_going else []
    if whole:
        texts.append(lock_text(project, plan, comparisons, relock=options.relock))
    if options.locked:
        _refuse(changed_texts(texts))
    exports = tuple(
        place_export(export, results[export.step].tree, cache.content)
        for export in plan.pipeline.exports
        if export.step in results
    )
    committed, left = write_texts(texts, plan.tracker)
    if whole:
        remove_left_over(project, [file for export in exports for file in export.files])
    warnings = (*project.program.warnings, *plan.pipeline.warnings, *findings)
    report = BuildReport(
        project.program.name,
        tuple(results.values()),
        comparisons,
        exports,
        tuple(locate(diagnostic, project.program.origins) for diagnostic in warnings),
        (
            *plan.notes,
            *(f"{export.export.shown}: {note}" for export in exports for note in export.notes),
            *(f"{name} was changed while the build ran and is left as it is; build again" for name in left),
        ),
        time.monotonic() - begin.ticks,
    )
    return report, committed if not left else None


def _refuse(problems: Iterable[Diagnostic]) -> None:
    found = list(problems)
    if found:
        raise UserError(found)


def _notes_on_tool(cache: Cache, begin: _Begin) -> list[str]:
    """A note when npudsl was edited or replaced while it ran: which code made a result is not known then."""
    if identity() == begin.tool:
        return []
    cache.forget_published()
    return ["npudsl itself changed while the build ran; what it computed is not kept"]


def _slower() -> tuple[str, ...]:
    """A note when work of this build went without its compiled fast path."""
    reason = native.why_not()
    return (f"parts ran in numpy, slower and with the same results: {reason}",) if reason else ()


def chosen_steps(pipeline: Pipeline, until: str | None) -> list[Step]:
    """The steps to build: all, or those that ``until`` (a step or a kind of step) needs."""
    if until is None:
        return list(pipeline.steps)
    return list(needed_steps(pipeline.steps, matching_steps(pipeline, (until,))))


def matching_steps(pipeline: Pipeline, names: tuple[str, ...]) -> list[str]:
    """Ids of the steps that ``names`` mean: a whole id, or a kind. Raises ``UserError`` for a name without a step."""
    import difflib

    found: list[str] = []
    for name in names:
        matches = [step.id for step in pipeline.steps if name in (step.id, step.kind.name)]
        if not matches:
            known = [step.id for step in pipeline.steps]
            near = difflib.get_close_matches(name, known, n=1)
            raise UserError(
                [
                    Diagnostic(
                        "E0213",
                        f"there is no step `{name}`{f'; did you mean `{near[0]}`?' if near else ''}",
                        notes=(f"steps: {', '.join(known)}",),
                    )
                ]
            )
        found.extend(matches)
    return found


def _judge(
    pipeline: Pipeline, results: Mapping[str, StepResult], cache: Cache
) -> tuple[tuple[ComparisonReport, ...], list[Diagnostic]]:
    """The comparisons, and a diagnostic for each requirement that is not met and each variant that collapsed."""
    reports = []
    findings: list[Diagnostic] = []
    for comparison in pipeline.comparisons:
        if comparison.step not in results:
            continue
        report = ComparisonReport.load(results[comparison.step].tree, cache.content)
        if not comparison.implied:
            reports.append(report)
        findings.extend(requirement_diagnostics(report, comparison.samples_shown))
        if comparison.implied and report.collapse is not None:
            findings.append(replace(report.collapse, subject=comparison.subject))
    return tuple(reports), findings
