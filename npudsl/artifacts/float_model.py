"""The imported model: simplified graph, layer groups, and the same network as canonical ONNX for float runs.

Tree: ``graph.json`` (structure, types, groups; constants by blob), ``constants/<name>`` (npy), ``model.onnx``.
``graph.json`` alone answers every question about structure, so planning and expansion load no arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, BlobWriter, Tree
from npudsl.ir.graph import Graph, Node, TensorType
from npudsl.ir.groups import Clamp, LayerGroup

if TYPE_CHECKING:
    from npudsl.keys import Json

GRAPH_FORMAT = 1


@dataclass(frozen=True)
class FloatModel:
    """What import makes."""

    graph: Graph
    groups: tuple[LayerGroup, ...]
    onnx: bytes

    def save(self, writer: BlobWriter) -> Tree:
        constants = {name: writer.write_array(array) for name, array in self.graph.constants.items()}
        tree = {f"constants/{name}": blob for name, blob in constants.items()}
        tree["graph.json"] = writer.write_json(graph_record(self.graph, self.groups, constants))
        tree["model.onnx"] = writer.write_bytes(self.onnx)
        return tree

    @classmethod
    def load(cls, tree: Tree, reader: BlobReader) -> FloatModel:
        record = reader.read_json(tree["graph.json"])
        constants = {name: reader.read_array(Blob.from_record(blob)) for name, blob in record["constants"].items()}
        return cls(
            graph_from_record(record, constants), groups_from_record(record), reader.read_bytes(tree["model.onnx"])
        )


def graph_record(graph: Graph, groups: tuple[LayerGroup, ...], constants: Mapping[str, Blob]) -> dict[str, Json]:
    """The JSON of ``graph.json``."""
    return {
        "format": GRAPH_FORMAT,
        "name": graph.name,
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "nodes": [
            {
                "name": node.name,
                "op": node.op,
                "inputs": list(node.inputs),
                "outputs": list(node.outputs),
                "attributes": dict(node.attributes),
            }
            for node in graph.nodes
        ],
        "types": {name: [list(type_.shape), type_.dtype] for name, type_ in graph.types.items()},
        "constants": {name: blob.record() for name, blob in constants.items()},
        "aliases": dict(graph.aliases),
        "groups": [_group_record(group) for group in groups],
    }


def _group_record(group: LayerGroup) -> dict[str, Json]:
    """A group; what few groups have is left out of the others."""
    record: dict[str, Json] = asdict(group)
    return {name: value for name, value in record.items() if value or name not in ("attributes", "part_of")}


def graph_from_record(record: Mapping[str, Any], constants: Mapping[str, Any]) -> Graph:
    """The graph of ``graph.json``; ``constants`` may be empty when only the structure is asked for."""
    if record["format"] != GRAPH_FORMAT:
        raise ValueError(f"graph format {record['format']} is not {GRAPH_FORMAT}")
    return Graph(
        name=record["name"],
        inputs=tuple(record["inputs"]),
        outputs=tuple(record["outputs"]),
        nodes=tuple(
            Node(node["name"], node["op"], tuple(node["inputs"]), tuple(node["outputs"]), node["attributes"])
            for node in record["nodes"]
        ),
        types={name: TensorType(tuple(shape), dtype) for name, (shape, dtype) in record["types"].items()},
        constants=constants,
        aliases=record["aliases"],
    )


def groups_from_record(record: Mapping[str, Any]) -> tuple[LayerGroup, ...]:
    """The layer groups of ``graph.json``."""
    return tuple(_group(item) for item in record["groups"])


def _group(item: Mapping[str, Any]) -> LayerGroup:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in item.items()}
    values["clamp"] = Clamp(**item["clamp"]) if item["clamp"] else None
    return LayerGroup(**values)
