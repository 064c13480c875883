"""A comparison as plain text: requirements first, then outputs, then layers with the largest own error on top."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

from npudsl.artifacts.comparison import (
    CLASS_METRICS,
    ComparisonReport,
    LayerFigures,
    OutputFigures,
    Share,
    Verdict,
)

UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def render_text(report: ComparisonReport, width: int | None = 100, layers: int | None = None) -> str:
    """The report in lines of ``width`` characters where that is possible by shortening names of layers.

    ``width`` None shortens nothing; ``layers`` is how many layers are shown, None all.
    """
    blocks = [[_title(report)], _requirements(report), *_outputs(report, width), _layers(report, width, layers)]
    blocks.append(_fidelity(report))
    blocks.append(_verdict_lines(report))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def figure_text(metric: str, value: float, apart_from: float | None = None) -> tuple[str, str]:
    """A measured value and the bound it is held against as text: more digits where few show no difference."""
    other = value if apart_from is None else apart_from
    for digits in (*range(_usual_digits(metric, value), 17), 17):
        left, right = _number(metric, value, digits), _number(metric, other, digits)
        if metric.startswith("cosine") and left == "1" and value < 1:
            continue  # Only equal vectors are shown as equal.
        if value == other or left != right:
            return left, _shortest(metric, other) if apart_from is not None else right
    return repr(value), repr(other)


def macs_text(macs: int) -> str:
    """Multiply-accumulates with a unit: ``12.4 M``."""
    for size, unit in UNITS:
        if macs >= size:
            return f"{macs / size:.3g} {unit}"
    return str(macs)


def _title(report: ComparisonReport) -> str:
    samples = f"{report.samples} sample{'s' if report.samples != 1 else ''}"
    layers = f" (layers: first {report.report_samples})" if report.layers else ""
    return f"compare {report.name}: {report.candidate} against {report.reference}, {samples}{layers}"


def _requirements(report: ComparisonReport) -> list[str]:
    if not report.verdicts:
        return []
    rows = [_requirement(verdict) for verdict in report.verdicts]
    return ["requirements", *_table(rows, None, left=(0, 1, 3))]


def _requirement(verdict: Verdict) -> list[str]:
    value, bound = figure_text(verdict.metric, verdict.value, apart_from=verdict.bound)
    place = verdict.tensor if verdict.on in {verdict.tensor, "outputs", "all"} else f"{verdict.on} ({verdict.tensor})"
    asked = f"{verdict.metric} {verdict.operator} {bound}" + (" on all" if verdict.on == "all" else "")
    detail = f"on {place}"
    if verdict.worst_sample is not None and not verdict.met:
        detail += f"; worst: sample {verdict.worst_sample}"
        if verdict.worst_value is not None:
            detail += f", {figure_text(verdict.metric, verdict.worst_value)[0]}"
    return ["pass" if verdict.met else "FAIL", asked, value, detail]


def _outputs(report: ComparisonReport, width: int | None) -> list[list[str]]:
    head = ["output", "cosine", "min", "max", "euclidean", "std dev", "max abs", "max rel", "sqnr dB"]
    rows = [head]
    for output in report.outputs:
        figures = output.figures
        rows.append(
            [
                output.tensor,
                f"{figures.cosine:.5f}",
                f"{figures.cosine_min:.5f}",
                f"{figures.cosine_max:.5f}",
                f"{figures.euclidean:.4g}",
                f"{figures.std_dev:.4g}",
                f"{figures.max_abs_error:.4g}",
                f"{figures.max_rel_error:.4g}",
                _decibel(figures.sqnr),
            ]
        )
    return [_table(rows, width), [line for output in report.outputs for line in _classes(output)]]


def _classes(output: OutputFigures) -> list[str]:
    lines = []
    if output.agreement is not None:
        share = output.agreement
        lines.append(f"{output.tensor}: same best class as the reference in {share.hits} of {share.total} ({share})")
    pairs: list[tuple[str, Share | None, Share | None]] = [
        ("top1", output.reference_top1, output.candidate_top1),
        ("top5", output.reference_top5, output.candidate_top5),
    ]
    for name, reference, candidate in pairs:
        if reference is not None and candidate is not None:
            points = 100 * (candidate.hits - reference.hits) / candidate.total
            lines.append(f"{output.tensor}: {name} {reference} -> {candidate} ({points:+.1f} points)")
    return lines


def _layers(report: ComparisonReport, width: int | None, most: int | None) -> list[str]:
    if not report.layers:
        return []
    shown = report.suspects()[:most]
    head = ["layer", "type", "own dB", "own cosine", "dB", "cosine", "min", "max abs", "MACs"]
    names = Counter(layer.layer for layer in report.layers)
    rows = [head, *(_layer_row(layer, alone=names[layer.layer] == 1) for layer in shown)]
    lines = ["layers, largest own error first", *_table(rows, width, left=(0, 1))]
    if len(shown) < len(report.layers):
        lines.append(f"  {len(report.layers) - len(shown)} more layers")
    return lines


def _layer_row(layer: LayerFigures, *, alone: bool) -> list[str]:
    name = layer.layer if alone else f"{layer.layer} -> {layer.tensor}"
    return [
        name,
        layer.type,
        _decibel(layer.own.sqnr),
        f"{layer.own.cosine:.5f}",
        _decibel(layer.entire.sqnr),
        f"{layer.entire.cosine:.5f}",
        f"{layer.entire.cosine_min:.5f}",
        f"{layer.entire.max_abs_error:.4g}",
        macs_text(layer.macs) if layer.macs else "",
    ]


def _fidelity(report: ComparisonReport) -> list[str]:
    total = sum(report.macs_by_label.values())
    if not total:
        return []
    shares = (f"{label} {macs_text(macs)} ({_percent(macs / total)})" for label, macs in report.macs_by_label.items())
    return [f"MACs by how well the arithmetic is known: {', '.join(shares)}"]


def _verdict_lines(report: ComparisonReport) -> list[str]:
    if report.collapse is not None:
        return [f"verdict [{report.collapse.code}]: {report.collapse.message}"]
    worst = min(report.outputs, key=lambda output: output.figures.sqnr, default=None)
    if worst is None:
        return []
    agreement = f", agreement {worst.agreement}" if worst.agreement is not None else ""
    return [f"verdict: outputs follow the reference (lowest SQNR {_decibel(worst.figures.sqnr)} dB{agreement})"]


def _usual_digits(metric: str, value: float) -> int:
    if metric in CLASS_METRICS:
        return 1
    return 4 if abs(value) < 1 or metric != "sqnr" else 3


def _number(metric: str, value: float, digits: int) -> str:
    if not math.isfinite(value):
        return str(value)
    if metric in CLASS_METRICS:
        return f"{100 * value:.{digits}f}%"
    return f"{value:.{digits}g}"


def _shortest(metric: str, value: float) -> str:
    if metric in CLASS_METRICS and math.isfinite(value):
        return f"{round(100 * value, 12):g}%"
    return f"{value:.15g}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if share >= 0.0005 else "<0.1%"


def _decibel(value: float) -> str:
    return f"{value:.1f}"


def _table(rows: Sequence[Sequence[str]], width: int | None, left: Collection[int] = (0,)) -> list[str]:
    """Columns two spaces apart; a first column that would make lines longer than ``width`` is cut in the middle."""
    columns = list(zip(*rows, strict=True))
    sizes = [max(map(len, column)) for column in columns]
    if width is not None:
        sizes[0] = min(sizes[0], max(12, width - 2 - sum(sizes[1:]) - 2 * (len(sizes) - 1)))
    lines = []
    for row in rows:
        cells = [_cut(row[0], sizes[0]), *row[1:]]
        placed = [
            cell.ljust(size) if index in left else cell.rjust(size)
            for index, (cell, size) in enumerate(zip(cells, sizes, strict=True))
        ]
        lines.append(("  " + "  ".join(placed)).rstrip())
    return lines


def _cut(text: str, size: int) -> str:
    if len(text) <= size:
        return text
    tail = (size - 1) * 2 // 3
    return f"{text[: size - 1 - tail]}…{text[-tail:]}"
