"""Export: an integer program as files of somebody else's format, with a golden run to check them by.

Inputs of the step: ``model`` (import) and ``quantized`` (the integer program). The exporter is found by the word behind
``kind =``; its source is part of the key, so the kind of step is made per exporter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.export_bundle import exporter_module, exporter_names
from npudsl.data.preprocess import default_layout, input_record
from npudsl.data.sample import Sample, file_record
from npudsl.diagnostics import Problem
from npudsl.language.program import Input, PathValue, Program, Size
from npudsl.plan.step import Step, StepKind

if TYPE_CHECKING:
    from npudsl.keys import Json

CODE = (
    "npudsl.artifacts.export_bundle",
    "npudsl.artifacts.float_model",
    "npudsl.artifacts.quantized_model",
    "npudsl.data.decode",
    "npudsl.data.formats",
    "npudsl.data.load",
    "npudsl.data.preprocess",
    "npudsl.data.resize",
    "npudsl.data.rows",
    "npudsl.data.sample",
    "npudsl.ir",
    "npudsl.machine",
    "npudsl.native.compiler",
    "npudsl.numerics",
    "npudsl.runtime_c",
    "npudsl.steps.export",
)
"""What every export depends on; ``npudsl.runtime_c`` because its sources are copied into C projects."""


@dataclass(frozen=True)
class ExportConfig:
    """What an export depends on besides its inputs."""

    kind: str
    """The word behind ``kind =``."""
    name: str
    """Name of the model as the user wrote it."""
    options: Mapping[str, Json] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    layout: str = "NCHW"
    """Layout of the inputs that do not say theirs."""
    sample: str | None = None
    """Digest of the sample of the golden run; None: a sample of zeros."""

    def record(self) -> dict[str, Json]:
        return {
            "kind": self.kind,
            "name": self.name,
            "options": dict(self.options),
            "inputs": sorted((input_record(input_) for input_ in self.inputs), key=lambda record: str(record["input"])),
            "layout": self.layout,
            "sample": self.sample,
        }


def config_from(program: Program, kind: str, options: Mapping[str, object], sample: Sample | None) -> ExportConfig:
    """The config of one ``export`` block; ``sample`` is the first of the variant's dataset."""
    plain = {name: option_value(value) for name, value in options.items()}
    layout = default_layout(program.model.format)
    return ExportConfig(
        kind, program.model.name, plain, program.inputs, layout, None if sample is None else sample.digest
    )


def context_from(sample: Sample | None, subject: str) -> dict[str, Any]:
    """The step's context: where the golden sample lies, and the subject of the block. In no key."""
    return {"subject": subject, "files": [] if sample is None else [file_record(file) for file in sample.files]}


def export_step(config: ExportConfig, *, name: str, inputs: Mapping[str, str], context: Mapping[str, Any]) -> Step:
    """The step ``export:<name>``; raises E0211 for an exporter that nobody brings."""
    kind = export_kind(config.kind, f"{context['subject']}.kind")
    return Step(kind, name, config.record(), dict(inputs), context=dict(context))


def export_kind(word: str, subject: str | None = None) -> StepKind:
    """The kind of step that runs the exporter called ``word``. Raises ``Problem`` E0211 for an unknown one."""
    try:
        module = exporter_module(word)
    except KeyError:
        raise Problem(
            "E0211",
            f"`{word}` is not a kind of export here",
            subject=subject,
            helps=(f"known: {', '.join(exporter_names())}", "packages add kinds by the entry point npudsl.exporters"),
        ) from None
    return StepKind(
        name="export",
        version=1,
        run_module="npudsl.steps.export.run",
        code=(*CODE, _exporter_source(module)),
        tools=("numpy", "onnx", "pillow"),
    )


def option_value(value: object) -> Json:
    """An option as JSON: paths as written, sizes as lists, calls as written in the program."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [option_value(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): option_value(item) for name, item in value.items()}
    if isinstance(value, PathValue):
        return value.text
    if isinstance(value, Size):
        return list(value.extents)
    return str(value)


def _exporter_source(module: str) -> str:
    """What holds the exporter's code and its helpers: our room of backends, or the whole package of somebody else."""
    names = module.split(".")
    return ".".join(names[:2]) if names[0] == "npudsl" else names[0]
