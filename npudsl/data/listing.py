"""From feeds to rows: every sample of a dataset, before any is left out, each with one file per graph input.

One feed without an input name serves all inputs: the columns of a list, the files of a directory, a directory of
directories (one per sample, one file per input named after it), or one many-sample file. Feeds with an input name serve
one input each and are paired by position; the counts must agree, and so must the folders where every file has its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from npudsl.data.formats import DEFAULT_DTYPE, DIRECTORY_FORMATS, format_of, unknown_format
from npudsl.data.glob import find_files, list_directory
from npudsl.data.lists import class_index, read_list
from npudsl.data.rows import open_rows
from npudsl.data.sample import SampleFile
from npudsl.diagnostics import Place, Problem
from npudsl.language.program import Dataset, Feed

Row = tuple[SampleFile, ...]


@dataclass(frozen=True)
class Listing:
    """Rows in the order of the feed, the class index written beside each (column labels), and the paths read."""

    rows: tuple[Row, ...]
    columns: tuple[int, ...] | None = None
    read: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Column:
    """The files of one input."""

    feed: Feed
    files: tuple[SampleFile, ...]
    classes: tuple[int, ...] | None = None
    read: tuple[str, ...] = field(default=())


def list_samples(dataset: Dataset, inputs: Sequence[str]) -> Listing:
    """Every sample that the feeds name. Raises E0501, E0502, E0503 and E0507."""
    feeds = _feeds_by_input(dataset, inputs)
    shared = next((feed for feed in dataset.feeds if feed.input is None), None)
    if feeds:
        return _paired(dataset, [_column(dataset, feeds[name], name) for name in inputs])
    if shared is None:
        raise Problem(
            "E0503",
            f'dataset "{dataset.name}" has no data for the input{"s" if len(inputs) > 1 else ""} {_quoted(inputs)}',
            subject=f"dataset[{dataset.name}]",
            helps=('write list="FILE", dir="FOLDER" or one feed "INPUT" files="PATTERN" per input',),
        )
    if shared.kind == "list":
        return _list_rows(dataset, shared, inputs)
    if shared.kind == "dir":
        return _directory_rows(dataset, shared, inputs)
    if len(inputs) > 1:
        raise Problem(
            "E0503",
            f"{shared.kind} = serves one input, and the model has {len(inputs)}: {_quoted(inputs)}",
            subject=feed_subject(dataset, shared),
            helps=(f'write one rule per input: feed "{inputs[0]}" {shared.kind}=...',),
        )
    return _paired(dataset, [_column(dataset, shared, inputs[0])])


def feed_subject(dataset: Dataset, feed: Feed) -> str:
    """Subject name of a feed: the setting (``dataset[calib].list``) or the rule (``dataset[calib].feed[data]``)."""
    return f"dataset[{dataset.name}]." + (feed.kind if feed.input is None else f"feed[{feed.input}]")


def _feeds_by_input(dataset: Dataset, inputs: Sequence[str]) -> dict[str, Feed]:
    """Feeds with an input name; empty when there are none."""
    named = {feed.input: feed for feed in dataset.feeds if feed.input is not None}
    unknown = [name for name in named if name not in inputs]
    missing = [name for name in inputs if name not in named]
    if unknown:
        raise Problem(
            "E0503",
            f'the model has no input "{unknown[0]}"',
            subject=feed_subject(dataset, named[unknown[0]]),
            helps=(f"its inputs: {_quoted(inputs)}",),
        )
    if named and missing:
        raise Problem(
            "E0503",
            f'dataset "{dataset.name}" has no feed for {_quoted(missing)}',
            subject=f"dataset[{dataset.name}]",
            helps=(f'add a rule: feed "{missing[0]}" files="PATTERN"',),
        )
    return named


def _column(dataset: Dataset, feed: Feed, name: str) -> _Column:
    subject = feed_subject(dataset, feed)
    if feed.kind == "list":
        listing = _list_rows(dataset, feed, [name])
        return _Column(feed, tuple(row[0] for row in listing.rows), listing.columns, listing.read)
    if feed.kind == "dir":
        files, directories = _directory(dataset, feed, subject)
        _refuse_subdirectories(feed, directories, subject)
        found = tuple(
            _file(feed, name, str(Path(feed.path.path, file)), f"{feed.path.text}/{file}", subject) for file in files
        )
        _check_directory_formats(found, subject)
        return _Column(feed, found, None, (feed.path.path,))
    if feed.kind == "files":
        return _pattern_column(feed, name, subject)
    return _rows_column(feed, name, subject)


def _pattern_column(feed: Feed, name: str, subject: str) -> _Column:
    pattern = feed.pattern or ""
    if not pattern.strip("/") or pattern.startswith("/") or ".." in pattern.split("/"):
        raise Problem(
            "E0501",
            f'the pattern "{pattern}" does not stay in the folder {feed.path.text or "."}',
            subject=subject,
            helps=("a pattern is relative, without .. and without a leading /",),
        )
    found = find_files(Path(feed.path.path), pattern)
    folder = f"{feed.path.text}/" if feed.path.text and feed.path.text != "." else ""
    files = tuple(_file(feed, name, str(Path(feed.path.path, file)), folder + file, subject) for file in found.files)
    return _Column(feed, files, None, found.directories or (feed.path.path,))


def _rows_column(feed: Feed, name: str, subject: str) -> _Column:
    key = feed.pattern if feed.kind == "npz" else None
    header = open_rows(feed.path.path, feed.kind, key, feed.path.text, subject).header
    wanted = feed.dtype or (header.dtype if feed.kind == "idx" else DEFAULT_DTYPE)
    if header.dtype != wanted:
        raise Problem(
            "E0502",
            f"{feed.path.text} holds {header.dtype}, and {wanted} is expected",
            subject=subject,
            helps=(f'write the element type that is there: feed "{name}" ... dtype={header.dtype}',),
        )
    shown = f'{feed.path.text}["{key}"]' if key else feed.path.text
    files = tuple(
        SampleFile(name, feed.path.path, f"{shown}[{index}]", feed.kind, index, key, header.dtype, header.row_shape)
        for index in range(header.count)
    )
    return _Column(feed, files, None, (feed.path.path,))


def _paired(dataset: Dataset, columns: list[_Column]) -> Listing:
    first = columns[0]
    for column in columns[1:]:
        if len(column.files) != len(first.files):
            raise Problem(
                "E0503",
                f'"{column.feed.input}" has {len(column.files)} files and "{first.feed.input}" has {len(first.files)}',
                subject=feed_subject(dataset, column.feed),
                helps=("the files of the inputs are paired in sorted order, so their counts must agree",),
            )
        _check_folders(dataset, first, column)
    rows = tuple(zip(*(column.files for column in columns), strict=True))
    read = tuple(path for column in columns for path in column.read)
    return Listing(rows, first.classes, read)


def _check_folders(dataset: Dataset, first: _Column, other: _Column) -> None:
    """Where each file of both inputs has a folder of its own, a sample's files lie in the same folder."""
    if first.feed.kind != "files" or other.feed.kind != "files":
        return
    folders = [Path(file.path).parent for file in first.files]
    others = [Path(file.path).parent for file in other.files]
    if len(set(folders)) < len(folders) or len(set(others)) < len(others) or set(folders).isdisjoint(others):
        return
    for left, right, file in zip(folders, others, other.files, strict=True):
        if left != right:
            raise Problem(
                "E0503",
                f'the folder {min(left, right).name} has a file for only one of "{first.feed.input}" '
                f'and "{other.feed.input}"',
                subject=feed_subject(dataset, other.feed),
                notes=(f"pairing stopped at {file.shown}",),
                helps=("a sample needs a file for every input",),
            )


def _list_rows(dataset: Dataset, feed: Feed, inputs: Sequence[str]) -> Listing:
    subject = feed_subject(dataset, feed)
    labelled = dataset.labels is not None and dataset.labels.kind == "column"
    # Of several lists the first input's carries the labels.
    labelled = labelled and next(item for item in dataset.feeds if item.kind == "list") is feed
    shown = feed.path.text
    rows, classes = [], []
    for line in read_list(feed.path.path, shown, subject):
        paths = line.columns[:-1] if labelled else line.columns
        if len(paths) != len(inputs):
            raise _wrong_columns(inputs, labelled, len(line.columns), Place(shown, line.number), subject)
        if labelled:
            classes.append(class_index(line.columns[-1], shown, line.number, subject))
        rows.append(
            tuple(_list_file(feed, name, path, line.number, subject) for name, path in zip(inputs, paths, strict=True))
        )
    return Listing(tuple(rows), tuple(classes) if labelled else None, (feed.path.path,))


def _list_file(feed: Feed, name: str, written: str, line: int, subject: str) -> SampleFile:
    path = os.path.normpath(Path(feed.path.path).parent / written)
    return _file(feed, name, path, f"{written} ({feed.path.text}:{line})", subject)


def _wrong_columns(inputs: Sequence[str], labelled: bool, found: int, place: Place, subject: str) -> Problem:
    wanted = len(inputs) + labelled
    columns = ", ".join([*inputs, *(["class index"] if labelled else [])])
    helps = [
        f"columns are separated by blanks: {columns}",
        'a name with blanks stands in double quotes: "my photo.jpg"',
    ]
    if not labelled and found == wanted + 1:
        helps.insert(0, "if the last column is the class index, write labels = true in the dataset")
    return Problem(
        "E0503",
        f"the line has {found} column{'s' if found != 1 else ''}; {wanted} expected",
        subject=subject,
        places=(place,),
        helps=helps,
    )


def _directory_rows(dataset: Dataset, feed: Feed, inputs: Sequence[str]) -> Listing:
    subject = feed_subject(dataset, feed)
    files, directories = _directory(dataset, feed, subject)
    if len(inputs) == 1 and not directories:
        return _paired(dataset, [_column(dataset, feed, inputs[0])])
    if files and directories:
        raise _files_and_folders(feed, files[0], directories[0], subject)
    rows = []
    read = [feed.path.path]
    for directory in directories:
        path = Path(feed.path.path, directory)
        rows.append(_sample_directory(feed, path, f"{feed.path.text}/{directory}", inputs, subject))
        read.append(str(path))
    if not rows:
        raise Problem(
            "E0503",
            f"{feed.path.text} has no folders, and the model has {len(inputs)} inputs: {_quoted(inputs)}",
            subject=subject,
            helps=("with several inputs each sample is a folder that holds one file per input, named after it",),
        )
    return Listing(tuple(rows), None, tuple(read))


def _sample_directory(feed: Feed, path: Path, shown: str, inputs: Sequence[str], subject: str) -> Row:
    files, _ = list_directory(path)
    row = []
    for name in inputs:
        stem = file_stem(name)
        own = [file for file in files if file.rpartition(".")[0] == stem]
        if len(own) != 1:
            found = "no file" if not own else f"{len(own)} files"
            raise Problem(
                "E0503",
                f'{shown} has {found} called "{stem}.*" for the input "{name}"',
                subject=subject,
                helps=(
                    "a folder in a dataset's folder is one sample: it holds one file per input, named after it",
                    'to take files out of all folders, write files = "FOLDER/*/*.jpg"',
                ),
            )
        row.append(_file(feed, name, str(path / own[0]), f"{shown}/{own[0]}", subject))
    spare = sorted(set(files) - {Path(file.path).name for file in row})
    if spare:
        raise Problem(
            "E0503",
            f"{shown}/{spare[0]} belongs to no input",
            subject=subject,
            helps=(f"file names that are looked for: {', '.join(file_stem(name) + '.*' for name in inputs)}",),
        )
    return tuple(row)


def file_stem(name: str) -> str:
    """An input's name as a file name: every character but letters, digits, ``.``, ``-`` and ``_`` becomes ``_``."""
    return re.sub(r"[^\w.\-]", "_", name)


def _directory(dataset: Dataset, feed: Feed, subject: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Files and folders of a feed's folder; a label file in it is not a sample."""
    labels = dataset.labels.path.path if dataset.labels and dataset.labels.path else ""
    folder = Path(feed.path.path)
    try:
        files, directories = list_directory(folder)
        return tuple(name for name in files if str(folder / name) != labels), directories
    except OSError as error:
        raise Problem(
            "E0501", f"the folder {feed.path.text} cannot be read: {error.strerror}", subject=subject
        ) from None


def _files_and_folders(feed: Feed, file: str, folder: str, subject: str) -> Problem:
    return Problem(
        "E0503",
        f"{feed.path.text} holds both files ({file}) and folders ({folder})",
        subject=subject,
        helps=('name the samples by a pattern: files = "FOLDER/*.jpg", or files = "FOLDER/*/*.jpg"',),
    )


def _refuse_subdirectories(feed: Feed, directories: tuple[str, ...], subject: str) -> None:
    if directories:
        raise Problem(
            "E0503",
            f"{feed.path.text} has folders inside ({directories[0]})",
            subject=subject,
            helps=(f'to take files out of all folders, write files="{feed.path.text}/*/*"',),
        )


def _check_directory_formats(files: tuple[SampleFile, ...], subject: str) -> None:
    for file in files:
        if file.format not in DIRECTORY_FORMATS:
            raise Problem(
                "E0502",
                f"{file.shown} is no image, npy or bin file, and every file of a folder is a sample",
                subject=subject,
                helps=('name the samples by a pattern: files = "FOLDER/*.jpg"',),
            )


def _file(feed: Feed, name: str, path: str, shown: str, subject: str) -> SampleFile:
    format_ = format_of(Path(path).name)
    if format_ is None:
        raise unknown_format(shown, subject)
    if format_ == "image":
        if feed.input is not None and (feed.dtype or feed.shape):
            raise Problem(
                "E0502",
                f"dtype= and shape= say nothing about an image, and {shown} is one",
                subject=subject,
                helps=("leave them out; an image becomes a tensor as the input block says",),
            )
        return SampleFile(name, path, shown, format_)
    return SampleFile(name, path, shown, format_, dtype=feed.dtype or DEFAULT_DTYPE, shape=feed.shape)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
