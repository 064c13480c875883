"""The up-to-date check: one small file says what the last build looked at and what it left behind.

``npu build X.npu`` reads ``.npudsl/X.state`` before anything else. When every input is unchanged, every output is in
place and the tool itself is the same, the build is done. Only ``os``, ``sys``, ``time`` and ``binascii`` are imported
here: ``json`` alone (with ``re`` and ``enum`` behind it) would cost as much as the whole answer, so the file has lines
of its own, and the text of ``--json`` is kept as it will be printed.

A file is unchanged when size, both times, inode and device are what they were **and** the file was old enough when it
was hashed: a file written within ``RACY_SECONDS`` of its hashing may have been written again with equal times, so it is
hashed again (and believed from then on). A time in the future is never old enough. Inputs that must stay absent (a
project file in a parent folder, data that was not there) are listed too. A state file that does not fit its checksum is
as good as none.
"""

from __future__ import annotations

import os
import sys
import time
from binascii import crc32

RACY_SECONDS = 2.0
SNAPSHOT_FORMAT = 2

Entry = list[object]
"""A file as it was: ``[size, mtime_ns, ctime_ns, inode, device, sha256, hashed_at]``."""


class Snapshot:
    """What a finished build says later: its exit code, a summary, and the JSON text of its report."""

    def __init__(self, exit_code: int, summary: str, result: str) -> None:
        self.exit_code = exit_code
        self.summary = summary
        self.result = result


def state_folder(program_path: str) -> str:
    """The folder of things that may be lost at any time, beside the program."""
    return os.path.join(os.path.dirname(os.path.abspath(program_path)), ".npudsl")


def state_path(program_path: str) -> str:
    """Where the snapshot of a program lies."""
    name = os.path.basename(program_path).removesuffix(".npu")
    return os.path.join(state_folder(program_path), f"{name}.state")


def options_text(roots: list[str] | tuple[str, ...]) -> str:
    """The options that change what a program means, in one line: named roots with their whole paths."""
    pairs = [root.partition("=") for root in roots]
    return " ".join(sorted(f"{name}={os.path.abspath(folder)}" for name, _, folder in pairs))


def up_to_date(program_path: str, options: str, tool: str) -> Snapshot | None:
    """The snapshot when nothing changed since ``tool`` (``identity``) made it with the same ``options``, else None."""
    path = state_path(program_path)
    try:
        with open(path, "rb") as stream:
            head, _, body = stream.read().partition(b"\n")
        if head != _head(body):
            return None
        place, made_by, made_with, *lines = body.decode("utf-8", "surrogateescape").split("\n")
        # The place: a folder that was copied or moved brings a snapshot of the files where it was.
        if place != os.path.abspath(program_path) or made_by != tool or made_with != options:
            return None
        exit_code, summary, result, *lines = lines
        renewed = False
        for index, line in enumerate(lines):
            if line[0] == "-":
                if os.path.lexists(line[1:]):
                    return None
                continue
            size, _, _, _, _, belief, digest, name = line.split(" ", 7)
            status = os.stat(name)
            if belief == "=" and line.startswith(_fields(status) + " = "):
                continue
            if status.st_size != int(size) and not os.path.isdir(name):
                return None
            entry = new_entry(name)
            if entry[5] != digest:
                return None
            lines[index] = _line(name, entry)
            renewed = renewed or lines[index] != line
    except (OSError, ValueError, IndexError):
        return None
    if renewed:
        _renew(path, [place, made_by, made_with, exit_code, summary, result, *lines])
    return Snapshot(int(exit_code), summary.replace("\v", "\n"), result)


def check_entry(name: str, entry: Entry) -> Entry | None:
    """The entry itself when times say "unchanged", a renewed one when only the hash could say so, None when changed.

    Raises ``OSError``.
    """
    status = os.stat(name)
    if is_settled(entry) and stat_fields(status) == entry[:5]:
        return entry
    if status.st_size != entry[0] and not os.path.isdir(name):
        return None
    renewed = new_entry(name)
    return renewed if renewed[5] == entry[5] else None


def is_settled(entry: Entry) -> bool:
    """Whether the file was old enough when it was hashed to be recognised by its times."""
    return latest_change(entry) < float(str(entry[6])) - RACY_SECONDS


def latest_change(entry: Entry) -> float:
    """When the file's content or attributes changed last, in seconds since the epoch by the clock of its disk."""
    return max(int(str(entry[1])), int(str(entry[2]))) / 1e9


def stat_fields(status: os.stat_result) -> list[object]:
    """The five fields by which a file is recognised without reading it."""
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]


def new_entry(name: str, digest: str | None = None) -> Entry:
    """The entry of a file (or folder: its names count) as it is now; raises ``OSError``."""
    hashed_at = time.time()
    before = os.stat(name)
    digest = digest if digest is not None else digest_of(name)
    return [*stat_fields(before), digest, hashed_at]


def digest_of(name: str) -> str:
    """sha256 of a file's bytes, or of a folder's sorted names."""
    import hashlib

    hasher = hashlib.sha256()
    if os.path.isdir(name):
        hasher.update("\0".join(sorted(os.listdir(name))).encode("utf-8", "surrogateescape"))
        return hasher.hexdigest()
    with open(name, "rb") as stream:
        while chunk := stream.read(1 << 20):
            hasher.update(chunk)
    return hasher.hexdigest()


def identity() -> str:
    """Which tool made the snapshot: interpreter, and times, sizes and number of npudsl's own files."""
    mixed = total = count = 0
    stack = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    while stack:
        with os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name != "__pycache__":
                        stack.append(entry.path)
                    continue
                status = entry.stat()
                # The hash of a tuple of integers does not change from process to process, unlike that of text.
                mixed ^= hash((status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino))
                total += status.st_size
                count += 1
    return f"{sys.version} {mixed:x} {total} {count}".replace("\n", " ")


def save_snapshot(
    program_path: str,
    tool: str,
    options: str,
    snapshot: Snapshot,
    files: dict[str, Entry],
    absent: list[str],
) -> bool:
    """Write the snapshot; says whether it was (a name with a line break cannot be written). Raises ``OSError``."""
    place = os.path.abspath(program_path)
    lines = [place, tool, options, str(snapshot.exit_code), snapshot.summary.replace("\n", "\v"), snapshot.result]
    lines += [f"-{name}" for name in absent]
    lines += [_line(name, entry) for name, entry in files.items()]
    if any("\n" in line for line in lines):
        return False
    _write(state_path(program_path), lines)
    return True


def _line(name: str, entry: Entry) -> str:
    size, mtime, ctime, inode, device, digest, _ = entry
    return f"{size} {mtime} {ctime} {inode} {device} {'=' if is_settled(entry) else '?'} {digest} {name}"


def _fields(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_dev}"


def _head(body: bytes) -> bytes:
    return b"npu-state %d %08x" % (SNAPSHOT_FORMAT, crc32(body))


def _write(path: str, lines: list[str]) -> None:
    """Temporary file and rename; its loss costs a slower check, so no sync."""
    body = "\n".join(lines).encode("utf-8", "surrogateescape")
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "wb") as stream:
        stream.write(_head(body) + b"\n" + body)
    os.replace(temporary, path)


def _renew(path: str, lines: list[str]) -> None:
    """Keep entries that were believed by hash, so that the next check needs none; a read-only folder is no error."""
    try:
        _write(path, lines)
    except OSError:
        return
