"""Observing a model on samples: one part per shard of samples, joined by an exact merge.

A part runs the float model on its samples one by one, with one thread (the engine runs parts side by side), and keeps
counters and extremes of every quantization border, never values. See ``observe`` for the merge and ``kind.shards`` for
who shares a part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.artifacts.float_model import graph_from_record, groups_from_record
from npudsl.artifacts.statistics import save_statistics
from npudsl.data.preprocess import fit_records
from npudsl.data.sample import SampleFile, file_from_record
from npudsl.diagnostics import Problem
from npudsl.keys import digest_record
from npudsl.plan.step import Part
from npudsl.steps.calibrate.kind import shards
from npudsl.steps.calibrate.tap import find_taps, tapped_session

if TYPE_CHECKING:
    from npudsl.steps.calibrate.observe import NotFinite


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """One part per shard. Raises E0404 when a program's per-channel values do not fit the model."""
    structure = reader.read_json(inputs["model"]["graph.json"])
    taps = find_taps(graph_from_record(structure, {}), groups_from_record(structure))
    shapes = {name: shape for name, (shape, _) in taps.inputs.items()}
    shared = {
        "preprocess": fit_records(record["inputs"], shapes, record["layout"]),
        "dtypes": [dtype for _, dtype in taps.inputs.values()],
        "tensors": list(taps.tensors),
    }
    model = inputs["model"]["model.onnx"]
    parts: dict[str, Part] = {}
    for shard in shards(record["samples"], previous):
        name = _part_name(shard, parts)
        files = {digest: context["files"][digest] for digest in shard}
        parts[name] = Part(
            name,
            {**shared, "samples": shard},
            {"model": model},
            {"subject": context["subject"], "files": files},
        )
    return list(parts.values())


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Observe one shard's samples. Raises E0502, E0504, E0505 (data) and E0506 (NaN or infinity in a tensor)."""
    from npudsl.data.load import load_sample
    from npudsl.steps.calibrate.observe import NotFinite, Observer

    names = [item["input"] for item in record["preprocess"]]
    dtypes = dict(zip(names, record["dtypes"], strict=True))
    outputs = tuple(name for name in record["tensors"] if name not in dtypes)
    session = tapped_session(inputs["model"], outputs, space) if outputs else None
    observer = Observer(record["tensors"])
    for digest in record["samples"]:
        files = [file_from_record(item) for item in context["files"][digest]]
        tensors = load_sample(digest, files, record["preprocess"])
        feeds = {name: tensors[name].astype(dtypes[name], copy=False) for name in names}
        values = dict(zip(outputs, session.run(list(outputs), feeds), strict=True)) if session else {}
        try:
            observer.add({**tensors, **values})
        except NotFinite as error:
            raise _not_finite(error, files, context["subject"]) from None
    return observer.save(record["samples"], space)


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """The statistics of every observed tensor over all samples."""
    from npudsl.steps.calibrate.observe import Merged, Shard

    loaded = [Shard.load(tree, space) for tree in parts.values()]
    return save_statistics(record["samples"], Merged(loaded, record["samples"]), space)


def _part_name(shard: Sequence[str], taken: Mapping[str, Part]) -> str:
    name = f"samples-{digest_record(list(shard))[:12]}"
    copies = 1
    while (name if copies == 1 else f"{name}-{copies}") in taken:
        copies += 1
    return name if copies == 1 else f"{name}-{copies}"


def _not_finite(error: NotFinite, files: Sequence[SampleFile], subject: str) -> Problem:
    shown = ", ".join(file.shown for file in files)
    return Problem(
        "E0506",
        f'tensor "{error.tensor}" has {error.value} at index {list(error.index)} for the sample {shown}',
        subject=subject,
        helps=(
            "no range can be found for values that are not finite",
            "check mean and scale of the inputs, or leave the sample out",
        ),
    )
