"""What a model reader is asked for and what it gives back; and where readers are found.

A reader is a module with the three functions of ``ModelReader``. Built-in ones and those of other packages (entry
points of the group ``npudsl.readers`` that name a module) are found by the word behind ``format =`` and imported only
when needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from npudsl.ir.graph import Graph, TensorType

BUILT_IN_READERS = {"onnx": "npudsl.backends.onnx_reader"}
"""Word behind ``format =`` to module."""

READER_GROUP = "npudsl.readers"

SUFFIXES = {".onnx": "onnx"}
"""File name ending to format, for commands that get a bare model file."""


@dataclass(frozen=True)
class DeclaredInput:
    """An ``input`` block as far as import needs it; a free extent of ``shape`` is 0."""

    name: str
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class ReadRequest:
    """One model: its files by name relative to the folder of the model file, which of them that is, and where to
    cut."""

    files: Mapping[str, bytes]
    main: str
    inputs: tuple[DeclaredInput, ...] = ()
    """Empty: the inputs of the model."""
    outputs: tuple[str, ...] = ()
    """Empty: the outputs of the model."""


@dataclass(frozen=True)
class ReadModel:
    """The graph as the file has it (types complete, constants folded, nothing simplified) and an ONNX file of the
    untouched model, cut at the same tensors, that a simplified graph is compared with."""

    graph: Graph
    reference: bytes


@dataclass(frozen=True)
class ModelDescription:
    """What a model file says about itself. A free extent is 0; ``symbols`` names the free extents of an input by
    position."""

    inputs: Mapping[str, TensorType]
    outputs: tuple[str, ...]
    symbols: Mapping[str, tuple[str, ...]]
    operators: Mapping[str, int]
    """Operator to number of nodes, most frequent first."""
    image_inputs: frozenset[str] = field(default_factory=frozenset)
    """Inputs that a convolution over two spatial axes reads before anything reshapes them."""


class ModelReader(Protocol):
    """The functions of a reader module; all raise ``Problem`` for a file that is not a model of their format."""

    def model_files(self, path: Path) -> list[Path]:
        """Every file that the model at ``path`` consists of, itself first; reads no weights."""
        ...

    def read_model(self, request: ReadRequest) -> ReadModel: ...

    def describe_model(self, path: Path) -> ModelDescription: ...


def reader_names() -> tuple[str, ...]:
    """Every known ``format =`` word, built-in ones first."""
    import importlib.metadata

    installed = [point.name for point in importlib.metadata.entry_points(group=READER_GROUP)]
    return (*BUILT_IN_READERS, *sorted(name for name in installed if name not in BUILT_IN_READERS))


def reader_module(format_: str) -> str:
    """The module that reads ``format_``; raises ``KeyError`` when there is none."""
    if format_ in BUILT_IN_READERS:
        return BUILT_IN_READERS[format_]
    import importlib.metadata

    for point in importlib.metadata.entry_points(group=READER_GROUP):
        if point.name == format_:
            return point.value
    raise KeyError(format_)


def load_reader(format_: str) -> ModelReader:
    """The reader of ``format_``; raises ``KeyError`` when there is none."""
    return cast(ModelReader, importlib.import_module(reader_module(format_)))
