"""The committed texts beside a program: ``X.<variant>.quant`` and ``X.lock``. Written only when they change.

A step's line in the lock is a digest of what the step *means* (record, inputs, files), not its cache key: keys hold the
kind of processor and tool versions, and a lock that changed from machine to machine would be no lock. Where data is not
here (``absent.py``), the lines that cannot be made without it are kept as they are committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from npudsl.artifacts.quant_table import QuantTable, read_table
from npudsl.engine.files import FileTracker
from npudsl.engine.outcome import StepResult
from npudsl.engine.snapshot import digest_of, new_entry
from npudsl.keys import digest_bytes, digest_record
from npudsl.plan.step import FileInput, Step
from npudsl.steps.pipeline import Pipeline
from npudsl.steps.quantize.kind import KIND as QUANTIZE
from npudsl.steps.quantize.kind import RANGES_ROLE, TABLE_ROLE
from npudsl.store.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from npudsl.api.planned import Plan

STEP_DIGITS = 8
PERCENT_METRICS = frozenset({"top1", "top5", "top1_drop", "top1_agreement"})


@dataclass(frozen=True)
class CommittedTable:
    """A committed table as a file and as what it says."""

    file: FileInput
    table: QuantTable


@dataclass(frozen=True)
class Text:
    """A text that belongs beside the program."""

    path: Path
    data: bytes


def table_path(project: Project, variant: str) -> Path:
    """Where the table of a variant is committed."""
    return project.folder / f"{project.program.name}.{variant}.quant"


def lock_path(project: Project) -> Path:
    """Where the lock is committed."""
    return project.folder / f"{project.program.name}.lock"


def committed_tables(project: Project, tracker: FileTracker) -> dict[str, CommittedTable]:
    """The committed tables by variant; raises ``UserError`` for one that cannot be read."""
    tables = {}
    for variant in project.program.variants:
        path = table_path(project, variant)
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            tables[variant] = CommittedTable(tracker.file(path, path.name), read_table(text, path.name))
    return tables


def committed_lock(project: Project, tracker: FileTracker) -> LockFile | None:
    """The committed lock, None when there is none; raises ``UserError`` for one that cannot be read."""
    path = lock_path(project)
    tracker.watch(path)
    if not path.is_file():
        return None
    return read_lock(path.read_text(encoding="utf-8", errors="replace"), path.name)


def table_texts(project: Project, results: Mapping[str, StepResult], cache: Cache) -> list[Text]:
    """The tables of the variants that were quantized, and their entropies where they report them."""
    texts = []
    for id_, result in results.items():
        kind, _, variant = id_.partition(":")
        if kind != QUANTIZE.name:
            continue
        texts.append(Text(table_path(project, variant), cache.content.read_bytes(result.tree["table"])))
        for name in ("entropy.txt", "entropy.rules"):
            if name in result.tree:
                place = project.folder / f"{project.program.name}.{variant}.{name}"
                texts.append(Text(place, cache.content.read_bytes(result.tree[name])))
    return texts


def lock_text(project: Project, plan: Plan, comparisons: Iterable[ComparisonReport], *, relock: bool) -> Text:
    """The lock of a finished build. ``relock`` keeps no metric of the committed one."""
    lines = [*planned_lines(project, plan), *metric_lines(comparisons), *_kept_metrics(plan)]
    lock = LockFile(__version__, project.program.version, tuple(lines))
    return Text(lock_path(project), render_lock(merge_sticky(None if relock else plan.lock, lock)).encode())


def write_texts(texts: Iterable[Text], tracker: FileTracker) -> tuple[list[PlacedFile], list[str]]:
    """Write texts that changed; returns the files, and the names of those that somebody changed since they were read.

    Those are left as they are: the next build reads them. Raises ``EnvironmentMissing`` when one cannot be written.
    """
    placed, left = [], []
    for text in texts:
        if _changed_meanwhile(text, tracker):
            left.append(text.path.name)
            placed.append(PlacedFile(text.path, new_entry(str(text.path)), written=False))
        else:
            placed.append(write_if_different(text.path, text.data))
    return placed, left


def planned_lines(project: Project, plan: Plan) -> Iterator[LockLine]:
    """The lines of the lock that need no result: everything but metrics."""
    program, pipeline = project.program, plan.pipeline
    for subject in sorted(program.defaults):
        block, _, key = subject.rpartition(".")
        if block.startswith("quantize["):
            name = block.removeprefix("quantize[").removesuffix("]")
            yield LockedDefault(f"quantize.{name}.{key}", str(program.variants[name].settings.get(key)))
    for file in pipeline.steps[0].files.values():
        yield LockedFile(file.shown, file.digest, file.size)
    for name, samples in pipeline.datasets.items():
        digest = digest_record([sample.digest for sample in samples.samples])
        yield LockedDataset(name, len(samples.samples), digest)
    meanings = _meanings(pipeline)
    for id_, meaning in meanings.items():
        yield LockedStep(id_, meaning[:STEP_DIGITS])
    for line in plan.lock.lines if plan.lock is not None else ():
        if isinstance(line, LockedDataset) and line.name in plan.absent:
            yield line
        if isinstance(line, LockedStep) and line.name not in meanings and _is_planned(line.name, pipeline):
            yield line
    for variant in program.variants.values():
        for rule in variant.rules:
            if rule.because:
                yield LockedReason(variant.name, rule.kind, rule.selector.text, rule.because)


def metric_lines(comparisons: Iterable[ComparisonReport]) -> Iterator[LockLine]:
    """What was measured."""
    for report in comparisons:
        for verdict in report.verdicts:
            percent = verdict.metric in PERCENT_METRICS
            yield LockedMetric(report.name, verdict.metric, verdict.tensor, verdict.value, percent)


def _kept_metrics(plan: Plan) -> Iterator[LockLine]:
    """Committed metrics of comparisons that are left out."""
    for line in plan.lock.lines if plan.lock is not None else ():
        if isinstance(line, LockedMetric) and f"compare:{line.comparison}" in plan.pipeline.skipped:
            yield line


def _is_planned(step: str, pipeline: Pipeline) -> bool:
    return step in pipeline.skipped or any(step == planned.id for planned in pipeline.steps)


def _meanings(pipeline: Pipeline) -> dict[str, str]:
    """By step a digest of what it means: record, inputs, files (the committed table is an output, not a meaning).

    Steps behind a table that stands for missing data have none: what their inputs are is not known here.
    """
    meanings: dict[str, str] = {}
    for step in pipeline.steps:
        if RANGES_ROLE in step.files or not all(source in meanings for source in step.inputs.values()):
            continue
        meanings[step.id] = _meaning(step, meanings)
    return meanings


def _meaning(step: Step, meanings: Mapping[str, str]) -> str:
    return digest_record(
        {
            "kind": step.kind.name,
            "version": step.kind.version,
            "record": step.record,
            "files": {role: file.digest for role, file in step.files.items() if role != TABLE_ROLE},
            "inputs": {role: meanings[source] for role, source in step.inputs.items()},
        }
    )


def _changed_meanwhile(text: Text, tracker: FileTracker) -> bool:
    """Whether the file on disk is neither what was read when the build began nor what is to be written."""
    known = tracker.entries.get(os.path.abspath(text.path))  # noqa: PTH100
    try:
        found = digest_of(str(text.path))
    except OSError:
        return False
    return known is not None and found not in (known[5], digest_bytes(text.data))
