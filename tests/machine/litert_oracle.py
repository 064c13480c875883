"""One-operator TensorFlow Lite models, written with the schema of the runtime and run by its reference kernels.

The runtime is ai-edge-litert, which only tests need; without it they are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

flatbuffers = pytest.importorskip("flatbuffers", reason="needs ai-edge-litert, the reference for profile tflite")
schema = pytest.importorskip(
    "ai_edge_litert.schema_py_generated", reason="needs ai-edge-litert, the reference for profile tflite"
)
interpreter = pytest.importorskip(
    "ai_edge_litert.interpreter", reason="needs ai-edge-litert, the reference for profile tflite"
)

TYPES = {
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model: an array (an input's value, or a constant's) or the shape of an output."""

    value: Any
    dtype: str
    scales: tuple[float, ...] = ()
    zero_point: int = 0
    axis: int = 0
    """Along which the scales differ."""
    is_constant: bool = False

    @property
    def shape(self):
        return list(self.value.shape) if isinstance(self.value, np.ndarray) else list(self.value)


def given(codes, scale, zero_point):
    """An input."""
    return Tensor(codes, codes.dtype.name, (scale,), zero_point)


def constant(codes, scales=(), zero_point=0, axis=0):
    """A constant; without scales it is plain numbers."""
    return Tensor(codes, codes.dtype.name, tuple(scales), zero_point, axis, is_constant=True)


def made(shape, dtype, scale, zero_point):
    """The output."""
    return Tensor(tuple(shape), dtype, (scale,), zero_point)


def run_operator(name: str, inputs: list[Tensor | None], output: Tensor, options: Any = None, version: int = 5) -> Any:
    """The output codes of the builtin operator ``name``; None is an input that is absent."""
    engine = interpreter.Interpreter(
        model_content=_model(name, inputs, output, options, version),
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF,
        num_threads=1,
    )
    engine.allocate_tensors()
    values = [tensor for tensor in inputs if tensor is not None and not tensor.is_constant]
    for detail, tensor in zip(engine.get_input_details(), values, strict=True):
        engine.set_tensor(detail["index"], tensor.value)
    engine.invoke()
    return engine.get_tensor(engine.get_output_details()[0]["index"])


def _model(name: str, inputs: list[Tensor | None], output: Tensor, options: Any, version: int) -> bytes:
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = version
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.tensors, graph.inputs = [], []
    places = []
    for number, tensor in enumerate(inputs):
        if tensor is None:
            places.append(-1)
            continue
        places.append(len(graph.tensors))
        if not tensor.is_constant:
            graph.inputs.append(len(graph.tensors))
        graph.tensors.append(_tensor(model, tensor, f"i{number}"))
    graph.outputs = [len(graph.tensors)]
    graph.tensors.append(_tensor(model, output, "o"))
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = places, graph.outputs
    if options is not None:
        operator.builtinOptions = options
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    graph.operators = [operator]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(model: Any, tensor: Tensor, name: str) -> Any:
    item = schema.TensorT()
    item.name, item.shape, item.type = name, tensor.shape, TYPES[tensor.dtype]
    item.buffer = 0
    if tensor.is_constant:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(tensor.value).tobytes(), np.uint8)
        item.buffer = len(model.buffers)
        model.buffers.append(buffer)
    if tensor.scales:
        quantization = schema.QuantizationParametersT()
        quantization.scale = list(tensor.scales)
        quantization.zeroPoint = [tensor.zero_point] * len(tensor.scales)
        quantization.quantizedDimension = tensor.axis
        item.quantization = quantization
    return item
