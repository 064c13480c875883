"""A sample and a resolved dataset, as values.

Resolution (``resolve.py``) turns a ``dataset`` block into samples and hashes them; decoding and preprocessing
(``decode.py``, ``preprocess.py``) turn a sample's bytes into tensors. Only digests enter keys, never paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from npudsl.keys import Json, digest_record


@dataclass(frozen=True)
class SampleFile:
    """Where one input of one sample lies. ``index`` picks a row of a many-sample file (idx, npz)."""

    input: str
    path: str
    shown: str
    """As the user wrote it, with list file and line: for diagnostics."""
    format: str
    """image, npy, npz, bin, txt or idx."""
    index: int | None = None
    key: str | None = None
    dtype: str | None = None
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Sample:
    """One sample: its files, one per graph input, its digest (contents and how they are read) and its label."""

    digest: str
    files: tuple[SampleFile, ...]
    label: int | None = None


@dataclass(frozen=True)
class SampleSet:
    """A resolved dataset, in order."""

    name: str
    samples: tuple[Sample, ...]
    inputs_read: tuple[str, ...]
    """Paths of every file that resolution looked at (lists, labels, samples): the no-op check stats them."""

    def records(self) -> list[dict[str, Json]]:
        """Per sample what may enter a key: digest only (labels are added by who uses them)."""
        return [{"digest": sample.digest} for sample in self.samples]

    def context(self) -> dict[str, Json]:
        """By digest, where the files lie; never part of a key."""
        return {sample.digest: [file_record(file) for file in sample.files] for sample in self.samples}


def sample_digest(contents: Sequence[tuple[SampleFile, str]]) -> str:
    """Digest of a sample: per input, in order, sha256 of the file's or row's bytes and how they are read."""
    return digest_record(
        [
            {
                "input": file.input,
                "digest": digest,
                "format": file.format,
                "dtype": file.dtype,
                "shape": list(file.shape) if file.shape is not None else None,
            }
            for file, digest in contents
        ]
    )


def file_record(file: SampleFile) -> dict[str, Any]:
    return {
        "input": file.input,
        "path": file.path,
        "shown": file.shown,
        "format": file.format,
        "index": file.index,
        "key": file.key,
        "dtype": file.dtype,
        "shape": list(file.shape) if file.shape is not None else None,
    }


def file_from_record(record: Any) -> SampleFile:
    values = dict(record)
    if values["shape"] is not None:
        values["shape"] = tuple(values["shape"])
    return SampleFile(**values)
