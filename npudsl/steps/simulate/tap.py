"""The float model with inner tensors given out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from npudsl.artifacts.blob import Blob, BlobReader
from npudsl.ir.float_run import session

SESSIONS = 2
"""Loaded models that a process keeps: the report's tapped one and the plain one."""

_sessions: dict[tuple[str, tuple[str, ...]], Any] = {}


def float_session(model: Blob, tensors: Sequence[str], reader: BlobReader) -> Any:
    """The session of ``model`` that also gives out the float32 ``tensors``: one thread, kept for the next chunk."""
    key = (model.digest, tuple(tensors))
    loaded = _sessions.get(key)
    if loaded is None:
        loaded = session(with_outputs(reader.read_bytes(model), tensors), threads=1)
        for old in list(_sessions)[: 1 - SESSIONS]:
            _sessions.pop(old, None)
        _sessions[key] = loaded
    return loaded


def with_outputs(onnx_bytes: bytes, tensors: Sequence[str]) -> bytes:
    """The model with ``tensors`` (float32) among its outputs."""
    import onnx

    model = onnx.load_model_from_string(onnx_bytes)
    known = {value.name for value in model.graph.output}
    added = [name for name in tensors if name not in known]
    if not added:
        return onnx_bytes
    infos = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in added)
    model.graph.output.extend(infos)
    data: bytes = model.SerializeToString()
    return data
