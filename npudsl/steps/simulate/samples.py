"""Samples as the network's input tensors. Where they lie is context, what they hold is checked by digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from npudsl.data.load import load_sample
from npudsl.data.preprocess import fit_records
from npudsl.data.sample import file_from_record
from npudsl.diagnostics import Problem

if TYPE_CHECKING:
    from npudsl.ir.graph import Graph
    from npudsl.keys import Json


def fitted_preprocess(record: Mapping[str, Any], graph: Graph) -> list[dict[str, Json]]:
    """The preprocess records of the graph's inputs, in order. Raises ``Problem`` where they do not fit the model."""
    shapes = {name: graph.types[name].shape for name in graph.inputs}
    return fit_records(record["inputs"], shapes, record["layout"])


def files_of(samples: Iterable[str], context: Mapping[str, Any]) -> dict[str, Json]:
    """The context's files of some samples."""
    return {sample: context["files"][sample] for sample in samples}


def sample_tensors(
    sample: str, preprocess: Sequence[Mapping[str, Any]], context: Mapping[str, Any]
) -> dict[str, np.ndarray[Any, Any]]:
    """The input tensors of a sample by name."""
    files = [file_from_record(file) for file in context["files"][sample]]
    return load_sample(sample, files, preprocess)


def check_finite(values: Mapping[str, np.ndarray[Any, Any]], sample: str, context: Mapping[str, Any]) -> None:
    """Raises E0506 for the first tensor that holds NaN or infinity: there is no error to measure against it."""
    for name, array in values.items():
        if array.dtype.kind != "f" or np.isfinite(array).all():
            continue
        flat = int(np.flatnonzero(~np.isfinite(array.reshape(-1)))[0])
        index = [int(position) for position in np.unravel_index(flat, array.shape)]
        shown = ", ".join(file["shown"] for file in context["files"][sample])
        raise Problem(
            "E0506",
            f'tensor "{name}" has {array.reshape(-1)[flat]} at index {index} for the sample {shown}',
            subject=context["subject"],
            helps=("check mean and scale of the inputs, or leave the sample out",),
        )
