"""``simulate`` and ``compare`` blocks."""

from __future__ import annotations

from typing import cast

from npudsl.diagnostics import Label
from npudsl.language.assemble.ledger import Ledger
from npudsl.language.bodies import Body, RuleLine
from npudsl.language.program import Compare, Dataset, Requirement, Simulate
from npudsl.language.schema.judge import LABEL_METRICS, METRICS, PERCENT_METRICS
from npudsl.language.schema.types import Percentage, Real, Use
from npudsl.language.values import Refused


def simulate(body: Body, ledger: Ledger, variants: list[str]) -> Simulate | None:
    ledger.block(f"simulate[{body.label}]", body)
    of = cast("tuple[str, ...] | None", body.value("of"))
    if of is None:
        of = _only_variant(body, ledger, variants)
    data = body.value("data")
    if of is None or not isinstance(data, str):
        return None
    dump = body.entries["dump"].value if body.has("dump") else ("outputs",)
    return Simulate(body.label, of, data, cast("int | None", body.value("samples")), cast("tuple[str, ...]", dump))


def _only_variant(body: Body, ledger: Ledger, variants: list[str]) -> tuple[str, ...] | None:
    if len(variants) == 1:
        ledger.defaults.add(f"simulate[{body.label}].of")
        return (variants[0],)
    if body.complete and not body.known("of"):
        why = f"there are {len(variants)} variants" if variants else "there is no `quantize` block"
        help_text = f"write `of = {variants[0]}`" if variants else "write `of = float`"
        ledger.error("E0205", f"simulate `{body.label}` needs `of`: {why}", body.span, help_text)
    return None


def compare(body: Body, ledger: Ledger, base: Use, goldens: list[str]) -> Compare | None:
    subject = f"compare[{body.label}]"
    ledger.block(subject, body)
    reference, candidate = body.value("reference"), body.value("candidate")
    requires = _requires(body, subject, ledger, base)
    if not isinstance(reference, str) or not isinstance(candidate, str):
        return None
    if reference in goldens:
        ledger.error(
            "E0208",
            "comparing with recorded values is not available yet",
            body.entries["reference"].span,
            "write `reference = float`; board dumps can be compared with the export's golden outputs",
        )
        return None
    if reference == candidate:
        others = (Label(body.entries["reference"].span, "the reference", primary=False),)
        message = f"`{candidate}` is compared with itself"
        ledger.error("E0206", message, body.entries["candidate"].span, "write `reference = float`", others=others)
    if body.complete and not body.known("data"):
        ledger.error("E0205", f"compare `{body.label}` needs `data`", body.span, "name a dataset: `data = holdout`")
    metrics = body.entries["metrics"].value if body.has("metrics") else ()
    return Compare(
        body.label,
        reference,
        candidate,
        cast("str | None", body.value("data")),
        cast("int | None", body.value("samples")),
        cast("tuple[str, ...]", metrics),
        requires,
    )


def _requires(body: Body, subject: str, ledger: Ledger, base: Use) -> tuple[Requirement, ...]:
    requires: list[Requirement] = []
    for line in body.rules:
        try:
            requirement = _requirement(line, base)
        except Refused as refused:
            ledger.problems.append(refused.diagnostic)
            continue
        if requirement is None:
            message = "`require` needs a condition"
            ledger.error("E0205", message, line.line, f"for example `{line.form.example}`")
            continue
        ledger.origins[f"{subject}.require[{len(requires)}]"] = line.span
        requires.append(requirement)
    return tuple(requires)


def _requirement(line: RuleLine, base: Use) -> Requirement | None:
    condition = line.condition
    if condition is None:
        return None
    METRICS.check(condition.name, condition.name_span)
    percent = condition.name in PERCENT_METRICS
    use = Use(condition.name, base.base)
    kind = Percentage(above=-100.001, example="99%") if percent else Real()
    value = kind.convert(condition.value, use) if not _is_zero(condition.value.value) else 0.0
    on = line.entries["on"].value if "on" in line.entries else "outputs"
    return Requirement(
        condition.name, condition.operator, cast(float, value), cast(str, on), percent, because=line.because
    )


def _is_zero(value: object) -> bool:
    return getattr(value, "value", None) == 0 and getattr(value, "unit", "") is None


def check_labels(compare_block: Compare, body: Body, datasets: dict[str, Dataset], ledger: Ledger) -> None:
    """Metrics that count right answers need labels."""
    dataset = datasets.get(compare_block.data or "")
    if dataset is None or dataset.labels is not None:
        return
    help_text = f'write `labels = true` or `labels = "labels.txt"` in dataset `{dataset.name}`'
    for line in body.rules:
        if line.condition is not None and line.condition.name in LABEL_METRICS:
            message = f"`{line.condition.name}` needs labels, and dataset `{dataset.name}` has none"
            ledger.error("E0205", message, line.condition.name_span, help_text)
    for metric in compare_block.metrics:
        if metric in LABEL_METRICS:
            message = f"`{metric}` needs labels, and dataset `{dataset.name}` has none"
            ledger.error("E0205", message, body.entries["metrics"].span, help_text)
