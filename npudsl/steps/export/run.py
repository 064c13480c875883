"""Export: the golden run, the exporter, and its files as one tree.

Tree: ``files/<relative path>`` for each file of the bundle (``files/`` alone is a bundle that is a single file) and
``bundle.json``: the paths, which of them are executable, and the exporter's notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.artifacts.export_bundle import ExportBundle, ExportRequest, GoldenRun, exporter_module, load_exporter
from npudsl.artifacts.float_model import FloatModel, graph_from_record
from npudsl.artifacts.quantized_model import QuantizedModel
from npudsl.data.load import load_sample
from npudsl.data.preprocess import fit_records
from npudsl.data.sample import file_from_record
from npudsl.diagnostics import Diagnostic, StepFailed
from npudsl.machine.execute import Machine
from npudsl.plan.step import Part

ZERO_SAMPLE_NOTE = "the golden input is all zeros: the variant has no dataset to take a sample from"


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """One part; its inputs are all blobs of the model and of the integer program."""
    graph = graph_from_record(reader.read_json(inputs["model"]["graph.json"]), {})
    shapes = {name: graph.types[name].shape for name in graph.inputs}
    fitted = {name: value for name, value in record.items() if name not in ("inputs", "layout")}
    fitted["preprocess"] = fit_records(record["inputs"], shapes, record["layout"])
    blobs = {f"{role}/{name}": blob for role in ("model", "quantized") for name, blob in inputs[role].items()}
    return [Part("export", fitted, blobs, context)]


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Run the golden sample, then the exporter."""
    model = FloatModel.load(_tree("model", inputs), space)
    quantized = QuantizedModel.load(_tree("quantized", inputs), space)
    bundle = load_exporter(record["kind"])(
        ExportRequest(
            name=record["name"],
            options=record["options"],
            model=model,
            quantized=quantized,
            reader=space,
            golden=_golden_run(record, context, quantized, space),
            subject=context["subject"],
        )
    )
    _check_paths(bundle, record["kind"], context["subject"])
    notes = (*bundle.notes, ZERO_SAMPLE_NOTE) if record["sample"] is None else bundle.notes
    tree = {f"files/{path}": space.write_bytes(data) for path, data in sorted(bundle.files.items())}
    tree["bundle.json"] = space.write_json(
        {"files": sorted(bundle.files), "executable": sorted(bundle.executable), "notes": list(notes)}
    )
    return tree


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """The bundle as it is."""
    return parts["export"]


def _golden_run(record: Any, context: Any, quantized: QuantizedModel, space: BlobSpace) -> GoldenRun:
    machine = Machine(quantized, space, compiled=False)  # one sample is not worth a compiler
    values = _sample_tensors(record, context, quantized)
    entering = {name: machine.quantize_input(values[name], name) for name in quantized.inputs}
    return GoldenRun({**entering, **machine.run(entering, keep="all")})


def _sample_tensors(record: Any, context: Any, quantized: QuantizedModel) -> Mapping[str, np.ndarray[Any, Any]]:
    if record["sample"] is None:
        return {name: np.zeros(quantized.tensors[name].shape, np.float32) for name in quantized.inputs}
    files = [file_from_record(file) for file in context["files"]]
    return load_sample(record["sample"], files, record["preprocess"])


def _tree(role: str, inputs: Mapping[str, Blob]) -> Tree:
    prefix = f"{role}/"
    return {name.removeprefix(prefix): blob for name, blob in inputs.items() if name.startswith(prefix)}


def _check_paths(bundle: ExportBundle, kind: str, subject: str) -> None:
    """Raises ``StepFailed`` for a file that would land outside the folder of the export."""
    if set(bundle.files) == {""}:
        return
    for path in bundle.files:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
            diagnostic = Diagnostic(
                "E0901",
                f'the exporter of kind {kind} ({exporter_module(kind)}) gave a file the path "{path}"',
                subject=subject,
                helps=("paths of an export are relative, separated by /, and stay inside its folder",),
            )
            raise StepFailed([diagnostic])
    unknown = bundle.executable - bundle.files.keys()
    if unknown:
        raise ValueError(f"executable files that are not in the bundle: {sorted(unknown)}")
