"""The committed texts beside a program: ``X.<variant>.quant`` and ``X.lock``. Written only when they change.

A step's line in the lock is a digest of what the step *means* (record, inputs, files), not its cache key: keys hold the
kind of processor and tool versions, and a lock that changed from machine to machine would be no lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl import __version__
from npudsl.api.outputs import PlacedFile, write_if_different
from npudsl.api.project import Project
from npudsl.artifacts.comparison import ComparisonReport
from npudsl.artifacts.lock_file import (
    LockedDataset,
    LockedDefault,
    LockedFile,
    LockedMetric,
    LockedReason,
    LockedStep,
    LockFile,
    LockLine,
    merge_sticky,
    read_lock,
    render_lock,
)
from npudsl.artifacts.quant_table import read_table
from npudsl.diagnostics import UserError
from npudsl.engine.files import FileTracker
from npudsl.engine.outcome import StepResult
from npudsl.keys import digest_record
from npudsl.plan.step import FileInput, Step
from npudsl.steps.pipeline import Pipeline
from npudsl.steps.quantize.kind import KIND as QUANTIZE
from npudsl.steps.quantize.kind import TABLE_ROLE
from npudsl.store.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_DIGITS = 8
PERCENT_METRICS = frozenset({"top1", "top5", "top1_drop", "top1_agreement"})


def table_path(project: Project, variant: str) -> Path:
    """Where the table of a variant is committed."""
    return project.folder / f"{project.program.name}.{variant}.quant"


def lock_path(project: Project) -> Path:
    """Where the lock is committed."""
    return project.folder / f"{project.program.name}.lock"


def committed_tables(project: Project, tracker: FileTracker) -> dict[str, FileInput]:
    """The committed tables by variant; raises ``UserError`` for one that cannot be read."""
    tables = {}
    for variant in project.program.variants:
        path = table_path(project, variant)
        if path.is_file():
            read_table(path.read_text(encoding="utf-8"), path.name)
            tables[variant] = tracker.file(path, path.name)
    return tables


def commit_texts(
    project: Project,
    pipeline: Pipeline,
    results: Mapping[str, StepResult],
    comparisons: tuple[ComparisonReport, ...],
    cache: Cache,
) -> list[PlacedFile]:
    """Write tables and lock; returns the files. Raises ``EnvironmentMissing`` when one cannot be written."""
    written = []
    for step in pipeline.steps:
        if step.kind.name != QUANTIZE.name:
            continue
        result = results[step.id]
        text = cache.content.read_bytes(result.tree["table"])
        written.append(write_if_different(table_path(project, step.name), text))
    lock = LockFile(__version__, project.program.version, tuple(_lock_lines(project, pipeline, comparisons)))
    path = lock_path(project)
    written.append(write_if_different(path, render_lock(merge_sticky(_old_lock(path), lock)).encode()))
    return written


def _old_lock(path: Path) -> LockFile | None:
    """The committed lock; None when there is none or it cannot be read (conflict markers): a build writes it anew."""
    try:
        return read_lock(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError, UserError):
        return None


def _lock_lines(project: Project, pipeline: Pipeline, comparisons: tuple[ComparisonReport, ...]) -> Iterator[LockLine]:
    program = project.program
    for subject in sorted(program.defaults):
        block, _, key = subject.rpartition(".")
        if block.startswith("quantize["):
            name = block.removeprefix("quantize[").removesuffix("]")
            yield LockedDefault(f"quantize.{name}.{key}", str(program.variants[name].settings.get(key)))
    model = pipeline.steps[0]
    for file in model.files.values():
        yield LockedFile(file.shown, file.digest, file.size)
    for name, samples in pipeline.datasets.items():
        digest = digest_record([sample.digest for sample in samples.samples])
        yield LockedDataset(name, len(samples.samples), digest)
    meanings: dict[str, str] = {}
    for step in pipeline.steps:
        meanings[step.id] = _meaning(step, meanings)
        yield LockedStep(step.id, meanings[step.id][:STEP_DIGITS])
    for report in comparisons:
        for verdict in report.verdicts:
            yield LockedMetric(
                report.name, verdict.metric, verdict.tensor, verdict.value, verdict.metric in PERCENT_METRICS
            )
    for variant in program.variants.values():
        for rule in variant.rules:
            if rule.because:
                yield LockedReason(variant.name, rule.kind, rule.selector.text, rule.because)


def _meaning(step: Step, meanings: Mapping[str, str]) -> str:
    """Digest of what a step means: record, inputs, files (the committed table is an output, not a meaning)."""
    return digest_record(
        {
            "kind": step.kind.name,
            "version": step.kind.version,
            "record": step.record,
            "files": {role: file.digest for role, file in step.files.items() if role != TABLE_ROLE},
            "inputs": {role: meanings[source] for role, source in step.inputs.items()},
        }
    )
