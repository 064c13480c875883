"""Files of a directory by pattern, and every directory that was looked into.

``*``, ``?``, ``[a-z]`` and ``{a,b}`` stay inside one path segment, ``**`` goes across. ``pathlib.Path.glob`` is not
used because the directories that it looks into are not known afterwards, and the next build must not miss a file that
appears in one of them. Hidden names are matched only by patterns that begin with a dot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class Found:
    """Matching files relative to the base (``/`` separated, in code point order), and the directories read."""

    files: tuple[str, ...]
    directories: tuple[str, ...]


def find_files(base: Path, pattern: str) -> Found:
    """The files below ``base`` that match; a base that is not there has none. ``**`` does not follow links."""
    files: set[str] = set()
    directories: set[str] = set()
    for alternative in expand_braces(pattern):
        for match in _walk(base, "", [part for part in alternative.split("/") if part], directories):
            files.add(match)
    return Found(tuple(sorted(files)), tuple(sorted(directories)))


def list_directory(base: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the files and of the directories right below ``base``, sorted, without hidden ones."""
    with os.scandir(base) as entries:
        visible = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    return tuple(name for name, is_dir in visible if not is_dir), tuple(name for name, is_dir in visible if is_dir)


def expand_braces(pattern: str) -> list[str]:
    """``a{b,c}d`` as ``abd`` and ``acd``; braces do not nest."""
    head, opened, rest = pattern.partition("{")
    inside, closed, tail = rest.partition("}")
    if not opened or not closed:
        return [pattern]
    return [head + choice + following for choice in inside.split(",") for following in expand_braces(tail)]


def _walk(base: Path, prefix: str, parts: list[str], directories: set[str]) -> Iterator[str]:
    folder = base / prefix if prefix else base
    first, rest = parts[0], parts[1:]
    if not folder.is_dir():
        return
    directories.add(str(folder))
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    if first == "**":
        yield from _walk(base, prefix, rest or ["*"], directories)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from _walk(base, prefix + entry.name + "/", parts, directories)
        return
    for entry in entries:
        if not fnmatchcase(entry.name, first) or (entry.name.startswith(".") and not first.startswith(".")):
            continue
        if rest:
            if entry.is_dir():
                yield from _walk(base, prefix + entry.name + "/", rest, directories)
        elif entry.is_file():
            yield prefix + entry.name
