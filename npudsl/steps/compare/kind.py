"""Compare: two simulations of the same samples, figures for outputs and layers, requirements judged.

Inputs of the step: ``reference`` and ``candidate`` (traces). One part. The step never fails on an unmet requirement:
the verdict is its value, so it is cached like any other; who builds turns verdicts into E0701 with
``requirement_diagnostics``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from npudsl.artifacts.comparison import LABEL_METRICS, REFUTATIONS, ComparisonReport, Verdict
from npudsl.artifacts.comparison_text import figure_text
from npudsl.diagnostics import Diagnostic, UserError
from npudsl.language.program import Requirement
from npudsl.plan.step import Step, StepKind

if TYPE_CHECKING:
    from npudsl.keys import Json

KIND = StepKind(
    name="compare",
    version=1,
    run_module="npudsl.steps.compare.run",
    code=(
        "npudsl.artifacts.comparison",
        "npudsl.artifacts.trace",
        "npudsl.numerics.affine",
        "npudsl.numerics.metrics",
        "npudsl.numerics.types",
        "npudsl.steps.compare",
    ),
    numeric=True,
    tools=("numpy",),
)


@dataclass(frozen=True)
class CompareConfig:
    """What a comparison depends on besides the two traces. Names are those that reports and problems show."""

    name: str
    reference: str
    candidate: str
    metrics: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()
    samples: int | None = None
    """Compare the first so many samples; None: all that were simulated."""
    labels: tuple[int | None, ...] | None = None
    """Class of each sample in dataset order, offset applied; None: the dataset has no labels."""

    def record(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "reference": self.reference,
            "candidate": self.candidate,
            "metrics": list(self.metrics),
            "requires": [
                {
                    "metric": require.metric,
                    "operator": require.operator,
                    "value": require.value,
                    "on": require.on,
                    "percent": require.percent,
                }
                for require in self.requires
            ],
            "samples": self.samples,
            "labels": None if self.labels is None else list(self.labels),
        }


def compare_step(config: CompareConfig, *, dataset: str | None, inputs: Mapping[str, str]) -> Step:
    """The step ``compare:<name>``; raises E0205 for metrics that need labels when ``dataset`` has none."""
    missing = label_problems(config, dataset)
    if missing:
        raise UserError(missing)
    return Step(KIND, config.name, config.record(), dict(inputs), context={"subject": compare_subject(config.name)})


def label_problems(config: CompareConfig, dataset: str | None) -> list[Diagnostic]:
    """One E0205 for every metric or requirement that needs labels which are not there."""
    if any(label is not None for label in (config.labels or ())[: config.samples]):
        return []
    asked = [(f"{compare_subject(config.name)}.metrics", metric) for metric in config.metrics]
    asked += [(_require_subject(config.name, index), item.metric) for index, item in enumerate(config.requires)]
    data = f"dataset `{dataset}`" if dataset else "the data"
    return [
        Diagnostic(
            "E0205",
            f"`{metric}` needs labels, and {data} has none for these samples",
            subject=subject,
            helps=(
                f'give {data} labels: `labels = true` (last column of the list) or `labels = "labels.txt"`',
                "`top1_agreement` compares with the reference and needs no labels",
            ),
        )
        for subject, metric in asked
        if metric in LABEL_METRICS
    ]


def requirement_diagnostics(report: ComparisonReport, shown: Sequence[str] = ()) -> list[Diagnostic]:
    """One E0701 for every requirement that is not met; ``shown`` may name the samples as the user wrote them."""
    return [_unmet(report, index, verdict, shown) for index, verdict in enumerate(report.verdicts) if not verdict.met]


def collapse_diagnostic(report: ComparisonReport, subject: str | None = None) -> Diagnostic | None:
    """The collapse verdict, about ``subject`` instead of the variant's block when one is given."""
    if report.collapse is None or subject is None:
        return report.collapse
    return replace(report.collapse, subject=subject)


def compare_subject(name: str) -> str:
    """Subject name of a ``compare`` block."""
    return f"compare[{name}]"


def _unmet(report: ComparisonReport, index: int, verdict: Verdict, shown: Sequence[str]) -> Diagnostic:
    value, bound = figure_text(verdict.metric, verdict.value, apart_from=verdict.bound)
    message = f"{verdict.metric} {value} {REFUTATIONS[verdict.operator]} {bound} on {verdict.tensor}"
    message += f" ({verdict.samples} sample{'s' if verdict.samples != 1 else ''})"
    notes = []
    if verdict.worst_sample is not None:
        message += f"; worst: sample {verdict.worst_sample}"
        if verdict.worst_value is not None:
            message += f", {figure_text(verdict.metric, verdict.worst_value)[0]}"
        if verdict.worst_sample <= len(shown):
            notes.append(f"sample {verdict.worst_sample} is {shown[verdict.worst_sample - 1]}")
    return Diagnostic(
        "E0701", message, subject=_require_subject(report.name, index), notes=tuple(notes), helps=_advice(report)
    )


def _advice(report: ComparisonReport) -> tuple[str, ...]:
    suspects = [layer.layer for layer in report.suspects()[:3]]
    if not suspects:
        return ()
    return (f"layers with the largest own error: {', '.join(suspects)}",)


def _require_subject(name: str, index: int) -> str:
    return f"{compare_subject(name)}.require[{index}]"
