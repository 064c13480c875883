"""Building without the data: a clone has the committed table and lock, and often not the samples they were made of.

A dataset of which nothing is here is done without when the lock has its line and every variant that is calibrated on it
has a table made with these settings on that very data. Then the table's ranges are taken as they are, and what only
looks at samples is left out. Anything less is the usual error about missing samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from npudsl.artifacts.lock_file import LockedDataset, LockFile
from npudsl.artifacts.quant_table import DIGEST_DIGITS, QuantTable
from npudsl.data.presence import absent_data
from npudsl.engine.files import FileTracker
from npudsl.language.program import Program
from npudsl.steps.pipeline import quantize_config
from npudsl.steps.quantize.kind import settings_digest


@dataclass(frozen=True)
class AbsentData:
    """Datasets to do without, and for the others of which nothing is here, why that is not possible."""

    datasets: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def absent_datasets(
    program: Program, tracker: FileTracker, tables: Mapping[str, QuantTable], lock: LockFile | None
) -> AbsentData:
    """Look for the data of every dataset; what was looked for is watched, so that its arrival is noticed."""
    inputs = [item.name for item in program.inputs]
    found: list[str] = []
    refused: dict[str, str] = {}
    for name, dataset in program.datasets.items():
        places = absent_data(dataset, inputs)
        if not places:
            continue
        reason = _why_not(program, name, tables, lock)
        if reason:
            refused[name] = reason
            continue
        found.append(name)
        for place in places:
            tracker.watch(Path(place))
    return AbsentData(tuple(found), refused)


def _why_not(program: Program, dataset: str, tables: Mapping[str, QuantTable], lock: LockFile | None) -> str:
    """Why the committed files do not stand for a dataset; empty when they do."""
    lines = lock.lines if lock is not None else ()
    locked = next((line for line in lines if isinstance(line, LockedDataset) and line.name == dataset), None)
    if locked is None:
        return f"no lock stands for it: {program.name}.lock has no line `dataset {dataset}`"
    for variant in program.variants.values():
        if variant.calibrate != dataset:
            continue
        table = tables.get(variant.name)
        shown = f"{program.name}.{variant.name}.quant"
        if table is None:
            return f"no table stands for it: {shown} is missing"
        if table.header.settings != settings_digest(quantize_config(program, variant).record()):
            return f"{shown} does not stand for it: it was made with other settings"
        if table.header.calib != locked.sha256[:DIGEST_DIGITS]:
            return f"{shown} does not stand for it: it was made of other samples than the lock says"
    return ""
