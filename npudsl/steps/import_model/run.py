"""Importing a model: read, simplify, test against the untouched model, group, store. One part, so the join hands it
on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.artifacts.float_model import FloatModel
from npudsl.artifacts.model_formats import DeclaredInput, ReadRequest, load_reader, reader_names
from npudsl.diagnostics import Problem
from npudsl.ir.fusion import layer_groups
from npudsl.ir.graph import Graph
from npudsl.ir.onnx_proto import to_onnx
from npudsl.ir.passes import simplify
from npudsl.plan.step import Part
from npudsl.steps.import_model.kind import FILE_ROLE
from npudsl.steps.import_model.self_test import check_same_results

PART = "model"


def expand(
    record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
) -> list[Part]:
    """The one part, with every file of the model."""
    files = {role: tree["file"] for role, tree in inputs.items() if role.startswith(FILE_ROLE)}
    return [Part(PART, record, files)]


def run_part(record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Import the model. Raises ``Problem`` E0401, E0402, E0403, E0407, E0409."""
    files = {role.removeprefix(FILE_ROLE): space.read_bytes(blob) for role, blob in inputs.items()}
    return import_model(record, files).save(space)


def join(record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree:
    """The part's tree as it is."""
    return parts[PART]


def import_model(record: Any, files: Mapping[str, bytes]) -> FloatModel:
    """The model in ``files`` as ``ImportConfig.record`` describes it."""
    read = _reader(record["format"]).read_model(_request(record, files))
    _check_inputs(read.graph)
    graph = simplify(read.graph)
    onnx_bytes = to_onnx(graph)
    check_same_results(read.reference, graph, onnx_bytes)
    return FloatModel(graph, layer_groups(graph), onnx_bytes)


def _reader(format_: str) -> Any:
    try:
        return load_reader(format_)
    except KeyError:
        raise Problem(
            "E0401",
            f"no reader for models of the format `{format_}`",
            subject="model.format",
            helps=[f"known formats: {', '.join(reader_names())}"],
        ) from None


def _request(record: Any, files: Mapping[str, bytes]) -> ReadRequest:
    inputs = tuple(
        DeclaredInput(item["name"], tuple(item["shape"]) if item["shape"] is not None else None)
        for item in record["inputs"]
    )
    return ReadRequest(files, record["file"], inputs, tuple(record["outputs"]))


def _check_inputs(graph: Graph) -> None:
    """Samples become float32 tensors, so that is what a graph must begin with."""
    for name in graph.inputs:
        dtype = graph.types[name].dtype
        if dtype != "float32":
            reader = next(iter(graph.consumers(name)), None)
            behind = f": an `input` block that names `{reader.outputs[0]}`" if reader is not None else ""
            raise Problem(
                "E0403",
                f"the input `{name}` is {dtype} in the model; samples are float32",
                subject=f"input[{name}]",
                helps=["export the model with float32 inputs", f"or begin behind the layer that converts it{behind}"],
            )
