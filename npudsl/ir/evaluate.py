"""The value of a node whose inputs are all constant: the same operators, run by the same runtime as the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from npudsl.ir.float_run import session
from npudsl.ir.graph import Node, TensorType
from npudsl.ir.onnx_proto import build_model

if TYPE_CHECKING:
    import numpy as np


def evaluate(
    node: Node, types: Mapping[str, TensorType], constants: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]] | None:
    """Outputs of ``node`` by name; None when no runtime at hand knows the operator for these element types.

    ``types`` must know the outputs, ``constants`` every input that is present.
    """
    import numpy as np
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    wanted = {name: types[name] for name in node.outputs if name}
    model = build_model([node], {}, wanted, {name: constants[name] for name in dict.fromkeys(node.inputs) if name})
    try:
        values = session(model, optimize=False).run(list(wanted), {})
    except (state.Fail, state.NotImplemented, state.InvalidArgument, state.InvalidGraph, state.RuntimeException):
        values = _by_definition(model)
    if values is None:
        return None
    return {name: np.asarray(value) for name, value in zip(wanted, values, strict=True)}


def _by_definition(model: bytes) -> list[Any] | None:
    """ONNX's own reference implementation: slow, but it knows element types that the runtime does not."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    try:
        return list(ReferenceEvaluator(onnx.load_model_from_string(model)).run(None, {}))
    except (NotImplementedError, RuntimeError, TypeError, ValueError):
        return None
