"""Quantize: from a float model, its statistics and the rules of a variant to an integer program and its table.

Inputs of the step: ``model`` (import), ``statistics`` (calibrate; absent when every range is fixed by rules), and the
optional file ``table``, the committed ``.quant`` of the variant, whose numbers are kept where nothing really changed.
In a clone without the calibration data there is the file ``ranges`` instead of both: the same table, whose ranges are
taken as they are. The result is the same to the byte.

One part per layer that has something of its own to compute: the ranges of its outputs and the codes of its weights. A
part's record holds the effective settings of that layer only, and its inputs are the statistics and constants that it
reads, so a rule on one layer changes the key of one part. The join puts the integer program together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from npudsl.artifacts.quant_table import DIGEST_DIGITS
from npudsl.keys import digest_record
from npudsl.plan.step import FileInput, Step, StepKind

if TYPE_CHECKING:
    from npudsl.keys import Json

KIND = StepKind(
    name="quantize",
    version=1,
    run_module="npudsl.steps.quantize.run",
    code=(
        "npudsl.artifacts.float_model",
        "npudsl.artifacts.quant_table",
        "npudsl.artifacts.quantized_model",
        "npudsl.artifacts.statistics",
        "npudsl.artifacts.text_fields",
        "npudsl.ir.graph",
        "npudsl.ir.groups",
        "npudsl.language.program",
        "npudsl.language.resolve",
        "npudsl.machine.bounds",
        "npudsl.machine.lowering",
        "npudsl.machine.pooling",
        "npudsl.machine.resampling",
        "npudsl.machine.tables",
        "npudsl.numerics",
        "npudsl.steps.quantize",
    ),
    numeric=True,
    tools=("numpy",),
    predict="npudsl.steps.quantize.kind:predict",
)

TABLE_ROLE = "table"
"""Role of the committed ``.quant`` among the step's files."""

CHOICE_ROLE = "choice"
"""Input of a variant with ``hybrid``: the rank step, which chose layers for a wider type."""

CHOICE_FILE = "choice.json"
"""What a rank step chose: ``type`` and ``layers``."""

RANGES_ROLE = "ranges"
"""Role of a committed ``.quant`` that stands for the statistics: they were made of data that is not here."""


@dataclass(frozen=True)
class QuantizeConfig:
    """What quantization depends on besides model and statistics."""

    variant: Json
    """The variant as ``npudsl.language.resolve.quantize_record`` writes it."""
    profile: str = "exact"
    """Arithmetic profile of the program (docs/numerics.md)."""
    saturation: str = "full"
    """Codes of dynamic fixed point: the ``full`` range, or ``symmetric`` without the lowest code."""

    def record(self) -> dict[str, Json]:
        return {"variant": self.variant, "profile": self.profile, "saturation": self.saturation}


def quantize_step(
    config: QuantizeConfig,
    *,
    variant: str,
    inputs: Mapping[str, str],
    table: FileInput | None = None,
    ranges_from_table: bool = False,
    kind: StepKind | None = None,
) -> Step:
    """The step ``quantize:<variant>``; ``inputs`` maps ``model`` and ``statistics`` to step ids.

    ``kind`` is another name for the same work, where its program is not the variant's last word.
    """
    files = {} if table is None else {RANGES_ROLE if ranges_from_table else TABLE_ROLE: table}
    return Step(kind or KIND, variant, config.record(), dict(inputs), files)


def predict(parts: Sequence[Mapping[str, Any]], layers: Iterable[str]) -> tuple[str, ...]:
    """Which parts of the last run will run when these layers change: those that cover one of them."""
    changed = set(layers)
    return tuple(str(part["name"]) for part in parts if not changed.isdisjoint(part["layers"]))


def settings_digest(record: Json) -> str:
    """The header's digest of ``QuantizeConfig.record``."""
    return digest_record(record)[:DIGEST_DIGITS]


def calib_digest(samples: Sequence[str] | None) -> str:
    """The header's digest of the samples that ranges were observed on; ``-`` for none."""
    return "-" if samples is None else digest_record(list(samples))[:DIGEST_DIGITS]
