"""Class indices of samples: from the list's last column, a file of ``sample index`` lines, or an idx file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from npudsl.data.listing import Listing
from npudsl.data.lists import ListLine, class_index, read_list
from npudsl.data.rows import open_rows
from npudsl.diagnostics import Place, Problem
from npudsl.language.program import Dataset, Labels, PathValue


def labels_of(dataset: Dataset, listing: Listing, chosen: Sequence[int]) -> list[int | None]:
    """The class index of each chosen row, ``label_offset`` added; None when the dataset has no labels. Raises E0507."""
    labels = dataset.labels
    if labels is None:
        return [None] * len(chosen)
    return [index + labels.offset for index in _written(dataset, labels, listing, chosen)]


def _written(dataset: Dataset, labels: Labels, listing: Listing, chosen: Sequence[int]) -> list[int]:
    subject = f"dataset[{dataset.name}].labels"
    if labels.kind == "column":
        if listing.columns is None:
            raise Problem(
                "E0507",
                "labels = true reads the last column of a list, and this dataset has no list",
                subject=subject,
                helps=('name a file of "sample index" lines: labels = "labels.txt"',),
            )
        return [listing.columns[index] for index in chosen]
    if labels.path is None:
        raise ValueError(f"labels of kind {labels.kind} have a path")
    if labels.kind == "idx":
        return _from_idx(labels.path, listing, chosen, subject)
    return _from_file(labels.path, listing, chosen, subject)


def _from_idx(path: PathValue, listing: Listing, chosen: Sequence[int], subject: str) -> list[int]:
    rows = open_rows(path.path, "idx", None, path.text, subject)
    if rows.header.row_shape or not rows.header.dtype.startswith(("uint", "int")):
        raise Problem(
            "E0507",
            f"{path.text} is no label file: it holds {rows.header.dtype} rows with {len(rows.header.row_shape)} axes",
            subject=subject,
            helps=("an idx label file has one axis of whole numbers",),
        )
    _check_count(rows.header.count, listing, path, subject)
    return [int.from_bytes(b"".join(rows.chunks(index)), "big") for index in chosen]


def _from_file(path: PathValue, listing: Listing, chosen: Sequence[int], subject: str) -> list[int]:
    lines = read_list(path.path, path.text, subject)
    if lines and all(len(line.columns) == 1 for line in lines):
        _check_count(len(lines), listing, path, subject)
        return [class_index(lines[index].columns[0], path.text, lines[index].number, subject) for index in chosen]
    by_path, by_name = _named(path, lines, subject)
    found = []
    missing = []
    for index in chosen:
        file = listing.rows[index][0]
        label = by_path.get(os.path.normpath(file.path), by_name.get(Path(file.path).name))
        if label is None or file.index is not None:
            missing.append(file.shown)
        else:
            found.append(label)
    if missing:
        raise Problem(
            "E0507",
            f"{path.text} has no class index for {len(missing)} of {len(chosen)} samples",
            subject=subject,
            notes=tuple(missing[:3]),
            helps=(
                "samples are found by path, relative to the label file, or by file name where only one line has it",
            ),
        )
    return found


def _named(path: PathValue, lines: Sequence[ListLine], subject: str) -> tuple[dict[str, int], dict[str, int | None]]:
    """Class index by whole path, and by file name (None where two lines give one name different ones)."""
    folder = Path(path.path).parent
    by_path: dict[str, int] = {}
    by_name: dict[str, int | None] = {}
    for line in lines:
        if len(line.columns) != 2:
            raise Problem(
                "E0507",
                f"the line has {len(line.columns)} columns; sample and class index expected",
                subject=subject,
                places=(Place(path.text, line.number),),
                helps=('a name with blanks stands in double quotes: "my photo.jpg" 3',),
            )
        label = class_index(line.columns[1], path.text, line.number, subject)
        by_path[os.path.normpath(folder / line.columns[0])] = label
        name = Path(line.columns[0]).name
        by_name[name] = label if by_name.get(name, label) == label else None
    return by_path, by_name


def _check_count(count: int, listing: Listing, path: PathValue, subject: str) -> None:
    if count != len(listing.rows):
        raise Problem(
            "E0507",
            f"{path.text} has {count} class indices and the dataset has {len(listing.rows)} samples",
            subject=subject,
            helps=("indices without sample names belong to the samples by position, so the counts must agree",),
        )
