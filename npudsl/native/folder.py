"""The private folder of compiled libraries: what is in it was made by this user, and is what was made.

Trust: whoever can write into the folder can already act as its user, so it must belong to the user and let nobody else
write; else it is not used at all. Inside, a record per key holds the digest of its library, and the library's file is
named after key and digest. A library whose bytes do not have the recorded digest (damage, half a restored backup, a
file put there by hand) is not loaded but compiled anew.

Two processes may build at once: a library is complete under its name before a record names it, and both are renamed
into place, so a reader sees one finished pair or the other.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class NotPrivate(Exception):
    """The folder cannot be used for code; the text says why."""


class PrivateFolder:
    """Libraries by key. Opening it creates it with mode 0700; raises ``NotPrivate``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            status = path.lstat()
        except OSError as error:
            raise NotPrivate(f"{path} cannot be used: {error.strerror}") from None
        if not stat.S_ISDIR(status.st_mode):
            raise NotPrivate(f"{path} is no folder of its own")
        if status.st_uid != os.getuid():
            raise NotPrivate(f"{path} belongs to another user")
        if status.st_mode & WRITABLE_BY_OTHERS:
            raise NotPrivate(f"others may write into {path} (mode {stat.S_IMODE(status.st_mode):04o}; chmod 700 it)")

    def find(self, key: str) -> Path | None:
        """The library of ``key``, if its bytes are those that were recorded."""
        record = self._read(self._record(key))
        if record is None:
            return None
        digest = record.decode("ascii", "replace").strip()
        library = self._library(key, digest)
        data = self._read(library) if len(digest) == 64 and digest.isalnum() else None
        return library if data is not None and hashlib.sha256(data).hexdigest() == digest else None

    def make(self, key: str, build: Callable[[Path], Path]) -> Path:
        """Keep under ``key`` what ``build`` makes in an empty folder; returns the library. Raises ``NotPrivate``."""
        try:
            with tempfile.TemporaryDirectory(prefix=".build-", dir=self.path) as name:
                built = build(Path(name))
                digest = hashlib.sha256(built.read_bytes()).hexdigest()
                record = Path(name) / "record"
                record.write_text(f"{digest}\n", encoding="ascii")
                built.chmod(0o500)
                library = self._library(key, digest)
                built.replace(library)
                record.replace(self._record(key))
        except OSError as error:
            raise NotPrivate(f"{self.path} cannot be written: {error.strerror}") from None
        return library

    def _record(self, key: str) -> Path:
        return self.path / f"{key}.sha256"

    def _library(self, key: str, digest: str) -> Path:
        return self.path / f"{key[:32]}-{digest[:32]}.so"

    @staticmethod
    def _read(path: Path) -> bytes | None:
        """The bytes of a plain file of this user that nobody else may write; None for anything else."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
                return None
            return None if status.st_mode & WRITABLE_BY_OTHERS else stream.read()
