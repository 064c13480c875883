"""Whether the committed lock and tables fit, for ``--locked`` and ``npu lock``, and what to do after a merge."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from npudsl import __version__
from npudsl.api.committed import Text, lock_path, planned_lines, table_path
from npudsl.api.planned import Plan, plan_of
from npudsl.api.project import Project, located, open_project
from npudsl.artifacts.lock_file import LockedMetric, LockLine, identity, read_lock, render_line
from npudsl.artifacts.quant_table import DIGEST_DIGITS, QuantTable, read_table
from npudsl.diagnostics import Diagnostic, Place, UserError
from npudsl.language.program import Quantize
from npudsl.steps.pipeline import quantize_config
from npudsl.steps.quantize.kind import calib_digest, settings_digest
from npudsl.store.atomic import write_atomically

MOST_LINES = 5
MOST_PROBLEMS = 20
MARKS = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")


def check_lock(path: str | Path, *, roots: Mapping[str, str] | None = None) -> list[Diagnostic]:
    """What of the committed lock and tables does not fit the program and its data; runs nothing.

    Raises ``UserError`` for what cannot be read.
    """
    project = open_project(path, roots=roots)
    return located(project.program, lambda: lock_problems(project, plan_of(project)))


def lock_problems(project: Project, plan: Plan) -> list[Diagnostic]:
    """E0801 for every line of the lock, and every table, that a build would change; metrics need a build."""
    if plan.lock is None:
        return [_misfit(f"{lock_path(project).name} is missing", lock_path(project), 0)]
    return [*_lock_misfits(project, plan), *_table_misfits(project, plan)][:MOST_PROBLEMS]


def changed_texts(texts: Iterable[Text]) -> list[Diagnostic]:
    """E0801 for every text that differs from the file in its place, with the first lines that do."""
    found = []
    for text in texts:
        old = text.path.read_bytes() if text.path.is_file() else None
        if old == text.data:
            continue
        if old is None:
            found.append(_misfit(f"{text.path.name} is missing", text.path, 0))
            continue
        before, after = (data.decode("utf-8", "replace").splitlines() for data in (old, text.data))
        changes = [line for line in difflib.unified_diff(before, after, lineterm="", n=0) if line[:2] not in _HUNK]
        pairs = enumerate(zip(before, after, strict=False), 1)
        first = next((number for number, pair in pairs if len(set(pair)) > 1), 0)
        more = (f"and {len(changes) - MOST_LINES} more lines",) if len(changes) > MOST_LINES else ()
        message = f"{text.path.name} does not fit what this build made"
        found.append(_misfit(message, text.path, first, (*changes[:MOST_LINES], *more)))
    return found


_HUNK = ("--", "++", "@@")


@dataclass(frozen=True)
class Resolved:
    """What ``resolve_conflicts`` did to one file."""

    path: Path
    removed: bool
    """True: neither side could be read, so the file is gone and the next build writes it."""


def resolve_conflicts(path: str | Path, *, roots: Mapping[str, str] | None = None) -> list[Resolved]:
    """Take the marks of a merge conflict out of lock and tables: our side stays, and a build makes it right.

    Returns the files that had any. Raises ``UserError`` for a program that cannot be read.
    """
    project = open_project(path, roots=roots)
    done = []
    for file in [lock_path(project), *(table_path(project, variant) for variant in project.program.variants)]:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        ours = our_side(text)
        if ours == text:
            continue
        try:
            (read_lock if file == lock_path(project) else read_table)(ours, file.name)
        except UserError:
            file.unlink()
            done.append(Resolved(file, removed=True))
        else:
            write_atomically(file, ours.encode())
            done.append(Resolved(file, removed=False))
    return done


def our_side(text: str) -> str:
    """A text without the other side, and the base, of its conflicts."""
    lines, side = [], ""
    for line in text.splitlines(keepends=True):
        mark = line[:7]
        if mark in MARKS and line[7:8] in ("", " ", "\n", "\r"):
            side = "" if mark == ">>>>>>>" else mark
        elif side in ("", "<<<<<<<"):
            lines.append(line)
    return "".join(lines)


def _lock_misfits(project: Project, plan: Plan) -> list[Diagnostic]:
    """Lines that a build would write differently, remove or add, in the order of the file."""
    assert plan.lock is not None
    path = lock_path(project)
    wanted: dict[object, LockLine] = {_about(line): line for line in planned_lines(project, plan)}
    comparisons = {comparison.name for comparison in project.program.comparisons}
    found = []
    if plan.lock.tool != __version__ or plan.lock.language != project.program.version:
        header = f"tool={__version__} language={project.program.version}"
        found.append(_misfit(f"line 1 does not fit: {header} would be written", path, 1))
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    numbers = {line: number for number, line in enumerate(text, 1)}
    for line in plan.lock.lines:
        number = numbers.get(render_line(line), 0)
        if isinstance(line, LockedMetric):
            new: LockLine | None = line if line.comparison in comparisons else None
        else:
            new = wanted.pop(_about(line), None)
        if new is None:
            found.append(_misfit(f"line {number} is about nothing in the program: {render_line(line)}", path, number))
        elif new != line:
            found.append(_misfit(f"line {number} does not fit", path, number, _change(line, new)))
    found += [_misfit(f"a line is missing: {render_line(line)}", path, 0) for line in wanted.values()]
    return found


def _table_misfits(project: Project, plan: Plan) -> list[Diagnostic]:
    found = []
    for variant in project.program.variants.values():
        path = table_path(project, variant.name)
        table = plan.tables.get(variant.name)
        if table is None:
            found.append(_misfit(f"{path.name} is missing", path, 0))
            continue
        reasons = _header_misfits(project, plan, variant, table)
        if reasons:
            found.append(_misfit(f"{path.name} was made with other {' and '.join(reasons)}", path, 1))
    known = {table_path(project, variant).name for variant in project.program.variants}
    for path in sorted(project.folder.glob(f"{project.program.name}.*.quant")):
        variant_name = path.name.removeprefix(f"{project.program.name}.").removesuffix(".quant")
        # `net.v2.u8.quant` belongs to net.v2.npu, not to net.npu.
        if path.name not in known and "." not in variant_name:
            found.append(_misfit(f"{path.name} belongs to no variant of the program", path, 0))
    return found


def _header_misfits(project: Project, plan: Plan, variant: Quantize, table: QuantTable) -> list[str]:
    reasons = []
    if table.header.settings != settings_digest(quantize_config(project.program, variant).record()):
        reasons.append("settings")
    data = plan.pipeline.datasets.get(variant.calibrate or "")
    if data is not None:
        calib = calib_digest([sample.digest for sample in data.samples])
        if table.header.calib != calib[:DIGEST_DIGITS]:
            reasons.append("calibration samples")
    return reasons


def _change(old: LockLine, new: LockLine) -> tuple[str, str]:
    return f"- {render_line(old)}", f"+ {render_line(new)}"


def _about(line: LockLine) -> tuple[type, tuple[str, ...]]:
    return type(line), identity(line)


def _misfit(message: str, path: Path, number: int, notes: tuple[str, ...] = ()) -> Diagnostic:
    return Diagnostic(
        "E0801",
        message,
        places=(Place(str(path), number),),
        notes=notes,
        helps=("run npu build and commit what it writes; after a merge: npu lock --resolve",),
    )
