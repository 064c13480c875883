"""Libraries of this process: found in the private folder or compiled into it, loaded once, None when that fails.

A failure is remembered with its reason and never raised: the caller has another way to the same result.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.native.compiler import CannotCompile, Compiler
from npudsl.native.folder import NotPrivate, PrivateFolder

if TYPE_CHECKING:
    import ctypes

OFF = "off"


class Libraries:
    """Loaded libraries by name, each tried once. Threads may share one: they wait for a build, not repeat it."""

    def __init__(self, folder: Path | None, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = environment
        self._lock = threading.Lock()
        self._loaded: dict[str, ctypes.CDLL | None] = {}
        self._reasons: dict[str, str] = {}

    def load(self, name: str, sources: Mapping[str, bytes]) -> ctypes.CDLL | None:
        """The library made of ``sources`` (file names to contents), or None."""
        with self._lock:
            if name not in self._loaded:
                try:
                    self._loaded[name] = self._open(sources)
                except (CannotCompile, NotPrivate, OSError, ImportError) as error:
                    self._loaded[name] = None
                    self._reasons[name] = str(error)
            return self._loaded[name]

    def why_not(self) -> str | None:
        """Why a library that was asked for is not used; None when all of them are."""
        with self._lock:
            return next(iter(self._reasons.values()), None)

    def _open(self, sources: Mapping[str, bytes]) -> ctypes.CDLL:
        import ctypes

        if self._environment.get("NPUDSL_NATIVE") == OFF:
            raise CannotCompile("NPUDSL_NATIVE=off")
        if os.name != "posix":
            raise CannotCompile("compiled fast paths need a POSIX system")
        compiler = Compiler.find(self._environment)
        folder = PrivateFolder(self.folder or default_folder(self._environment))
        key = compiler.key(sources)
        path = folder.find(key) or folder.make(key, lambda empty: compiler.build(sources, empty))
        return ctypes.CDLL(os.fspath(path))


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where libraries of this user lie when nobody configured a folder. Raises ``NotPrivate``."""
    base = environment.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path("~/.cache").expanduser()) / "npudsl" / "native"
    except RuntimeError:
        raise NotPrivate("this user has no home folder to keep compiled code in") from None


_shared = Libraries(None, os.environ)


def configure(folder: Path) -> None:
    """Keep libraries in ``folder`` from now on; those already loaded stay. Call it before work starts."""
    global _shared
    if folder != _shared.folder:
        _shared = Libraries(folder, os.environ)


def load(name: str, sources: Mapping[str, bytes]) -> ctypes.CDLL | None:
    """A library of this process, compiled if need be; None when it cannot be (see ``why_not``)."""
    return _shared.load(name, sources)


def why_not() -> str | None:
    """Why this process goes without a library that it asked for; None when it has all."""
    return _shared.why_not()
