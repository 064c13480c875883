"""What two revisions of a pipeline mean differently, from committed text alone: program, tables, lock.

Works in a clone without model, data or cache, and says what it cannot know: sizes of weights in bytes and single
per-channel scales are in no committed text.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from npudsl.api.review.metrics import MetricChange, metric_changes
from npudsl.api.review.program_diff import SourceChange, diff_programs
from npudsl.api.review.program_side import ProgramSide, read_side
from npudsl.api.review.sides import Side, opened_sides
from npudsl.api.review.stale import stale_notes
from npudsl.api.review.text_diff import diff_texts
from npudsl.artifacts.lock_diff import InputChange, input_changes, metric_pairs
from npudsl.artifacts.quant_table import QuantTable, read_table
from npudsl.artifacts.table_diff import DEFAULT_TOLERANCE, TableDifference, diff_tables
from npudsl.diagnostics import Diagnostic, UserError

if TYPE_CHECKING:
    from npudsl.keys import Json


@dataclass(frozen=True)
class ProgramDifference:
    """One program. ``status`` is changed, same, added or removed."""

    name: str
    status: str
    source: tuple[SourceChange, ...] = ()
    source_is_text: bool = False
    """One of the texts has errors, so statements are compared and not their meaning."""
    layout_only: bool = False
    """The texts differ, and mean the same."""
    tables: tuple[TableDifference, ...] = ()
    metrics: tuple[MetricChange, ...] = ()
    inputs: tuple[InputChange, ...] = ()
    notes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    """Targets that are the same on both sides."""

    @property
    def changed(self) -> bool:
        return self.status != "same"

    def record(self) -> dict[str, Json]:
        return {
            "program": self.name,
            "status": self.status,
            "source": [change.record() for change in self.source],
            "source_is_text": self.source_is_text,
            "layout_only": self.layout_only,
            "tables": [table.record() for table in self.tables],
            "metrics": [metric.record() for metric in self.metrics],
            "inputs": [change.record() for change in self.inputs],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Difference:
    """Two sides. ``programs`` has the unchanged ones too."""

    old: str
    new: str
    programs: tuple[ProgramDifference, ...]
    tolerance: float = DEFAULT_TOLERANCE

    @property
    def changed(self) -> bool:
        return any(program.changed for program in self.programs)

    def record(self) -> dict[str, Json]:
        return {
            "old": self.old,
            "new": self.new,
            "changed": self.changed,
            "tolerance_steps": self.tolerance,
            "programs": [program.record() for program in self.programs],
        }


def diff_revisions(
    words: Sequence[str] = (),
    programs: Sequence[str | Path] = (),
    *,
    folder: str | Path = ".",
    roots: Mapping[str, str] | None = None,
    tolerance: float = DEFAULT_TOLERANCE,
) -> Difference:
    """Compare revisions or folders (``words``: none, one, two, or a range ``A..B``) as seen from ``folder``.

    ``programs`` limits what is compared to these files; paths count from ``folder``, or from each of two folders.
    Raises ``UserError`` for words that mean nothing and programs that neither side has, ``EnvironmentMissing`` without
    git.
    """
    with opened_sides(words, Path(folder).resolve()) as (old, new):
        names = _chosen(programs, old, new, Path(folder).resolve())
        found = tuple(_program(name, old, new, dict(roots or {}), tolerance) for name in names)
        return Difference(old.label, new.label, found, tolerance)


def diff_table_files(old: str | Path, new: str | Path, *, tolerance: float = DEFAULT_TOLERANCE) -> Difference:
    """Compare two ``.quant`` files; raises ``UserError`` when one cannot be read."""
    left, right = (_table(Path(path)) for path in (old, new))
    difference = diff_tables(right.header.variant, left, right, tolerance)
    status = "changed" if difference.changed else "same"
    program = ProgramDifference(Path(new).name, status, tables=(difference,))
    return Difference(str(old), str(new), (program,), tolerance)


def _table(path: Path) -> QuantTable:
    try:
        return read_table(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError([Diagnostic("E0802", f"{path} cannot be read: {error}")]) from error


def _chosen(programs: Sequence[str | Path], old: Side, new: Side, folder: Path) -> list[str]:
    """Names of the programs to compare; raises ``UserError`` for one that neither side has."""
    if not programs:
        names = list(dict.fromkeys([*new.programs, *old.programs]))
        if not names:
            message = f"neither {old.label} nor {new.label} has a .npu file with a model block here"
            raise UserError([Diagnostic("E0004", message, helps=("go to the folder of the program, or name it",))])
        return sorted(names)
    names = []
    for program in programs:
        path = Path(program)
        name = PurePosixPath(os.path.relpath(path, folder) if path.is_absolute() else path).as_posix()
        if not old.path(name).is_file() and not new.path(name).is_file():
            from npudsl.language.names import near

            close = near(name, [*new.programs, *old.programs])
            meant = (f"did you mean {close[0]}?",) if close else ()
            message = f"neither {old.label} nor {new.label} has a program {name}"
            raise UserError([Diagnostic("E0004", message, helps=meant)])
        names.append(name)
    return list(dict.fromkeys(names))


def _program(name: str, old: Side, new: Side, roots: dict[str, str], tolerance: float) -> ProgramDifference:
    left, right = read_side(old, name, roots), read_side(new, name, roots)
    source, source_is_text = _source(left, right)
    tables = tuple(
        diff_tables(variant, left.tables.get(variant), right.tables.get(variant), tolerance)
        for variant in dict.fromkeys([*_variants(right), *_variants(left)])
    )
    metrics = metric_changes(metric_pairs(left.lock, right.lock), left.program, right.program)
    inputs = tuple(input_changes(left.lock, right.lock))
    status = "added" if left.text is None else "removed" if right.text is None else "same"
    if status == "same" and (
        source
        or inputs
        or any(table.changed for table in tables)
        or any(metric.changed for metric in metrics)
        or left.tables.keys() != right.tables.keys()
    ):
        status = "changed"
    notes = (*_broken(left, right), *left.notes, *right.notes)
    notes = (*notes, *stale_notes(left, old.label), *stale_notes(right, new.label))
    return ProgramDifference(
        name,
        status,
        source,
        source_is_text,
        not source and left.text != right.text and status in ("same", "changed"),
        tables,
        metrics,
        inputs,
        tuple(dict.fromkeys(filter(None, notes))),
        tuple(_same_targets(left, right)),
    )


def _broken(left: ProgramSide, right: ProgramSide) -> tuple[str, ...]:
    """Why texts are compared; nothing when they are equal, whatever is wrong with them."""
    if left.text == right.text and left.program is None and right.program is None:
        return ()
    return left.broken, right.broken


def _source(left: ProgramSide, right: ProgramSide) -> tuple[tuple[SourceChange, ...], bool]:
    if left.text is None or right.text is None:
        return (), False
    if left.program is not None and right.program is not None:
        return diff_programs(left.program, right.program), False
    return diff_texts(left.text, right.text), True


def _variants(side: ProgramSide) -> Iterable[str]:
    """Variants in the order of the program, tables that no variant has at the end."""
    of_program = side.program.variants if side.program is not None else {}
    return [*(name for name in of_program if name in side.tables), *side.tables]


def _same_targets(left: ProgramSide, right: ProgramSide) -> Iterable[str]:
    if left.program is None or right.program is None:
        return []
    return [name for name, target in right.program.targets.items() if left.program.targets.get(name) == target]
