"""Whether the data of a dataset is here at all: a clone of a repository usually comes without it.

Data that is there in part is not absent: a list with three files missing is a mistake, and resolution reports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from npudsl.data.listing import list_samples
from npudsl.diagnostics import Problem
from npudsl.language.program import Dataset


def absent_data(dataset: Dataset, inputs: Sequence[str]) -> tuple[str, ...]:
    """The paths at which data was looked for when nothing of it is there; empty when anything is."""
    places = tuple(dict.fromkeys(feed.path.path for feed in dataset.feeds))
    if not any(Path(place).exists() for place in places):
        return places
    try:
        rows = list_samples(dataset, inputs).rows
    except Problem:
        return ()
    files = tuple(dict.fromkeys(file.path for row in rows for file in row))
    return () if any(Path(file).exists() for file in files) else (*places, *files)
