"""The plan of a project: committed texts read, data looked for, files hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from npudsl.api.absent import AbsentData, absent_datasets
from npudsl.api.committed import committed_lock, committed_tables
from npudsl.api.project import Project
from npudsl.artifacts.lock_file import LockFile
from npudsl.artifacts.quant_table import QuantTable
from npudsl.diagnostics import NpuError, UserError
from npudsl.engine.files import FileTracker
from npudsl.engine.host import host_for
from npudsl.plan.action import Host
from npudsl.steps.pipeline import Pipeline, pipeline_of
from npudsl.steps.quantize.kind import RANGES_ROLE
from npudsl.targets.constraints import check_targets


@dataclass(frozen=True)
class Plan:
    """A pipeline with what it was made from."""

    program: str
    pipeline: Pipeline
    tracker: FileTracker
    tables: Mapping[str, QuantTable]
    """The committed tables by variant (none with ``relock``)."""
    lock: LockFile | None
    """The committed lock."""
    absent: tuple[str, ...]
    """Datasets that are done without."""
    host: Host

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of data that is not here."""
        if not self.absent:
            return ()
        names = " and ".join(self.absent)
        notes = [f"nothing of dataset {names} is here; it is done without, as the committed lock allows"]
        taken = [step.name for step in self.pipeline.steps if RANGES_ROLE in step.files]
        if taken:
            tables = ", ".join(f"{self.program}.{name}.quant" for name in taken)
            notes.append(f"ranges are taken from the committed tables as they are: {tables}")
            notes.append("the golden runs of exports are on a sample of zeros")
        if self.pipeline.skipped:
            notes.append(f"left out: {', '.join(self.pipeline.skipped)}")
        return tuple(notes)


def plan_of(project: Project, *, relock: bool = False) -> Plan:
    """The plan of a project; raises ``UserError`` (target limits and committed files that cannot be read included)."""
    broken = check_targets(project.program)
    if any(diagnostic.severity == "error" for diagnostic in broken):
        raise UserError(broken)
    tracker = FileTracker(project.state_file("files"))
    for path in project.texts:
        tracker.watch(path)
    lock = None if relock else committed_lock(project, tracker)
    tables = {} if relock else committed_tables(project, tracker)
    read = {name: table.table for name, table in tables.items()}
    absent = AbsentData() if relock else absent_datasets(project.program, tracker, read, lock)
    try:
        pipeline = pipeline_of(
            project.program,
            tracker,
            {name: table.file for name, table in tables.items()},
            absent=absent.datasets,
            activation_budget=project.settings.activation_budget,
        )
    except NpuError as error:
        error.diagnostics = tuple(
            replace(item, notes=(*item.notes, *_notes_on(item.subject, absent))) for item in error.diagnostics
        )
        raise
    host = host_for((tool for step in pipeline.steps for tool in step.kind.tools), project.settings.salt)
    return Plan(project.program.name, pipeline, tracker, read, lock, absent.datasets, host)


def _notes_on(subject: str | None, absent: AbsentData) -> tuple[str, ...]:
    """Why committed files do not stand for the dataset that a diagnostic is about."""
    return tuple(
        f"nothing of dataset {name} is here, and {reason}"
        for name, reason in absent.refused.items()
        if subject is not None and subject.startswith(f"dataset[{name}]")
    )
