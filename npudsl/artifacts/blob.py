"""Blobs and the two capabilities a step gets: read blobs, write blobs.

A step is a pure function of its record and its input blobs. It never sees a path of the store; large arrays are
mapped, not copied. ``Tree`` is how a value with several files travels: names to blobs, so an unchanged weight array is
passed on by reference and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from npudsl.keys import Json


@dataclass(frozen=True)
class Blob:
    """Bytes by content: sha256, size in bytes, and how to read them (``json``, ``npy``, ``text``, ``bytes``)."""

    digest: str
    size: int
    kind: str

    def record(self) -> dict[str, Json]:
        return {"digest": self.digest, "size": self.size, "kind": self.kind}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Blob:
        return cls(str(record["digest"]), int(record["size"]), str(record["kind"]))


Tree = Mapping[str, Blob]
"""The files of one value, by name."""


class BlobReader(Protocol):
    """Reads blobs; every read is checked against the digest on first use."""

    def read_bytes(self, blob: Blob) -> bytes: ...

    def read_json(self, blob: Blob) -> Json: ...

    def read_array(self, blob: Blob) -> np.ndarray[Any, Any]:
        """The array of an ``npy`` blob, memory-mapped and read-only."""
        ...


class BlobWriter(Protocol):
    """Writes blobs; the same content twice is one blob."""

    def write_bytes(self, data: bytes, kind: str = "bytes") -> Blob: ...

    def write_json(self, value: Json) -> Blob: ...

    def write_array(self, array: np.ndarray[Any, Any]) -> Blob: ...


class BlobSpace(BlobReader, BlobWriter, Protocol):
    """What a running part gets: both."""
