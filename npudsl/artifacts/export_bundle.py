"""What an export is asked for and what it gives back; and where exporters are found.

An exporter is a function ``export(request: ExportRequest) -> ExportBundle``: pure, no disk, no clock. Built-in ones and
those of other packages (entry points of the group ``npudsl.exporters``) are found the same way, by the word that
stands behind ``kind =``, and are imported only when a program names them.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.blob import BlobReader

if TYPE_CHECKING:
    import numpy as np

    from npudsl.artifacts.float_model import FloatModel
    from npudsl.artifacts.quantized_model import QuantizedModel

BUILT_IN_EXPORTERS = {
    "c-project": "npudsl.backends.c_project:export",
    "onnx-qdq": "npudsl.backends.onnx_qdq:export",
}
"""Word behind ``kind =`` to ``module:function``."""

EXPORTER_GROUP = "npudsl.exporters"


@dataclass(frozen=True)
class GoldenRun:
    """One sample through the simulator: the codes of every tensor by name (graph inputs included)."""

    values: Mapping[str, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class ExportRequest:
    """Everything an exporter may use."""

    name: str
    """Name of the model as the user wrote it; a C identifier is derived from it by who needs one."""
    options: Mapping[str, Any]
    model: FloatModel
    quantized: QuantizedModel
    reader: BlobReader
    golden: GoldenRun
    subject: str
    """Subject name of the export block, for problems."""


@dataclass(frozen=True)
class ExportBundle:
    """Files by relative path (``/`` separated). A bundle with one file called ``""`` is a single file at ``out``."""

    files: Mapping[str, bytes]
    executable: frozenset[str] = field(default=frozenset())
    notes: tuple[str, ...] = ()
    """Sentences for the user: what to run next, what was approximated."""


Exporter = Callable[[ExportRequest], ExportBundle]


def exporter_names() -> tuple[str, ...]:
    """Every known ``kind =`` word, built-in ones first."""
    installed = [point.name for point in importlib.metadata.entry_points(group=EXPORTER_GROUP)]
    return (*BUILT_IN_EXPORTERS, *sorted(name for name in installed if name not in BUILT_IN_EXPORTERS))


def exporter_module(kind: str) -> str:
    """The module that exports ``kind``; raises ``KeyError`` when there is none."""
    return _reference(kind).partition(":")[0]


def load_exporter(kind: str) -> Exporter:
    """The function that exports ``kind``; raises ``KeyError`` when there is none."""
    module, _, attribute = _reference(kind).partition(":")
    exporter: Exporter = getattr(importlib.import_module(module), attribute)
    return exporter


def _reference(kind: str) -> str:
    if kind in BUILT_IN_EXPORTERS:
        return BUILT_IN_EXPORTERS[kind]
    for point in importlib.metadata.entry_points(group=EXPORTER_GROUP):
        if point.name == kind:
            return point.value
    raise KeyError(kind)
