"""What a running part may touch: blobs of the store, and the user's files it declared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob
from npudsl.diagnostics import Problem
from npudsl.keys import Json, digest_bytes

if TYPE_CHECKING:
    import numpy as np

    from npudsl.plan.step import FileInput
    from npudsl.store.content import ContentStore


class StepSpace:
    """A ``BlobSpace`` over the store; a blob of kind ``file`` is read from the user's disk and checked."""

    def __init__(self, content: ContentStore, files: Mapping[str, FileInput]) -> None:
        self._content = content
        self._files = {file.digest: file for file in files.values()}

    def read_bytes(self, blob: Blob) -> bytes:
        if blob.kind == "file":
            return self._read_file(self._files[blob.digest])
        return self._content.read_bytes(blob)

    def read_json(self, blob: Blob) -> Json:
        return self._content.read_json(blob)

    def read_array(self, blob: Blob) -> np.ndarray[Any, Any]:
        return self._content.read_array(blob)

    def write_bytes(self, data: bytes, kind: str = "bytes") -> Blob:
        return self._content.write_bytes(data, kind)

    def write_json(self, value: Json) -> Blob:
        return self._content.write_json(value)

    def write_array(self, array: np.ndarray[Any, Any]) -> Blob:
        return self._content.write_array(array)

    @staticmethod
    def _read_file(file: FileInput) -> bytes:
        data = Path(file.path).read_bytes()
        if digest_bytes(data) != file.digest:
            raise Problem(
                "E0505",
                f"{file.shown} changed while the build was reading it",
                helps=("build again when nothing writes to the file",),
            )
        return data
