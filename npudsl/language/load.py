"""The door: a ``.npu`` file to a checked program, or all of its errors at once.

The stages are read, check, assemble. Each keeps going after an error, and none reports what only follows from an error
that was reported before: lost lines switch off the checks that would miss them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Place, UserError
from npudsl.language.assemble.ledger import Ledger
from npudsl.language.assemble.program import Assembly, in_source_order
from npudsl.language.check import BlockChecker
from npudsl.language.files import FileReader, ProgramFile, read_program_text
from npudsl.language.paths import Project
from npudsl.language.program import Program
from npudsl.language.project import find_project, named_roots
from npudsl.language.references import check_references

__all__ = ["find_project", "load_program"]

MOST_ERRORS = 20


def load_program(path: str | Path, *, roots: Mapping[str, str] | None = None, text: str | None = None) -> Program:
    """The checked program at ``path``.

    ``roots`` are folders for ``@name/...`` paths, beside and before those of ``npudsl.yaml``. ``text`` stands for the
    file's contents (an editor's unsaved buffer). Raises ``UserError`` with all errors in source order, at most 20.
    """
    shown = str(path)
    place = Path(path).absolute()
    folder, settings = find_project(place)
    known_roots = named_roots(folder, settings)
    known_roots.update({name: Path(root).absolute() for name, root in (roots or {}).items()})
    reader = FileReader(Project(folder, known_roots))
    try:
        file = reader.read(place, shown, _contents(place, shown) if text is None else text)
        return _checked(file, reader)
    except RecursionError as error:
        diagnostic = Diagnostic("E0105", "an expression is nested too deeply", places=(Place(shown),))
        raise UserError([diagnostic]) from error


def _contents(path: Path, shown: str) -> str:
    try:
        return read_program_text(path)
    except UnicodeDecodeError as error:
        message = f"the file is not UTF-8 (byte {error.start})"
        raise UserError([Diagnostic("E0101", message, places=(Place(shown),), helps=("save it as UTF-8",))]) from error
    except OSError as error:
        message = f"{shown} cannot be read: {error.strerror}"
        raise UserError([Diagnostic("E0214", message, helps=("name a .npu file that exists",))]) from error


def _checked(file: ProgramFile, reader: FileReader) -> Program:
    checker = BlockChecker(file)
    bodies = checker.check()
    ledger = Ledger()
    assembly = Assembly(file, bodies, ledger)
    program = assembly.program(tuple(reader.sources))
    problems = [*reader.problems, *checker.problems, *ledger.problems]
    if file.complete:
        problems += check_references(checker.references, assembly.labels())
    if problems:
        raise UserError(in_source_order(problems, reader.sources)[:MOST_ERRORS])
    assert program is not None
    return program
