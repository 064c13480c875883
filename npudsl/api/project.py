"""A program with its surroundings: project settings, named roots, cache, and the state beside it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from npudsl.diagnostics import Diagnostic, NpuError, UserError
from npudsl.language.load import find_project, load_program
from npudsl.language.program import Program
from npudsl.store.cache import Cache

Value = TypeVar("Value")


@dataclass(frozen=True)
class Project:
    """A checked program and where its things lie."""

    program: Program
    path: Path
    root: Path
    cache: Path
    settings_file: Path | None

    @property
    def folder(self) -> Path:
        """The folder of the program; exports without ``out`` go below it."""
        return self.path.parent

    @property
    def state(self) -> Path:
        """State that may be lost at any time."""
        return self.folder / ".npudsl"

    def state_file(self, what: str) -> Path:
        return self.state / f"{self.program.name}.{what}.json"

    def prepare_state(self) -> None:
        """Make the state folder, which ignores itself in version control; raises ``OSError``."""
        self.state.mkdir(exist_ok=True)
        ignore = self.state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")


def open_project(path: str | Path, *, roots: Mapping[str, str] | None = None) -> Project:
    """Load and check a program; raises ``UserError`` with every problem of its text."""
    path = Path(path)
    if not path.is_file():
        raise UserError([Diagnostic("E0004", f"there is no file {path}", helps=("name a .npu file that exists",))])
    root, settings = find_project(path)
    known = {name: str((root / str(folder)).resolve()) for name, folder in dict(settings.get("roots") or {}).items()}
    program = load_program(path, roots={**known, **(roots or {})})
    settings_file = root / "npudsl.yaml"
    return Project(
        program,
        path,
        Path(root),
        _cache_folder(settings, Path(root)),
        settings_file if settings_file.is_file() else None,
    )


def open_cache() -> Cache:
    """The cache of this user (``NPUDSL_CACHE``, else the user's cache folder)."""
    return Cache(_cache_folder({}, Path()))


def located(program: Program, work: Callable[[], Value]) -> Value:
    """Run ``work``; diagnostics that name program values get their places."""
    from npudsl.diagnostics.render import locate

    try:
        return work()
    except NpuError as error:
        error.diagnostics = tuple(locate(diagnostic, program.origins) for diagnostic in error.diagnostics)
        raise


def _cache_folder(settings: Mapping[str, object], root: Path) -> Path:
    named = os.environ.get("NPUDSL_CACHE")
    if named:
        return Path(named)
    if settings.get("cache"):
        return root / str(settings["cache"])
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "npudsl"
