"""One program on one side: its meaning where it has one, its tables, its lock, and what could not be read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from npudsl.api.review.sides import Side
from npudsl.artifacts.lock_file import LockFile, read_lock
from npudsl.artifacts.quant_table import QuantTable, read_table
from npudsl.diagnostics import Diagnostic, NpuError, UserError
from npudsl.language.load import load_program
from npudsl.language.program import Program

_MISSING_ROOT = re.compile(r"`@([^`]+)` is not a root")
"""A named root that is not set here gets a stand-in: nothing below a root is opened, so any folder will do."""


@dataclass(frozen=True)
class ProgramSide:
    """``text`` is None when the program is not on this side; ``program`` is None when its text has errors, ``broken``
    says which is the first."""

    text: str | None = None
    program: Program | None = None
    tables: dict[str, QuantTable] = field(default_factory=dict)
    lock: LockFile | None = None
    notes: tuple[str, ...] = ()
    broken: str = ""


def read_side(side: Side, name: str, roots: dict[str, str]) -> ProgramSide:
    """What ``side`` has of the program ``name`` (a path from the side's base)."""
    path = side.path(name)
    if not path.is_file():
        return ProgramSide()
    notes: list[str] = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError([Diagnostic("E0101", f"{name} of {side.label} cannot be read: {error}")]) from error
    program = _program(side, name, text, roots)
    tables = _tables(side, name, notes)
    lock = _lock(side, name, notes)
    if isinstance(program, Diagnostic):
        return ProgramSide(text, None, tables, lock, tuple(notes), _why_text(side, name, program))
    return ProgramSide(text, program, tables, lock, tuple(notes))


def _program(side: Side, name: str, text: str, roots: dict[str, str]) -> Program | Diagnostic:
    """The checked program, or the first of its errors."""
    path = side.path(name)
    known = dict(roots)
    while True:
        try:
            return load_program(path, roots=known, text=text)
        except NpuError as error:
            missing = {root for problem in error.diagnostics for root in _MISSING_ROOT.findall(problem.message)}
            if missing <= known.keys():
                return error.diagnostics[0]
            known |= dict.fromkeys(missing, str(path.parent))


def _why_text(side: Side, name: str, problem: Diagnostic) -> str:
    place = str(problem.labels[0].span) if problem.labels else name
    said = f"{place} of {side.label}: {problem.code}: {problem.message}".replace(f"{side.base}/", "")
    return f"{said}; text is compared instead of meaning"


def _tables(side: Side, name: str, notes: list[str]) -> dict[str, QuantTable]:
    """Tables beside the program, by variant."""
    path = side.path(name)
    tables = {}
    for file in sorted(path.parent.glob(f"{_escaped(path.stem)}.*.quant")):
        variant = file.name.removeprefix(f"{path.stem}.").removesuffix(".quant")
        try:
            table = read_table(file.read_text(encoding="utf-8"), file.name)
        except (OSError, UnicodeDecodeError) as error:
            notes.append(f"{file.name} of {side.label} cannot be read: {error}")
            continue
        except UserError as error:
            notes.append(f"{file.name} of {side.label}: {error.diagnostics[0].message}")
            continue
        if table.header.variant == variant:
            tables[variant] = table
    return tables


def _escaped(stem: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", stem)


def _lock(side: Side, name: str, notes: list[str]) -> LockFile | None:
    path = side.path(name).with_suffix(".lock")
    try:
        return read_lock(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        notes.append(f"{path.name} of {side.label} cannot be read: {error}")
    except UserError as error:
        notes.append(f"{path.name} of {side.label}: {error.diagnostics[0].message}")
    return None
