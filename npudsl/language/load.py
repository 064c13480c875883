"""The door: a ``.npu`` file to a checked program, or all of its errors at once.

The stages are read, check, assemble. Each keeps going after an error, and none reports what only follows from an error
that was reported before: lost lines switch off the checks that would miss them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Place, UserError
from npudsl.language.assemble.ledger import Ledger
from npudsl.language.assemble.program import Assembly, in_source_order
from npudsl.language.check import BlockChecker
from npudsl.language.files import FileReader, ProgramFile
from npudsl.language.paths import Project
from npudsl.language.program import Program
from npudsl.language.project import find_project, named_roots
from npudsl.language.reading import program_text
from npudsl.language.references import check_references

__all__ = ["find_project", "load_program"]

MOST_ERRORS = 20


def load_program(
    path: str | Path,
    *,
    roots: Mapping[str, str] | None = None,
    text: str | None = None,
    texts: Mapping[str, str] | None = None,
) -> Program:
    """The checked program at ``path``.

    ``roots`` are folders for ``@name/...`` paths, beside and before those of ``npudsl.yaml``. ``text`` stands for the
    file's contents (an editor's unsaved buffer), ``texts`` for those of any file by the name that diagnostics give it.
    Raises ``UserError`` with all errors in source order, at most 20.
    """
    shown = str(path)
    place = Path(path).absolute()
    folder, settings = find_project(place)
    known_roots = named_roots(folder, settings)
    known_roots.update({name: Path(root).absolute() for name, root in (roots or {}).items()})
    unsaved = dict(texts or {})
    if text is not None:
        unsaved[shown] = text
    reader = FileReader(Project(folder, known_roots), unsaved)
    try:
        with _collection_off():
            file = reader.read(place, shown, unsaved[shown] if shown in unsaved else program_text(place, shown))
            return checked_program(file, reader)
    except RecursionError as error:
        diagnostic = Diagnostic("E0105", "an expression is nested too deeply", places=(Place(shown),))
        raise UserError([diagnostic]) from error


@contextmanager
def _collection_off() -> Iterator[None]:
    """Without cyclic garbage collection: reading makes many objects that stay, and looking for cycles costs a third."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def checked_program(file: ProgramFile, reader: FileReader) -> Program:
    """The program in ``file``, which ``reader`` has read; raises ``UserError``."""
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
