"""Which tensors are observed, and the model that gives them out.

Observed are the places where a value can be rounded: float graph inputs and the outputs of layer groups, except groups
that hand their input's quantization on. Nothing inside a group is given out, so onnxruntime still fuses it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader

if TYPE_CHECKING:
    from npudsl.ir.graph import Graph
    from npudsl.ir.groups import LayerGroup

SESSIONS = 2
"""Tapped models that a process keeps loaded: its parts are mostly of one model."""

_sessions: dict[tuple[str, tuple[str, ...]], Any] = {}
_sessions_lock = threading.Lock()


@dataclass(frozen=True)
class Taps:
    """Graph inputs with their types, and the observed tensors that nodes make, all in graph order."""

    inputs: Mapping[str, tuple[tuple[int, ...], str]]
    outputs: tuple[str, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        """Every observed tensor."""
        return (*(name for name, (_, dtype) in self.inputs.items() if dtype == "float32"), *self.outputs)


def find_taps(graph: Graph, groups: Sequence[LayerGroup]) -> Taps:
    """The quantization borders of a graph (its constants are not asked for)."""
    inputs = {name: (graph.types[name].shape, graph.types[name].dtype) for name in graph.inputs}
    outputs = dict.fromkeys(
        name
        for group in groups
        if not group.passthrough
        for name in group.outputs
        if name not in inputs and graph.types[name].dtype == "float32"
    )
    return Taps(inputs, tuple(outputs))


def tapped_session(model: Blob, outputs: tuple[str, ...], reader: BlobReader) -> Any:
    """The session of the model with ``outputs`` given out, one and the same for all parts of this process.

    A session may run in several threads at once, each run on the thread that asks.
    """
    key = (model.digest, outputs)
    with _sessions_lock:
        if key not in _sessions:
            from npudsl.ir.float_run import session

            while len(_sessions) >= SESSIONS:
                _sessions.pop(next(iter(_sessions)))
            _sessions[key] = session(with_outputs(reader.read_bytes(model), outputs), threads=1)
        return _sessions[key]


def with_outputs(onnx_bytes: bytes, outputs: Sequence[str]) -> bytes:
    """The model with the float32 tensors ``outputs`` in place of its graph outputs."""
    import onnx

    model = onnx.load_model_from_string(onnx_bytes)
    del model.graph.output[:]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs
    )
    data: bytes = model.SerializeToString()
    return data
