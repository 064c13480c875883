"""Results by action key: ``ac/12/<key>``, one small sealed JSON file each. They are the truth; the index is not.

A result is believed only when it fits its checksum, has the right form and names the key it is stored under. Anything
else is "no result". Only successes are stored. The time of the file says when the result was last used.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from npudsl.artifacts.blob import Blob
from npudsl.keys import Json
from npudsl.store.atomic import write_atomically
from npudsl.store.sealed import seal, unseal

RESULT_FORMAT = 2
TOUCH_AFTER_SECONDS = 600.0
"""A use is noted when the last note is older than this, so that a busy cache is not a stream of small writes."""


@dataclass(frozen=True)
class Result:
    """What an action made: its files, and how long it took (seconds of wall time)."""

    key: str
    tree: Mapping[str, Blob]
    wall_seconds: float


class ResultStore:
    """Reads results under several cache folders, and writes to the first."""

    def __init__(self, root: Path) -> None:
        self._roots = [root]

    @property
    def root(self) -> Path:
        """The cache folder that is written to."""
        return self._roots[0]

    def write_to(self, root: Path) -> None:
        """Write to another cache folder from now on; what was there before is still read."""
        self._roots.insert(0, root)

    def path(self, key: str) -> Path:
        """Where a new result goes."""
        return result_path(self.root, key)

    def get(self, key: str) -> Result | None:
        """The result of an action, or None when there is none that can be believed."""
        for root in self._roots:
            result = read_result(result_path(root, key))
            if result is not None:
                return result
        return None

    def get_published(self, key: str) -> Result | None:
        """The result as the cache folder itself has it."""
        return read_result(result_path(self._roots[-1], key))

    def touch(self, key: str) -> None:
        """Note that a result is used now."""
        path = result_path(self._roots[-1], key)
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > TOUCH_AFTER_SECONDS:
                os.utime(path)

    def drop(self, key: str) -> None:
        """Forget a result."""
        with contextlib.suppress(OSError):
            self.path(key).unlink(missing_ok=True)

    def put(self, result: Result) -> None:
        """Store a result; raises ``OSError``."""
        write_atomically(self.path(result.key), sealed_result(result), mode=0o444)


def result_path(root: Path, key: str) -> Path:
    """Where the result of ``key`` lies below a cache folder."""
    return root / "ac" / key[:2] / key


def read_result(path: Path) -> Result | None:
    """The result in a file that is named by its key, or None."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return parse_result(data, path.name)


def sealed_result(result: Result) -> bytes:
    """The bytes of a result's file."""
    return seal(
        {
            "format": RESULT_FORMAT,
            "key": result.key,
            "tree": {name: blob.record() for name, blob in result.tree.items()},
            "wall_seconds": result.wall_seconds,
        }
    )


def parse_result(data: bytes, key: str) -> Result | None:
    """The result in the bytes of a file, or None when they cannot be believed."""
    record: Json = unseal(data)
    try:
        if record is None or record["format"] != RESULT_FORMAT or record["key"] != key:
            return None
        tree = {str(name): Blob.from_record(blob) for name, blob in record["tree"].items()}
        if not all(is_digest(blob.digest) for blob in tree.values()):
            return None
        return Result(key, tree, float(record["wall_seconds"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def is_digest(text: str) -> bool:
    """Whether ``text`` is a sha256 as file names have it; nothing else ever becomes part of a path."""
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)
