"""A ``dataset`` block becomes samples: which files, in which order, with which digests and labels.

Order of decisions: all samples in the order of the feed (list order; sorted names for directories and patterns), then
shuffled if a seed is given, then ``skip`` left out, then ``samples`` taken. So two datasets with the same seed, one
that takes 100 and one that skips 100, never share a sample.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from npudsl.data.formats import DEFAULT_DTYPE, ELEMENT_BYTES, element_count, fits, shape_text
from npudsl.data.labels import labels_of
from npudsl.data.listing import Listing, Row, feed_subject, list_samples
from npudsl.data.rows import open_rows, row_digest
from npudsl.data.sample import Sample, SampleFile, SampleSet, sample_digest
from npudsl.diagnostics import Problem
from npudsl.language.program import Dataset

SHOWN_AT_MOST = 3
"""Missing files that a message names."""


def resolve_dataset(
    dataset: Dataset,
    inputs: Sequence[str],
    digest_of: Callable[[Path], str],
    *,
    input_shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> SampleSet:
    """The samples of ``dataset`` for the graph inputs ``inputs``, in order.

    ``digest_of`` gives the sha256 of a file's bytes; it may remember it by the file's size and time. With
    ``input_shapes`` (complete, batch included) raw data of the wrong size is found now and not when it is read. Raises
    E0501 (nothing there, files missing, too few), E0502 (size, type), E0503 (input without data), E0507 (labels).
    """
    listing = list_samples(dataset, inputs)
    chosen = choose(dataset, len(listing.rows))
    rows = [listing.rows[index] for index in chosen]
    _check_present(dataset, rows)
    _check_sizes(dataset, rows, input_shapes or {})
    labels = labels_of(dataset, listing, chosen)
    digests = _Digests(dataset, digest_of)
    samples = tuple(
        Sample(sample_digest([(file, digests.of(file)) for file in row]), row, label)
        for row, label in zip(rows, labels, strict=True)
    )
    return SampleSet(dataset.name, samples, _paths_read(dataset, listing, rows))


def choose(dataset: Dataset, count: int) -> list[int]:
    """Which of ``count`` samples, in order: shuffled, ``skip`` left out, ``samples`` taken. Raises E0501."""
    name = dataset.name
    if count == 0:
        raise Problem(
            "E0501",
            f'dataset "{name}" is empty: no sample found',
            subject=feed_subject(dataset, dataset.feeds[0]),
            helps=("check the path and the pattern; list files have one sample per line",),
        )
    left = count - dataset.skip
    if left <= 0:
        raise Problem(
            "E0501",
            f'dataset "{name}" has {count} samples, and skip = {dataset.skip} leaves none',
            subject=f"dataset[{name}].skip",
        )
    if dataset.samples is not None and dataset.samples > left:
        after = f" after skip = {dataset.skip}" if dataset.skip else ""
        raise Problem(
            "E0501",
            f'dataset "{name}" has {left} samples{after}, and samples = {dataset.samples} asks for more',
            subject=f"dataset[{name}].samples",
            helps=(f"write samples = {left}, or leave it out to take all",),
        )
    order = shuffled(count, dataset.shuffle_seed) if dataset.shuffle_seed is not None else list(range(count))
    end = None if dataset.samples is None else dataset.skip + dataset.samples
    return order[dataset.skip : end]


def shuffled(count: int, seed: int) -> list[int]:
    """0 .. count - 1 ordered by the sha256 of ``"seed:position"``: the same on every machine.

    A sample that is appended to a list takes a place of its own and leaves the others in their order.
    """
    return sorted(range(count), key=lambda position: hashlib.sha256(f"{seed}:{position}".encode()).digest())


class _Digests:
    """Content digest of a sample's file: the whole file's, or that of one row."""

    def __init__(self, dataset: Dataset, digest_of: Callable[[Path], str]) -> None:
        self._dataset = dataset
        self._digest_of = digest_of

    def of(self, file: SampleFile) -> str:
        subject = f"dataset[{self._dataset.name}]"
        try:
            if file.index is None:
                return self._digest_of(Path(file.path))
            rows = open_rows(file.path, file.format, file.key, file.shown, subject)
            return row_digest(rows, file.index)
        except OSError as error:
            raise Problem("E0502", f"{file.shown} cannot be read: {error}", subject=subject) from None


def _check_present(dataset: Dataset, rows: Sequence[Row]) -> None:
    missing = [file.shown for path, file in _files(rows).items() if not _is_file(path)]
    if missing:
        total = len(missing)
        raise Problem(
            "E0501",
            f'dataset "{dataset.name}": {total} file{"s do" if total > 1 else " does"} not exist',
            subject=feed_subject(dataset, dataset.feeds[0]),
            notes=(*missing[:SHOWN_AT_MOST], *([f"and {total - SHOWN_AT_MOST} more"] if total > SHOWN_AT_MOST else [])),
            helps=("paths in a list are relative to the list file",),
        )


def _check_sizes(dataset: Dataset, rows: Sequence[Row], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raw files have as many bytes as their tensor; rows have its shape, unless they are images."""
    for file in (file for row in rows for file in row):
        wanted = shapes.get(file.input)
        if wanted is None:
            continue
        if file.format == "bin":
            _check_bytes(dataset, file, wanted)
        elif file.format == "npz" and file.shape is not None and not fits(file.shape, wanted):
            raise Problem(
                "E0502",
                f"{file.shown} has the shape {shape_text(file.shape)}, and one sample is {shape_text(wanted)}",
                subject=f"dataset[{dataset.name}]",
                helps=("the first axis of the array counts samples",),
            )


def _check_bytes(dataset: Dataset, file: SampleFile, wanted: tuple[int, ...]) -> None:
    dtype = file.dtype or DEFAULT_DTYPE
    expected = ELEMENT_BYTES[dtype] * element_count(wanted)
    found = Path(file.path).stat().st_size
    if found != expected:
        raise Problem(
            "E0502",
            f'{file.shown} has {found} bytes; {dtype} {shape_text(wanted)} of "{file.input}" is {expected} bytes',
            subject=f"dataset[{dataset.name}]",
            helps=(f'if the elements are not {dtype}, say so: feed "{file.input}" files="PATTERN" dtype=uint8',),
        )


def _paths_read(dataset: Dataset, listing: Listing, rows: Sequence[Row]) -> tuple[str, ...]:
    labels = [dataset.labels.path.path] if dataset.labels and dataset.labels.path else []
    return tuple(dict.fromkeys([*listing.read, *labels, *_files(rows)]))


def _files(rows: Sequence[Row]) -> dict[str, SampleFile]:
    files: dict[str, SampleFile] = {}
    for row in rows:
        for file in row:
            files.setdefault(file.path, file)
    return files


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(Path(path).stat().st_mode)
    except OSError:
        return False
