"""The ONNX reader: file, cut, upgrade, graph.

::

    bytes --load--> checked model --inline, cut--> reference (what the simplified graph is compared with)
                                               --upgrade--> opset 19 --draft, fold--> Graph
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import onnx

from npudsl.artifacts.model_formats import ModelDescription, ReadModel, ReadRequest
from npudsl.backends import onnx_cut, onnx_file, onnx_graph, onnx_upgrade
from npudsl.diagnostics import Problem
from npudsl.ir.graph import Graph, TensorType
from npudsl.ir.passes.fold_constants import fold_constants

SPATIAL_OPS = frozenset({"Conv", "ConvTranspose", "MaxPool", "AveragePool", "Resize", "Upsample"})
ELEMENTWISE_OPS = frozenset(
    {"Add", "Sub", "Mul", "Div", "Cast", "Identity", "BatchNormalization", "Pad", "QuantizeLinear"}
)


def model_files(path: Path) -> list[Path]:
    """The model and its external data files, each once, checked to lie beside or below the model."""
    with onnx_file.readable_names(path.name):
        model = onnx_file.parse(_bytes(path), path.name)
        return [path, *(onnx_file.locate(path.parent, name, path.name) for name in onnx_file.external_locations(model))]


def read_model(request: ReadRequest) -> ReadModel:
    """The graph in ``request`` with every type known and constants folded, and the untouched model beside it."""
    with onnx_file.readable_names(request.main):
        return _read(request)


def _read(request: ReadRequest) -> ReadModel:
    model = onnx_upgrade.inline_functions(onnx_file.load(request.files, request.main))
    model = onnx_cut.cut(model, request.inputs, request.outputs)
    onnx_upgrade.check_operators(model, onnx_graph.shown_name)
    reference = model.SerializeToString(deterministic=True)
    original = onnx.GraphProto()
    original.CopyFrom(model.graph)
    version = onnx_upgrade.default_opset(model)
    upgraded = onnx_upgrade.upgrade(model, onnx_graph.shown_name)
    draft = onnx_graph.draft_graph(upgraded, original)
    graph = fold_constants(draft, onnx_upgrade.function_body(version))
    _check_outputs(graph)
    return ReadModel(replace(graph, aliases=_known_to_user(graph, original)), reference)


def describe_model(path: Path) -> ModelDescription:
    """What the file says about itself; weights are not looked at."""
    with onnx_file.readable_names(path.name):
        return _describe(onnx_file.parse(_bytes(path), path.name))


def _describe(model: onnx.ModelProto) -> ModelDescription:
    types = onnx_cut.input_types(model)
    counts = Counter(node.op_type for node in model.graph.node if node.op_type != "Constant")
    return ModelDescription(
        inputs={
            name: TensorType(tuple(extent or 0 for extent in free.extents or ()), free.dtype)
            for name, free in types.items()
        },
        outputs=tuple(item.name for item in model.graph.output),
        symbols={name: free.symbols for name, free in types.items()},
        operators=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        image_inputs=frozenset(name for name in types if _feeds_spatial(model, name)),
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Problem(
            "E0401", f"the model file `{path.name}` cannot be read: {error.strerror}", subject=onnx_file.SUBJECT
        ) from error


def _feeds_spatial(model: onnx.ModelProto, tensor: str) -> bool:
    """Does a layer with spatial axes read ``tensor``, perhaps through arithmetic or a change of layout?"""
    frontier, seen = [tensor], {tensor}
    while frontier:
        current = frontier.pop()
        for node in model.graph.node:
            if current not in node.input:
                continue
            if node.op_type in SPATIAL_OPS:
                return True
            if node.op_type in ELEMENTWISE_OPS or node.op_type == "Transpose":
                fresh = [name for name in node.output if name and name not in seen]
                seen.update(fresh)
                frontier.extend(fresh)
    return False


def _known_to_user(graph: Graph, original: onnx.GraphProto) -> dict[str, str]:
    """Aliases without the names that the upgrade made up."""
    known = {name for node in original.node for name in (node.name, *node.output)}
    return {name: node for name, node in graph.aliases.items() if name in known}


def _check_outputs(graph: Graph) -> None:
    for name in graph.outputs:
        if graph.producer(name) is None:
            raise Problem(
                "E0402",
                f"the output `{name}` is the same for every sample: it depends on no input",
                subject=f"output[{name}]",
                helps=["declare other outputs"],
            )
