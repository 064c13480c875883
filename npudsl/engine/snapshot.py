"""The up-to-date check: one small file says what the last build looked at and what it left behind.

``npu build X.npu`` reads ``X.state.json`` before anything else. When every input is unchanged, every output is in place
and the tool itself is the same, the build is done: nothing but ``os``, ``json`` and ``hashlib`` has been imported.

A file is unchanged when size, both times, inode and device are what they were **and** the file was old enough when it
was hashed: a file written within ``RACY_SECONDS`` of its hashing may have been written again with equal times, so it is
hashed again (and believed from then on). Inputs that must stay absent (a project file in a parent folder) are listed
too.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time

RACY_SECONDS = 2.0
SNAPSHOT_FORMAT = 1


class Snapshot:
    """The parsed state file. Entries are ``[size, mtime_ns, ctime_ns, inode, device, sha256, hashed_at]``."""

    def __init__(self, record: dict[str, object]) -> None:
        self.record = record

    @property
    def exit_code(self) -> int:
        return int(str(self.record["exit_code"]))

    @property
    def summary(self) -> str:
        return str(self.record["summary"])

    @property
    def result(self) -> object:
        """What ``--json`` prints."""
        return self.record["result"]


def state_folder(program_path: str) -> str:
    """The folder beside a program for state that may be lost at any time."""
    return os.path.join(os.path.dirname(os.path.abspath(program_path)), ".npudsl")


def state_path(program_path: str) -> str:
    """Where the snapshot of a program lies."""
    name = os.path.basename(program_path).removesuffix(".npu")
    return os.path.join(state_folder(program_path), f"{name}.state.json")


def up_to_date(program_path: str, options: str) -> Snapshot | None:
    """The snapshot when nothing changed since it was made with the same ``options``, else None."""
    path = state_path(program_path)
    try:
        with open(path, "rb") as stream:
            record = json.load(stream)
        if record["format"] != SNAPSHOT_FORMAT or record["identity"] != identity() or record["options"] != options:
            return None
        if record["program"] != os.path.realpath(program_path):
            return None  # a copied project brings the snapshot of the original along
        files = record["files"]
        if any(os.path.lexists(absent) for absent in record["absent"]):
            return None
        renewed = {}
        for name, entry in files.items():
            current = check_entry(name, entry)
            if current is None:
                return None
            if current is not entry:
                renewed[name] = current
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    if renewed:
        files.update(renewed)
        _renew(path, record)
    return Snapshot(record)


def check_entry(name: str, entry: list[object]) -> list[object] | None:
    """The entry itself when times say "unchanged", a renewed one when only the hash could say so, None when changed."""
    status = os.stat(name)
    hashed_at = float(str(entry[6]))
    if stat_fields(status) == entry[:5] and max(status.st_mtime, status.st_ctime) < hashed_at - RACY_SECONDS:
        return entry
    if status.st_size != entry[0] and not os.path.isdir(name):
        return None
    renewed = new_entry(name)
    return renewed if renewed[5] == entry[5] else None


def stat_fields(status: os.stat_result) -> list[object]:
    """The five fields by which a file is recognised without reading it."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]


def new_entry(name: str, digest: str | None = None) -> list[object]:
    """The entry of a file (or folder: its names count) as it is now; raises ``OSError``."""
    hashed_at = time.time()
    before = os.stat(name)
    digest = digest if digest is not None else digest_of(name)
    return [*stat_fields(before), digest, hashed_at]


def digest_of(name: str) -> str:
    """sha256 of a file's bytes, or of a folder's sorted names."""
    hasher = hashlib.sha256()
    if os.path.isdir(name):
        hasher.update("\0".join(sorted(os.listdir(name))).encode("utf-8", "surrogateescape"))
        return hasher.hexdigest()
    with open(name, "rb") as stream:
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
    return hasher.hexdigest()


def identity() -> str:
    """Which tool made the snapshot: interpreter, and newest time, size and number of npudsl's own files."""
    newest = total = count = 0
    stack = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        stack.append(entry.path)
                    continue
                status = entry.stat()
                newest = max(newest, status.st_mtime_ns)
                total += status.st_size
                count += 1
    return f"{sys.version} {newest} {total} {count}"


def save_snapshot(path: str, record: dict[str, object]) -> None:
    """Write the snapshot (temporary file and rename; its loss costs a slower check, so no sync)."""
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump(record, stream, separators=(",", ":"))
    os.replace(temporary, path)


def _renew(path: str, record: dict[str, object]) -> None:
    """Keep entries that were believed by hash, so that the next check needs none; a read-only folder is no error."""
    try:
        save_snapshot(path, record)
    except OSError:
        return
