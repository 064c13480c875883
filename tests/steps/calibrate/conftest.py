"""A store in memory, for steps that only see blobs."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from npudsl.artifacts.blob import Blob
from npudsl.keys import Json, digest_bytes


class MemorySpace:
    """A ``BlobSpace`` that keeps everything."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def read_bytes(self, blob: Blob) -> bytes:
        return self._data[blob.digest]

    def read_json(self, blob: Blob) -> Json:
        return json.loads(self.read_bytes(blob))

    def read_array(self, blob: Blob) -> np.ndarray[Any, Any]:
        array = np.load(io.BytesIO(self.read_bytes(blob)))
        array.flags.writeable = False
        return array

    def write_bytes(self, data: bytes, kind: str = "bytes") -> Blob:
        digest = digest_bytes(data)
        self._data[digest] = data
        return Blob(digest, len(data), kind)

    def write_json(self, value: Json) -> Blob:
        return self.write_bytes(json.dumps(value, sort_keys=True).encode(), "json")

    def write_array(self, array: np.ndarray[Any, Any]) -> Blob:
        buffer = io.BytesIO()
        np.save(buffer, array)
        return self.write_bytes(buffer.getvalue(), "npy")


@pytest.fixture
def space() -> MemorySpace:
    return MemorySpace()


@pytest.fixture(scope="session")
def new_space() -> type[MemorySpace]:
    """For tests that need a fresh store for every example."""
    return MemorySpace
