"""Results by action key: ``ac/12/<key>``, one small JSON file each. They are the truth; the index is not.

A result is believed only when it parses, has the right form and names the key it is stored under. Anything else is
"no result". Only successes are stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from npudsl.artifacts.blob import Blob
from npudsl.keys import Json
from npudsl.store.atomic import write_atomically

RESULT_FORMAT = 1


@dataclass(frozen=True)
class Result:
    """What an action made: its files, and how long it took (seconds of wall time)."""

    key: str
    tree: Mapping[str, Blob]
    wall_seconds: float


class ResultStore:
    """Reads and writes results under ``root`` (the cache folder)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        return self.root / "ac" / key[:2] / key

    def get(self, key: str) -> Result | None:
        """The result of an action, or None when there is none that can be believed."""
        try:
            record = json.loads(self.path(key).read_bytes())
        except (OSError, ValueError):
            return None
        return _parse(record, key)

    def put(self, result: Result) -> None:
        record = {
            "format": RESULT_FORMAT,
            "key": result.key,
            "tree": {name: blob.record() for name, blob in result.tree.items()},
            "wall_seconds": result.wall_seconds,
        }
        write_atomically(self.path(result.key), json.dumps(record, separators=(",", ":")).encode(), mode=0o444)


def _parse(record: Json, key: str) -> Result | None:
    try:
        if record["format"] != RESULT_FORMAT or record["key"] != key:
            return None
        tree = {name: Blob.from_record(blob) for name, blob in record["tree"].items()}
        if not all(_is_digest(blob.digest) for blob in tree.values()):
            return None
        return Result(key, tree, float(record["wall_seconds"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)
