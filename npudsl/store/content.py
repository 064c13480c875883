"""Content-addressed blobs: immutable, verified on first use.

A read checks size always and the digest once per process and blob (or never again while the index says that exactly
this file was checked before). A damaged blob is moved to ``quarantine/`` and reported as missing: missing is a reason
to run again, never a failure. A cache folder that cannot be written (read-only, full) gets a second, temporary folder
in front of it. Rejected: hard links into the work tree (a user's edit would change the cache), pickles (code).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob
from npudsl.keys import Json, digest_bytes
from npudsl.store.folder import BlobFolder

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
    """Reads and writes blobs under ``root`` (the cache folder). Threads may share one.

    ``on_full`` is called with the error of a write that failed, and the folder, and answers whether it is worth another
    try.
    """

    def __init__(
        self, root: Path, index: Index | None = None, *, on_full: Callable[[OSError, Path], bool] | None = None
    ) -> None:
        self._folders = [BlobFolder(root, index)]
        self._on_full = on_full or (lambda error, root: False)
        self.written_bytes = 0
        """How much was written to the cache folder itself since it was opened."""

    @property
    def home(self) -> BlobFolder:
        """The folder that is written to."""
        return self._folders[0]

    @property
    def base(self) -> BlobFolder:
        """The cache folder itself, whether it is written to or not."""
        return self._folders[-1]

    def write_to(self, root: Path) -> None:
        """Write to another folder from now on; what was there before is still read."""
        self._folders.insert(0, BlobFolder(root))

    def path(self, digest: str) -> Path:
        """Where the blob lies, or would lie; says nothing about whether it is there."""
        folder = next((folder for folder in self._folders if folder.size(digest) is not None), self.home)
        return folder.path(digest)

    def has(self, blob: Blob) -> bool:
        """True when the blob is there with the right size."""
        return any(folder.size(blob.digest) == blob.size for folder in self._folders)

    # --- writing ---

    def write_bytes(self, data: bytes, kind: str = "bytes") -> Blob:
        """Store bytes; raises ``OSError``."""
        blob = Blob(digest_bytes(data), len(data), kind)
        for folder in self._folders:
            if folder.intact(blob.digest, blob.size):
                folder.renew(blob.digest)
                return blob
        while True:
            home = self.home
            try:
                home.write(blob.digest, data)
            except OSError as error:
                if not self._on_full(error, home.root):
                    raise
                continue
            if home is self.base:
                self.written_bytes += len(data)
            return blob

    def write_json(self, value: Json) -> Blob:
        """Store a JSON value; raises ``OSError``."""
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
        for folder in self._folders:
            if folder.is_damaged(blob.digest):
                continue
            try:
                data = folder.path(blob.digest).read_bytes()
            except OSError:
                continue
            if folder.is_verified(blob.digest) and len(data) == blob.size:
                return data
            if digest_bytes(data) == blob.digest:
                folder.mark_verified(blob.digest)
                return data
            folder.put_aside(blob.digest)
        raise self._missing(blob)

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
        if not any(folder.intact(blob.digest, blob.size) for folder in self._folders):
            raise self._missing(blob)

    def _missing(self, blob: Blob) -> BlobMissing:
        damaged = any(folder.is_damaged(blob.digest) for folder in self._folders)
        return BlobMissing(blob.digest, "damaged" if damaged else "missing")
