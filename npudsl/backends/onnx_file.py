"""ONNX bytes to a checked ``ModelProto``: an untrusted file is believed only as far as its own size goes.

Every tensor must hold exactly the bytes that its shape claims, external data must lie inside the model's folder and
inside its file, and nothing is allocated for a claim. What comes out has all weights inside and no stale shapes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, TensorProto

from npudsl.diagnostics import Problem

SUBJECT = "model.file"

LARGEST_FILE = 2**31 - 1
"""Bytes that one protobuf message can have."""

PACKED_BITS: dict[int, int] = {
    TensorProto.FLOAT: 32, TensorProto.DOUBLE: 64, TensorProto.FLOAT16: 16, TensorProto.BFLOAT16: 16,
    TensorProto.INT8: 8, TensorProto.UINT8: 8, TensorProto.INT16: 16, TensorProto.UINT16: 16,
    TensorProto.INT32: 32, TensorProto.UINT32: 32, TensorProto.INT64: 64, TensorProto.UINT64: 64,
    TensorProto.BOOL: 8, TensorProto.INT4: 4, TensorProto.UINT4: 4,
}  # fmt: skip
"""Bits of one element in raw data, of the element types that can be read."""

TYPED_FIELDS: dict[int, str] = {
    TensorProto.FLOAT: "float_data", TensorProto.DOUBLE: "double_data", TensorProto.INT64: "int64_data",
    TensorProto.UINT32: "uint64_data", TensorProto.UINT64: "uint64_data",
}  # fmt: skip
"""Where the values of an element type are when they are not raw; the others are in ``int32_data``."""


def parse(data: bytes, shown: str) -> ModelProto:
    """The message in ``data``; raises ``Problem`` when it is no ONNX model."""
    if len(data) > LARGEST_FILE:
        raise Problem(
            "E0401",
            f"`{shown}` has {len(data)} bytes; one ONNX file can have {LARGEST_FILE}",
            subject=SUBJECT,
            helps=["save the model with external data"],
        )
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise Problem(
            "E0401",
            f"`{shown}` is not a complete ONNX file ({len(data)} bytes)",
            subject=SUBJECT,
            helps=["was the download or the copy cut short? compare its size with the original"],
        ) from error
    if model.ir_version <= 0 or not model.opset_import or not model.graph.node:
        raise Problem(
            "E0401",
            f"`{shown}` is not an ONNX model: it has {len(data)} bytes, {len(model.graph.node)} nodes and "
            f"{len(model.opset_import)} operator sets",
            subject=SUBJECT,
            helps=["`format = onnx` expects a file that `onnx.save` wrote; for another format write its word"],
        )
    return model


def load(files: Mapping[str, bytes], main: str) -> ModelProto:
    """The model in ``files[main]`` with external data taken in, every tensor checked, derived shapes dropped."""
    model = parse(files[main], main)
    held = len(files[main])
    for tensor in tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            _take_in(tensor, files)
            held += len(tensor.raw_data)
        if held > LARGEST_FILE:
            raise Problem(
                "E0401",
                f"`{main}` and its weights have more than {LARGEST_FILE} bytes, at `{tensor.name}`",
                subject=SUBJECT,
            )
        _check_tensor(tensor, main)
    del model.graph.value_info[:]
    _check_structure(model, main)
    return model


@contextmanager
def readable_names(shown: str) -> Iterator[None]:
    """Turn a name that is no text, found anywhere in a model, into a ``Problem``."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise Problem(
            "E0401",
            f"`{shown}` is damaged: a name in it is no text (byte {error.start} of {error.object!r})",
            subject=SUBJECT,
            helps=["get the file again"],
        ) from error


def _check_structure(model: ModelProto, shown: str) -> None:
    """Let ONNX's own checker look at the model, as if every input had a shape (that is asked for later, by name)."""
    shapeless = [item.type.tensor_type for item in model.graph.input if not item.type.tensor_type.HasField("shape")]
    for type_ in shapeless:
        type_.shape.SetInParent()
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, RuntimeError) as error:
        raise Problem(
            "E0401", f"`{shown}` is not a valid ONNX model: {_first_sentence(error)}", subject=SUBJECT
        ) from error
    for type_ in shapeless:
        type_.ClearField("shape")


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model: initializers and attributes, in functions and sub-graphs too."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        for node in function.node:
            yield from _node_tensors(node)


def _graph_tensors(graph: Any) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: Any) -> Iterator[TensorProto]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for sparse in [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []:
            yield sparse.values
            yield sparse.indices
        if attribute.HasField("g"):
            yield from _graph_tensors(attribute.g)
        for graph in attribute.graphs:
            yield from _graph_tensors(graph)


def external_locations(model: ModelProto) -> list[str]:
    """Files beside the model that hold tensor data, as the model names them, each once."""
    return list(
        dict.fromkeys(
            _external(tensor)["location"] for tensor in tensors(model) if tensor.data_location == TensorProto.EXTERNAL
        )
    )


def locate(folder: Path, location: str, shown: str) -> Path:
    """The file that ``location`` names; raises ``Problem`` when it lies outside ``folder`` or is not there."""
    parts = PurePosixPath(location.replace("\\", "/"))
    path = folder / parts
    real_folder = Path(os.path.realpath(folder))
    inside = not parts.is_absolute() and ".." not in parts.parts and bool(location)
    if not inside or not Path(os.path.realpath(path)).is_relative_to(real_folder):
        raise Problem(
            "E0401",
            f"`{shown}` keeps its weights in `{location}`, outside its own folder",
            subject=SUBJECT,
            notes=["a model file may only name files beside or below it"],
            helps=["load the model where it was made and save it again as one file"],
        )
    if not path.is_file():
        raise Problem(
            "E0401",
            f"`{shown}` keeps its weights in `{location}`, which is not there",
            subject=SUBJECT,
            helps=[f"put `{location}` beside `{shown}`"],
        )
    return path


def _external(tensor: TensorProto) -> dict[str, str]:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    entries.setdefault("location", "")
    return entries


def _take_in(tensor: TensorProto, files: Mapping[str, bytes]) -> None:
    """Replace a reference to external data by the data."""
    entries = _external(tensor)
    location = entries["location"]
    if location not in files:
        raise Problem(
            "E0401", f"tensor `{tensor.name}` lies in `{location}`, which is not a file of this model", subject=SUBJECT
        )
    data = files[location]
    offset = _number(tensor, entries, "offset", 0)
    length = _number(tensor, entries, "length", max(0, len(data) - offset))
    if offset + length > len(data):
        raise Problem(
            "E0401",
            f"tensor `{tensor.name}` claims bytes {offset} to {offset + length} of `{location}`, which has {len(data)}",
            subject=SUBJECT,
            helps=[f"is `{location}` complete, and does it belong to this model?"],
        )
    claimed = _claimed_bytes(tensor)
    if "length" not in entries and claimed is not None:
        length = min(length, claimed)
    tensor.raw_data = data[offset : offset + length]
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _number(tensor: TensorProto, entries: Mapping[str, str], key: str, default: int) -> int:
    text = entries.get(key, str(default))
    if not text.isascii() or not text.isdigit():
        raise Problem(
            "E0401", f"tensor `{tensor.name}` has the {key} `{text}`, which is no size in bytes", subject=SUBJECT
        )
    return int(text)


def _claimed_bytes(tensor: TensorProto) -> int | None:
    bits = PACKED_BITS.get(tensor.data_type)
    return None if bits is None else (_elements(tensor) * bits + 7) // 8


def _elements(tensor: TensorProto) -> int:
    count = 1
    for extent in tensor.dims:
        count *= extent
    return count


def _check_tensor(tensor: TensorProto, shown: str) -> None:
    """Raise ``Problem`` unless the tensor holds exactly what its shape claims."""
    name = tensor.name or "(unnamed)"
    type_name = (
        TensorProto.DataType.Name(tensor.data_type) if tensor.data_type in TensorProto.DataType.values() else "?"
    )
    if tensor.data_type == TensorProto.STRING:
        return
    if tensor.data_type not in PACKED_BITS:
        raise Problem(
            "E0407",
            f"tensor `{name}` of `{shown}` has the element type {type_name}, which no NPU here has",
            subject=SUBJECT,
        )
    if any(extent < 0 for extent in tensor.dims):
        raise Problem(
            "E0401", f"tensor `{name}` of `{shown}` has a negative extent: {list(tensor.dims)}", subject=SUBJECT
        )
    if tensor.HasField("raw_data"):
        claimed, held, unit = _claimed_bytes(tensor), len(tensor.raw_data), "bytes"
    else:
        field = TYPED_FIELDS.get(tensor.data_type, "int32_data")
        per_value = 2 if PACKED_BITS[tensor.data_type] == 4 else 1
        claimed, held, unit = -(-_elements(tensor) // per_value), len(getattr(tensor, field)), "values"
    if claimed != held:
        shape = "x".join(map(str, tensor.dims)) or "scalar"
        raise Problem(
            "E0401",
            f"tensor `{name}` of `{shown}` claims {claimed} {unit} ({type_name} {shape}) and holds {held}",
            subject=SUBJECT,
            helps=["the file is damaged or was cut short; get it again"],
        )


def _first_sentence(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text.split("==> Context")[0].strip()
