"""A program with its surroundings: project settings, named roots, cache, and the state beside it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from npudsl.api.settings import Settings, read_settings
from npudsl.diagnostics import Diagnostic, NpuError, UserError
from npudsl.language.load import find_project, load_program
from npudsl.language.program import Program
from npudsl.language.project import SETTINGS_FILE
from npudsl.store.cache import Cache
from npudsl.store.locks import key_lock

Value = TypeVar("Value")


@dataclass(frozen=True)
class Project:
    """A checked program and where its things lie."""

    program: Program
    path: Path
    root: Path
    cache: Path
    settings_file: Path | None
    settings: Settings

    @property
    def folder(self) -> Path:
        """The folder of the program; exports without ``out`` go below it."""
        return self.path.parent

    @property
    def state(self) -> Path:
        """State that may be lost at any time."""
        return self.folder / ".npudsl"

    @property
    def texts(self) -> list[Path]:
        """The program, its fragments and the project file."""
        texts = [path for source in self.program.sources if (path := Path(source.name)).is_file()]
        return texts if self.settings_file is None else [*texts, self.settings_file]

    def state_file(self, what: str) -> Path:
        return self.state / f"{self.program.name}.{what}.json"

    def prepare_state(self) -> None:
        """Make the state folder, which ignores itself in version control; where it cannot be made builds do without."""
        with contextlib.suppress(OSError):
            self.state.mkdir(exist_ok=True)
            ignore = self.state / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")

    @contextlib.contextmanager
    def finishing(self, say: Callable[[str], None]) -> Iterator[None]:
        """While outputs are put in place: two builds of one program do that one after the other."""
        name = f"{self.program.name}.finishing"

        def waiting(holder: str) -> None:
            say(f"waiting for {holder}, which is writing the outputs")

        with key_lock(self.state, name, waiting=waiting, available=lambda: False):
            yield

    def open_cache(self) -> Cache:
        """The cache of the project; raises ``EnvironmentMissing``."""
        return Cache(self.cache, limit_bytes=self.settings.cache_limit)


def open_project(path: str | Path, *, roots: Mapping[str, str] | None = None) -> Project:
    """Load and check a program; raises ``UserError`` with every problem of its text."""
    path = Path(path)
    if not path.is_file():
        raise UserError([Diagnostic("E0004", f"there is no file {path}", helps=("name a .npu file that exists",))])
    root, settings = find_project(path)
    settings_file = root / SETTINGS_FILE if (root / SETTINGS_FILE).is_file() else None
    known_settings = read_settings(settings, settings_file)
    program = load_program(path, roots=roots)
    return Project(program, path, Path(root), _cache_folder(settings, Path(root)), settings_file, known_settings)


def open_cache() -> tuple[Cache, Settings]:
    """The cache that programs in this folder use (``NPUDSL_CACHE``, else the project's, else the user's)."""
    root, settings = find_project(Path("any.npu"))
    file = root / SETTINGS_FILE
    known = read_settings(settings, file if file.is_file() else None)
    return Cache(_cache_folder(settings, root), limit_bytes=known.cache_limit), known


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
