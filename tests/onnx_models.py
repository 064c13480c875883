"""Small ONNX models for tests, written as text: ``parse`` gives the bytes, ``read`` and ``simplified`` what import
makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

from npudsl.artifacts.model_formats import DeclaredInput, ReadModel, ReadRequest
from npudsl.backends.onnx_reader import read_model
from npudsl.ir.float_run import run, session
from npudsl.ir.graph import Graph
from npudsl.ir.onnx_proto import to_onnx
from npudsl.ir.passes import simplify

MAIN = "net.onnx"


def parse(body: str, opset: int = 13, **constants: Any) -> bytes:
    """The model of ``body`` (ONNX text syntax, from the graph's name on) with arrays as initializers."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]>\n{body}')
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    data: bytes = model.SerializeToString()
    return data


def read(model: bytes, inputs: Sequence[Any] = (), outputs: Sequence[str] = ()) -> ReadModel:
    """What the reader makes; ``inputs`` are names, or names with shapes."""
    declared = tuple(DeclaredInput(item) if isinstance(item, str) else DeclaredInput(*item) for item in inputs)
    return read_model(ReadRequest({MAIN: model}, MAIN, declared, tuple(outputs)))


def simplified(model: bytes, inputs: Sequence[Any] = (), outputs: Sequence[str] = ()) -> Graph:
    """The simplified graph, after checking that it computes what ``model`` does."""
    found = read(model, inputs, outputs)
    graph = simplify(found.graph)
    assert_same_results(found.reference, graph)
    return graph


def assert_same_results(reference: bytes, graph: Graph, tolerance: float = 1e-5) -> None:
    """Both networks give the same on random samples; also through ``to_onnx`` with and without optimization."""
    expected_from = session(reference, optimize=False)
    for optimize in (False, True):
        found_from = session(to_onnx(graph), optimize=optimize)
        sample = random_inputs(graph)
        expected, found = run(expected_from, sample), run(found_from, sample)
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(
                found[name], value, rtol=tolerance, atol=tolerance * max(np.abs(value).max(), 1e-30)
            )


def random_inputs(graph: Graph, seed: int = 0) -> dict[str, Any]:
    """One normally distributed sample."""
    generator = np.random.default_rng(seed)
    return {name: generator.standard_normal(graph.types[name].shape).astype(np.float32) for name in graph.inputs}


def ops(graph: Graph) -> list[str]:
    """The operators of a graph, in order."""
    return [node.op for node in graph.nodes]


def weights(*shape: int, seed: int = 1) -> Any:
    """Random float32 of a shape."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
