"""Build a program: run its plan, put exports in place, write the committed texts, judge the requirements."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.committed import commit_texts, committed_tables
from npudsl.api.outputs import PlacedExport, place_export, remove_left_over
from npudsl.api.project import Project, located, open_project
from npudsl.api.state import save_state
from npudsl.artifacts.comparison import ComparisonReport
from npudsl.diagnostics import Diagnostic
from npudsl.diagnostics.render import locate
from npudsl.engine.events import Reporter, SilentReporter
from npudsl.engine.files import FileTracker
from npudsl.engine.host import host_for
from npudsl.engine.memory import load_memory, save_memory
from npudsl.engine.outcome import StepResult
from npudsl.engine.run import Engine, needed_steps
from npudsl.steps.compare.kind import requirement_diagnostics
from npudsl.steps.pipeline import Pipeline, pipeline_of
from npudsl.store.cache import Cache
from npudsl.targets.constraints import check_targets

if TYPE_CHECKING:
    from npudsl.keys import Json
    from npudsl.plan.action import Host
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
        """What an up-to-date build says later in JSON: the same findings, and nothing ran."""
        record = self.record()
        record["seconds"] = 0.0
        record["steps"] = [{**step, "ran": False, "parts_ran": 0} for step in record["steps"]]
        return record

    def record(self) -> dict[str, Json]:
        """The JSON form."""
        from npudsl.diagnostics.render import to_json

        return {
            "program": self.program,
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "steps": [
                {"step": step.id, "ran": step.ran, "parts": step.parts, "parts_ran": step.parts_ran}
                for step in self.steps
            ],
            "comparisons": [comparison.record() for comparison in self.comparisons],
            "exports": [
                {"step": placed.export.step, "place": placed.export.shown, "files": len(placed.files)}
                for placed in self.exports
            ],
            "diagnostics": [to_json(diagnostic) for diagnostic in self.diagnostics],
        }


def build_program(
    path: str | Path, options: BuildOptions | None = None, reporter: Reporter | None = None
) -> BuildReport:
    """Bring the program in ``path`` up to date.

    Raises ``UserError`` (the program or its data), ``StepFailed``, ``EnvironmentMissing``. A requirement that is not
    met does not raise: it is in the report, and in its exit code.
    """
    options = options or BuildOptions()
    started = time.monotonic()
    project = open_project(path, roots=options.roots)
    return located(project.program, lambda: _build(project, options, reporter or SilentReporter(), started))


def planned(project: Project, *, relock: bool = False) -> tuple[Pipeline, FileTracker]:
    """The plan of a project, and the files it looked at; raises ``UserError`` (target limits included)."""
    from npudsl.diagnostics import UserError

    broken = check_targets(project.program)
    if any(diagnostic.severity == "error" for diagnostic in broken):
        raise UserError(broken)
    tracker = FileTracker(project.state_file("files"))
    tables = {} if relock else committed_tables(project, tracker)
    return pipeline_of(project.program, tracker, tables), tracker


def plan_host(pipeline: Pipeline) -> Host:
    """This machine, with the versions of the tools that the plan's steps name."""
    return host_for(tool for step in pipeline.steps for tool in step.kind.tools)


def _build(project: Project, options: BuildOptions, reporter: Reporter, started: float) -> BuildReport:
    pipeline, tracker = planned(project, relock=options.relock)
    steps = chosen_steps(pipeline, options.until)
    forced = matching_steps(pipeline, options.forced)
    project.prepare_state()
    cache = Cache(project.cache)
    try:
        host = plan_host(pipeline)
        memory_path = project.state_file("last")
        engine = Engine(cache, host, jobs=options.jobs or os.cpu_count() or 1, reporter=reporter, forced=forced)
        results, memory = engine.build(steps, load_memory(memory_path))
        save_memory(memory_path, memory)
        whole = len(steps) == len(pipeline.steps)
        exports = tuple(
            place_export(export, results[export.step].tree, cache.content)
            for export in pipeline.exports
            if export.step in results
        )
        comparisons, findings = _judge(project, pipeline, results, cache)
        if whole:
            remove_left_over(project, exports)
            committed = commit_texts(project, pipeline, results, comparisons, cache)
        warnings = (*project.program.warnings, *pipeline.warnings, *findings)
        report = BuildReport(
            project.program.name,
            tuple(results.values()),
            comparisons,
            exports,
            tuple(locate(diagnostic, project.program.origins) for diagnostic in warnings),
            tuple(f"{export.export.shown}: {note}" for export in exports for note in export.notes),
            time.monotonic() - started,
        )
        tracker.save()
        if whole:
            save_state(project, tracker, report, committed, host, options.root_options)
        return report
    finally:
        cache.close()


def chosen_steps(pipeline: Pipeline, until: str | None) -> list[Step]:
    """The steps to build: all, or those that ``until`` (a step or a kind of step) needs."""
    if until is None:
        return list(pipeline.steps)
    return list(needed_steps(pipeline.steps, matching_steps(pipeline, (until,))))


def matching_steps(pipeline: Pipeline, names: tuple[str, ...]) -> list[str]:
    """Ids of the steps that ``names`` mean: a whole id, or a kind. Raises ``UserError`` for a name without a step."""
    import difflib

    from npudsl.diagnostics import UserError

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
    project: Project, pipeline: Pipeline, results: Mapping[str, StepResult], cache: Cache
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
