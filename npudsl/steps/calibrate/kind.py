"""The kind of step that observes a model on samples: its config and its parts' declaration. Light.

What is observed does not depend on the algorithm that will choose ranges, so changing an algorithm, a type or an
override never runs an inference. Neither does the order in which inputs are declared, or the dataset's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from npudsl.data.preprocess import default_layout, input_record
from npudsl.data.sample import SampleSet
from npudsl.language.program import Input, Program
from npudsl.plan.step import StepKind

if TYPE_CHECKING:
    from npudsl.keys import Json

KIND = StepKind(
    name="calibrate",
    version=1,
    run_module="npudsl.steps.calibrate.run",
    code=(
        "npudsl.steps.calibrate",
        "npudsl.data.decode",
        "npudsl.data.formats",
        "npudsl.data.load",
        "npudsl.data.preprocess",
        "npudsl.data.resize",
        "npudsl.data.rows",
        "npudsl.data.sample",
        "npudsl.artifacts.statistics",
        "npudsl.ir.float_run",
        "npudsl.native.compiler",
        "npudsl.native.statistics",
        "npudsl.numerics.pattern_counters",
        "npudsl.numerics.ranges_counters",
    ),
    numeric=True,
    tools=("numpy", "onnx", "onnxruntime", "pillow"),
)

SHARD_SAMPLES = 16
"""Samples of one part."""


@dataclass(frozen=True)
class CalibrateConfig:
    """What calibration depends on beside the model: how inputs are made, default layout, sample digests in order."""

    inputs: tuple[Input, ...]
    layout: str
    samples: tuple[str, ...]

    def record(self) -> dict[str, Json]:
        records = sorted((input_record(input_) for input_ in self.inputs), key=lambda record: str(record["input"]))
        return {"inputs": records, "layout": self.layout, "samples": list(self.samples)}


def config_from(program: Program, samples: SampleSet) -> CalibrateConfig:
    """The config that observes ``program``'s model on a resolved dataset."""
    digests = tuple(sample.digest for sample in samples.samples)
    return CalibrateConfig(program.inputs, default_layout(program.model.format), digests)


def context_from(samples: SampleSet) -> dict[str, Any]:
    """The step's context: where the samples lie, and which block a problem is about. In no key."""
    return {"subject": f"dataset[{samples.name}]", "files": samples.context()}


def shards(samples: Sequence[str], previous: Sequence[Any]) -> list[list[str]]:
    """Which samples share a part: earlier shards whose samples are all still wanted, then the rest in order by 16.

    A sample that occurs twice is counted twice. So adding images makes parts of these images only. ``previous`` are
    part records of the last build, perhaps of another version of the step: what is no shard is passed over.
    """
    wanted: dict[str, int] = {}
    for digest in samples:
        wanted[digest] = wanted.get(digest, 0) + 1
    kept = []
    for record in previous:
        shard = list(record.get("samples", []))
        if shard and all(wanted.get(digest, 0) >= shard.count(digest) for digest in shard):
            kept.append(shard)
            for digest in shard:
                wanted[digest] -= 1
    rest = []
    for digest in samples:
        if wanted[digest]:
            wanted[digest] -= 1
            rest.append(digest)
    return kept + [rest[start : start + SHARD_SAMPLES] for start in range(0, len(rest), SHARD_SAMPLES)]
