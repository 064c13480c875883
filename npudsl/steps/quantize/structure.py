"""The imported model as the quantize step reads it: structure at once, constants only when one is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import Blob, BlobReader, Tree
from npudsl.artifacts.float_model import graph_from_record, groups_from_record
from npudsl.ir.graph import Graph, Node
from npudsl.ir.groups import LayerGroup

if TYPE_CHECKING:
    import numpy as np


class StoredConstants(Mapping[str, Any]):
    """Constants by name, read when asked for; asking whether a name is one reads nothing."""

    def __init__(self, blobs: Mapping[str, Blob], reader: BlobReader) -> None:
        self.blobs = blobs
        self._reader = reader

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        return self._reader.read_array(self.blobs[name])

    def __contains__(self, name: object) -> bool:
        return name in self.blobs

    def __iter__(self) -> Iterator[str]:
        return iter(self.blobs)

    def __len__(self) -> int:
        return len(self.blobs)


@dataclass(frozen=True)
class Structure:
    """Graph and groups, and who makes and reads each tensor, group by group."""

    graph: Graph
    groups: tuple[LayerGroup, ...]
    digest: str
    """Of ``graph.json``: structure, groups and every constant."""
    blobs: Mapping[str, Blob]
    """The constants' blobs."""

    def node(self, group: LayerGroup) -> Node:
        """The anchor of a group."""
        return self._nodes[group.name]

    def maker(self, tensor: str) -> LayerGroup | None:
        """The group that makes ``tensor``; None for a graph input."""
        return self._makers.get(tensor)

    def readers(self, tensor: str) -> tuple[LayerGroup, ...]:
        """The groups that read ``tensor``, in graph order."""
        return self._readers.get(tensor, ())

    def owner(self, tensor: str) -> str:
        """The tensor whose range ``tensor`` carries: itself, or what the passthrough groups before it read."""
        while (maker := self.maker(tensor)) is not None and maker.passthrough:
            tensor = maker.inputs[0]
        return tensor

    @property
    def tensors(self) -> tuple[str, ...]:
        """Graph inputs and group outputs, in graph order."""
        return (*self.graph.inputs, *(name for group in self.groups for name in group.outputs))

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.graph.nodes}

    @cached_property
    def _makers(self) -> dict[str, LayerGroup]:
        return {name: group for group in self.groups for name in group.outputs}

    @cached_property
    def _readers(self) -> dict[str, tuple[LayerGroup, ...]]:
        readers: dict[str, list[LayerGroup]] = {}
        for group in self.groups:
            for name in dict.fromkeys(group.inputs):
                readers.setdefault(name, []).append(group)
        return {name: tuple(groups) for name, groups in readers.items()}


def load_structure(tree: Tree, reader: BlobReader) -> Structure:
    """The structure of an imported model; reads ``graph.json`` only."""
    blob = tree["graph.json"]
    record = reader.read_json(blob)
    blobs = {name: Blob.from_record(item) for name, item in record["constants"].items()}
    graph = graph_from_record(record, StoredConstants(blobs, reader))
    return Structure(graph, groups_from_record(record), blob.digest, blobs)
