"""Simulate: run a variant over a dataset; ``float`` is the unquantized model.

Inputs of the step: ``model`` (import); for a quantized variant also ``quantized`` (its integer program) and
``reference`` (the float simulation of the same samples). Parts of the float variant are chunks of samples. Parts of a
quantized one are ``entire/<segment>/<chunk>`` (a segment on what the segments before it made) and, for the report's
chunks, ``single/<segment>/<chunk>`` (every layer on its own float input). A layer that changed runs its segment, and
what is behind it for as long as values differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from npudsl.data.preprocess import default_layout, input_record
from npudsl.data.sample import SampleSet
from npudsl.language.program import Input, Program
from npudsl.plan.step import Step, StepKind

if TYPE_CHECKING:
    from npudsl.keys import Json

FLOAT = "float"
"""The reserved variant name of the unquantized model."""

REPORT_SAMPLES = 16
"""So many first samples get figures for every layer unless the program says otherwise."""

KIND = StepKind(
    name="simulate",
    version=1,
    run_module="npudsl.steps.simulate.run",
    code=(
        "npudsl.artifacts.float_model",
        "npudsl.artifacts.quantized_model",
        "npudsl.artifacts.trace",
        "npudsl.data.decode",
        "npudsl.data.formats",
        "npudsl.data.load",
        "npudsl.data.preprocess",
        "npudsl.data.resize",
        "npudsl.data.rows",
        "npudsl.data.sample",
        "npudsl.ir.float_run",
        "npudsl.ir.graph",
        "npudsl.ir.groups",
        "npudsl.machine",
        "npudsl.native.compiler",
        "npudsl.numerics",
        "npudsl.runtime_c",
        "npudsl.steps.simulate",
    ),
    numeric=True,
    tools=("numpy", "onnx", "onnxruntime", "pillow"),
    predict="npudsl.steps.simulate.kind:predict",
)


@dataclass(frozen=True)
class SimulateConfig:
    """What a simulation depends on besides the model. ``samples`` are digests in dataset order, at least one."""

    variant: str
    inputs: tuple[Input, ...]
    layout: str
    """Layout of the inputs that do not say theirs."""
    samples: tuple[str, ...]
    report_samples: int = REPORT_SAMPLES
    dump: tuple[str, ...] = ("outputs",)
    """Values to keep besides the outputs: ``inputs``, ``outputs``, ``all``, layer or tensor names."""
    activation_bytes: int | None = None
    """Float activations of the report's samples may take this much; where they would take more, fewer are reported."""

    def record(self) -> dict[str, Json]:
        return {
            "variant": self.variant,
            "inputs": sorted((input_record(input_) for input_ in self.inputs), key=lambda record: str(record["input"])),
            "layout": self.layout,
            "samples": list(self.samples),
            "report_samples": self.report_samples,
            "activation_bytes": self.activation_bytes,
            "dump": list(self.dump),
        }


def config_from(
    program: Program,
    samples: SampleSet,
    variant: str,
    dump: Iterable[str] = ("outputs",),
    *,
    activation_bytes: int | None = None,
) -> SimulateConfig:
    """The config that runs ``variant`` (or ``float``) of ``program`` over a resolved dataset."""
    digests = tuple(sample.digest for sample in samples.samples)
    layout = default_layout(program.model.format)
    kept = tuple(dict.fromkeys(dump))
    return SimulateConfig(variant, program.inputs, layout, digests, activation_bytes=activation_bytes, dump=kept)


def context_from(samples: SampleSet, block: str | None = None) -> dict[str, Any]:
    """The step's context: where the samples lie, and what problems are about. In no key.

    ``block`` is the subject of the ``simulate`` block that asked for dumps.
    """
    dump = None if block is None else f"{block}.dump"
    return {"subject": f"dataset[{samples.name}]", "dump": dump, "files": samples.context()}


def simulate_step(
    config: SimulateConfig, *, dataset: str, inputs: Mapping[str, str], context: Mapping[str, Any]
) -> Step:
    """The step ``simulate:<variant>/<dataset>``; ``inputs`` maps the roles of the module docstring to step ids."""
    return Step(KIND, f"{config.variant}/{dataset}", config.record(), dict(inputs), context=dict(context))


def predict(parts: Sequence[Mapping[str, Any]], layers: Iterable[str]) -> tuple[str, ...]:
    """Which parts of the last run will run when these layers change: those that hold one, and all behind those.

    ``parts`` have ``name``, ``layers`` and ``record``. It is an upper bound: where a changed layer makes the values it
    made before, what is behind it does not run.
    """
    changed = set(layers)
    running: dict[str, bool] = {}
    differing: dict[str, set[str]] = {}
    for part in parts:
        mode, _, place = str(part["name"]).partition("/")
        chunk = place.rpartition("/")[2]
        runs = not changed.isdisjoint(part["layers"])
        if mode == "entire":
            upstream = differing.setdefault(chunk, set())
            runs = runs or not upstream.isdisjoint(part["record"]["inputs"])
            if runs:
                upstream.update(part["record"]["outputs"])
        running[str(part["name"])] = runs
    return tuple(name for name, runs in running.items() if runs)
