"""The kind of step that imports a model: its config and how a program gives it. Light.

The files of the model (it and its external data) are files of the step under the roles ``file:<name relative to the
model's folder>``; ``artifacts.model_formats`` knows who can list them. One part, ``model``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from npudsl.artifacts.model_formats import DeclaredInput
from npudsl.language.program import Program
from npudsl.plan.step import FileInput, Step, StepKind

if TYPE_CHECKING:
    from npudsl.keys import Json

KIND = StepKind(
    name="import",
    version=1,
    run_module="npudsl.steps.import_model.run",
    code=(
        "npudsl.artifacts.float_model",
        "npudsl.artifacts.model_formats",
        "npudsl.backends.onnx_cut",
        "npudsl.backends.onnx_file",
        "npudsl.backends.onnx_graph",
        "npudsl.backends.onnx_reader",
        "npudsl.backends.onnx_upgrade",
        "npudsl.ir",
        "npudsl.steps.import_model",
    ),
    numeric=True,
    tools=("numpy", "onnx", "onnxruntime"),
)

FILE_ROLE = "file:"
"""How the roles of the model's files begin; the rest is the name relative to the model's folder."""


@dataclass(frozen=True)
class ImportConfig:
    """What import depends on besides the files: the format, which file is the model, and where the graph is cut."""

    format: str
    file: str
    """Name of the model file without its folder."""
    inputs: tuple[DeclaredInput, ...] = ()
    outputs: tuple[str, ...] = ()

    def record(self) -> dict[str, Json]:
        return {
            "format": self.format,
            "file": self.file,
            "inputs": [
                {"name": item.name, "shape": list(item.shape) if item.shape is not None else None}
                for item in self.inputs
            ],
            "outputs": list(self.outputs),
        }


def config_from_program(program: Program) -> ImportConfig:
    """The config of the program's ``model``, ``input`` and ``output`` blocks."""
    return ImportConfig(
        format=program.model.format,
        file=PurePosixPath(program.model.file.text.replace("\\", "/")).name,
        inputs=tuple(DeclaredInput(item.name, item.shape) for item in program.inputs),
        outputs=tuple(item.name for item in program.outputs),
    )


def import_step(config: ImportConfig, files: Mapping[str, FileInput]) -> Step:
    """The step. ``files`` has the model and its external data by name relative to the model's folder."""
    return Step(KIND, "", config.record(), files={f"{FILE_ROLE}{name}": file for name, file in files.items()})
