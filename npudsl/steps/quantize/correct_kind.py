"""The corrected quantize step: an integer program whose weights and biases were fitted to what samples make of it.

It is ``quantize:<variant>`` of a variant with ``weight_correction`` or ``mle``; the program that it starts from comes
from ``draft:<variant>``, the plain quantize step under another name. Inputs: ``model`` and ``draft``.

Parts: ``means/<n>``, the float model on some samples, and ``segment/<n>``, which runs the layers of one segment in
order on codes and corrects each before the next one reads it. A segment reads the codes that the segment before it
made, its own layers and the float means of its own outputs: a rule on one layer runs its segment and those behind it.
What a segment does depends on no other variant's names, so variants that begin alike share their first segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from npudsl.data.preprocess import default_layout, input_record
from npudsl.data.sample import SampleSet
from npudsl.language.program import Input, Program, Quantize
from npudsl.plan.step import Step, StepKind
from npudsl.steps.quantize.kind import KIND, QuantizeConfig

if TYPE_CHECKING:
    from npudsl.keys import Json

DRAFT = replace(KIND, name="draft")
"""The plain quantize step where its program is not the variant's last word."""

CORRECTED = replace(
    KIND,
    run_module="npudsl.steps.quantize.correct_run",
    code=(
        *KIND.code,
        "npudsl.data.decode",
        "npudsl.data.formats",
        "npudsl.data.load",
        "npudsl.data.preprocess",
        "npudsl.data.resize",
        "npudsl.data.rows",
        "npudsl.data.sample",
        "npudsl.ir.float_run",
        "npudsl.machine",
        "npudsl.runtime_c",
    ),
    tools=("numpy", "onnx", "onnxruntime", "pillow"),
    predict="npudsl.steps.quantize.correct_kind:predict",
)

CORRECTION_SAMPLES = 32
"""So many samples of the dataset are looked at, evenly spread over it."""


@dataclass(frozen=True)
class CorrectConfig:
    """What a corrected program depends on besides model and draft. ``samples`` are digests in order, at least one."""

    quantize: QuantizeConfig
    inputs: tuple[Input, ...]
    layout: str
    """Layout of the inputs that do not say theirs."""
    samples: tuple[str, ...]
    rounding: bool = False
    """Also choose ranges and rounding of the weights by the layer's output (``mle``)."""

    def record(self) -> dict[str, Json]:
        records = sorted((input_record(input_) for input_ in self.inputs), key=lambda record: str(record["input"]))
        correction: dict[str, Json] = {
            "inputs": records,
            "layout": self.layout,
            "samples": list(self.samples),
            "rounding": self.rounding,
        }
        return {**self.quantize.record(), "correction": correction}


def corrected_step(
    program: Program,
    config: QuantizeConfig,
    *,
    kind: StepKind,
    variant: Quantize,
    samples: SampleSet,
    inputs: Mapping[str, str],
) -> Step:
    """The step ``<kind>:<variant>``; ``inputs`` maps ``model`` and ``draft`` to step ids."""
    chosen = replace(samples, samples=spread(samples.samples, CORRECTION_SAMPLES))
    correct = CorrectConfig(
        config,
        program.inputs,
        default_layout(program.model.format),
        tuple(sample.digest for sample in chosen.samples),
        rounding=bool(variant.settings.get("mle")),
    )
    context: dict[str, Any] = {"subject": f"dataset[{samples.name}]", "files": chosen.context()}
    return Step(kind, variant.name, correct.record(), dict(inputs), context=context)


def spread(items: Sequence[Any], count: int) -> tuple[Any, ...]:
    """At most ``count`` of ``items``, evenly spread from the first on, in order."""
    if len(items) <= count:
        return tuple(items)
    return tuple(items[index * len(items) // count] for index in range(count))


def predict(parts: Sequence[Mapping[str, Any]], layers: Sequence[str]) -> tuple[str, ...]:
    """Which parts of the last run will run when these layers change: their segments and what is behind those."""
    changed = set(layers)
    differing: set[str] = set()
    running = []
    for part in parts:
        record = part["record"]
        if record.get("mode") != "segment":
            continue
        if not changed.isdisjoint(part["layers"]) or not differing.isdisjoint(record["reads"]):
            running.append(str(part["name"]))
            differing.update(record["makes"])
    return tuple(running)
