"""Digest of source code: which code made a result is part of its key.

A release must not re-run everyone's work, so a key does not hold the version of npudsl but the digest of the modules a
step kind declares. The digest is over file contents in name order; file times and places do not count.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from pathlib import Path

SOURCE_SUFFIXES = frozenset({".py", ".c", ".h"})


@functools.cache
def code_digest(modules: tuple[str, ...]) -> str:
    """sha256 over the sources of modules and whole packages; raises ``ModuleNotFoundError`` for an unknown one."""
    hasher = hashlib.sha256()
    for module in sorted(modules):
        for name, path in _sources(module):
            hasher.update(f"{module}/{name}\0".encode())
            hasher.update(hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


def _sources(module: str) -> list[tuple[str, Path]]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source for {module}")
    origin = Path(spec.origin)
    if not spec.submodule_search_locations:
        return [(origin.name, origin)]
    folder = origin.parent
    files = sorted(path for path in folder.rglob("*") if path.suffix in SOURCE_SUFFIXES)
    return [(path.relative_to(folder).as_posix(), path) for path in files]
