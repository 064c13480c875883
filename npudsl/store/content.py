"""Content-addressed blobs: ``cas/ab/<sha256>``, immutable, verified on first use.

Design: a blob is written to ``tmp/`` on the same file system, synced, made read-only and renamed to its name, so
there is never a half blob under a final name, and two writers of one blob do not disturb each other. A read checks
size always and the digest once per process and blob (or never again while the index says that exactly this inode was
checked before). A damaged blob is moved to ``quarantine/`` and reported as missing: missing is a reason to run again,
never a failure. Rejected: hard links into the work tree (a user's edit would change the cache), pickles (code).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob
from npudsl.keys import Json, digest_bytes
from npudsl.store.atomic import sync_directory

if TYPE_CHECKING:
    import numpy as np

    from npudsl.store.index import Index


class BlobMissing(Exception):
    """A blob is not there, or was damaged and has been put aside."""

    def __init__(self, digest: str, why: str) -> None:
        super().__init__(f"blob {digest[:12]} is {why}")
        self.digest = digest
        self.why = why


class ContentStore:
    """Reads and writes blobs under ``root`` (the cache folder). Threads may share one."""

    def __init__(self, root: Path, index: Index | None = None) -> None:
        self.root = root
        self._index = index
        self._verified: set[str] = set()
        self._counter = 0
        self._lock = threading.Lock()

    # --- names ---

    def path(self, digest: str) -> Path:
        """Where the blob lies; says nothing about whether it is there."""
        return self.root / "cas" / digest[:2] / digest

    def has(self, blob: Blob) -> bool:
        """True when the blob is there with the right size."""
        try:
            return self.path(blob.digest).stat().st_size == blob.size
        except OSError:
            return False

    # --- writing ---

    def write_bytes(self, data: bytes, kind: str = "bytes") -> Blob:
        digest = digest_bytes(data)
        blob = Blob(digest, len(data), kind)
        final = self.path(digest)
        if self.has(blob):
            if self._intact(blob):
                return blob
            self._quarantine(digest)
        temporary = self._temporary()
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(0o444)
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(final.parent)
        self._mark_verified(digest)
        return blob

    def write_json(self, value: Json) -> Blob:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return self.write_bytes(text.encode(), "json")

    def write_array(self, array: np.ndarray[Any, Any]) -> Blob:
        """Store an array as npy (C order, native little endian)."""
        import numpy as np

        if array.dtype.hasobject:
            raise TypeError("arrays of objects are never stored")
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
        return self.write_bytes(buffer.getvalue(), "npy")

    # --- reading ---

    def read_bytes(self, blob: Blob) -> bytes:
        """The bytes of a blob; raises ``BlobMissing`` when it is missing or damaged."""
        try:
            data = self.path(blob.digest).read_bytes()
        except OSError as error:
            raise BlobMissing(blob.digest, "missing") from error
        if blob.digest not in self._verified:
            if digest_bytes(data) != blob.digest:
                self._quarantine(blob.digest)
                raise BlobMissing(blob.digest, "damaged")
            self._mark_verified(blob.digest)
        return data

    def read_json(self, blob: Blob) -> Json:
        return json.loads(self.read_bytes(blob))

    def read_array(self, blob: Blob) -> np.ndarray[Any, Any]:
        """The array of an npy blob, mapped read-only (arrays of no elements are read)."""
        import numpy as np

        self.ensure(blob)
        path = self.path(blob.digest)
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(stream)
            offset = stream.tell()
        if dtype.hasobject:
            raise BlobMissing(blob.digest, "an array of objects")
        if 0 in shape or not shape:
            array: np.ndarray[Any, Any] = np.load(path, allow_pickle=False)
            return array
        return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order="F" if fortran else "C")

    def ensure(self, blob: Blob) -> None:
        """Check that a blob is there and intact; raises ``BlobMissing``."""
        if not self.has(blob):
            if self.path(blob.digest).exists():
                self._quarantine(blob.digest)
                raise BlobMissing(blob.digest, "damaged")
            raise BlobMissing(blob.digest, "missing")
        if not self._intact(blob):
            self._quarantine(blob.digest)
            raise BlobMissing(blob.digest, "damaged")

    def verify(self, digest: str) -> bool:
        """Hash a blob anew whatever is remembered of it; a damaged one is put aside."""
        if _file_digest(self.path(digest)) == digest:
            self._mark_verified(digest)
            return True
        self._quarantine(digest)
        return False

    # --- inside ---

    def _intact(self, blob: Blob) -> bool:
        if blob.digest in self._verified:
            return True
        path = self.path(blob.digest)
        stamp = _stamp(path)
        if self._index is not None and self._index.verified_stamp(blob.digest) == stamp:
            self._verified.add(blob.digest)
            return True
        if _file_digest(path) != blob.digest:
            return False
        self._mark_verified(blob.digest)
        return True

    def _mark_verified(self, digest: str) -> None:
        self._verified.add(digest)
        if self._index is not None:
            self._index.remember_verified(digest, _stamp(self.path(digest)))

    def _quarantine(self, digest: str) -> None:
        folder = self.root / "quarantine"
        folder.mkdir(parents=True, exist_ok=True)
        self._verified.discard(digest)
        try:
            self.path(digest).replace(folder / digest)
        except FileNotFoundError:
            return

    def _temporary(self) -> Path:
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._counter += 1
            counter = self._counter
        return folder / f"{os.getpid()}-{threading.get_ident()}-{counter}-{os.urandom(4).hex()}"


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
