"""The report as one HTML page: no network, no other file, nothing that runs but the page's own script.

The content security policy names the digests of the one style sheet and the one script, so that a name of a layer can
never become code. Tables, chart and details are complete without the script; it sorts and switches.
"""

from __future__ import annotations

import base64
import hashlib
import html
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from npudsl.api.report_page.chart import METRICS, bar_chart
from npudsl.artifacts.comparison import ComparisonReport, LayerFigures
from npudsl.artifacts.comparison_text import figure_text, macs_text
from npudsl.artifacts.quant_table import TableLine
from npudsl.artifacts.table_diff import step_text
from npudsl.artifacts.text_fields import number_text

if TYPE_CHECKING:
    from npudsl.api.report import BuildView, LayerDetails, ReportedComparison

HERE = Path(__file__).parent

LAYER_COLUMNS = (
    ("#", True),
    ("layer", False),
    ("type", False),
    ("own dB", True),
    ("own cosine", True),
    ("accumulated dB", True),
    ("cosine", True),
    ("max error", True),
    ("MACs", True),
)


def render_page(view: BuildView, top: int | None = None) -> str:
    """The page; ``top`` is how many layers its tables have, the most suspicious first."""
    style = (HERE / "page.css").read_text(encoding="utf-8")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'"
    body = "\n".join(_body(view, top))
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(view.program)}: report</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n{body}\n<script>{script}</script>\n</body>\n</html>\n"
    )


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _body(view: BuildView, top: int | None) -> Iterator[str]:
    yield f"<h1>{_text(view.program)}</h1>"
    if view.stale:
        yield f'<p class="stale">This is the build before: {_text(view.stale)}</p>'
    for number, comparison in enumerate(view.comparisons):
        yield "<section>"
        yield from _comparison(comparison, number, top)
        yield "</section>"


def _comparison(comparison: ReportedComparison, number: int, top: int | None) -> Iterator[str]:
    report = comparison.report
    title = f"{report.name}: {report.candidate} against {report.reference}"
    yield f"<h2>{_text(title)}</h2>"
    samples = f"{report.samples} samples"
    yield f"<p>{samples}; figures of layers over the first {report.report_samples}.</p>"
    if report.collapse is not None:
        yield f'<p class="fail">{_text(report.collapse.code)}: {_text(report.collapse.message)}</p>'
    if report.verdicts:
        yield _requirements(report)
    yield _outputs(report)
    if report.layers:
        rows = {layer.tensor: f"layer-{number}-{index}" for index, layer in enumerate(report.layers)}
        shown = report.suspects()[:top]
        in_order = [layer for layer in report.layers if layer in shown]
        yield _switch(dict.fromkeys(layer.type for layer in in_order))
        yield f'<div class="scroll">\n{bar_chart(in_order, [rows[layer.tensor] for layer in in_order])}\n</div>'
        yield _layers(comparison, shown, rows)


def _requirements(report: ComparisonReport) -> str:
    rows = []
    for verdict in report.verdicts:
        value, bound = figure_text(verdict.metric, verdict.value, apart_from=verdict.bound)
        word = '<td class="pass">pass</td>' if verdict.met else '<td class="fail">FAIL</td>'
        asked = f"{verdict.metric} {verdict.operator} {bound}"
        rows.append(f"{word}{_cell(asked)}{_cell(value, number=True)}{_cell(verdict.tensor, name=True)}")
    return _table((("", False), ("require", False), ("measured", True), ("on", False)), rows)


def _outputs(report: ComparisonReport) -> str:
    head = (
        ("output", False),
        ("cosine", True),
        ("worst sample", True),
        ("SQNR dB", True),
        ("max error", True),
        ("same best class", True),
    )
    rows = []
    for output in report.outputs:
        figures = output.figures
        cells = [
            f"{figures.cosine:.5f}",
            f"{figures.cosine_min:.5f}",
            f"{figures.sqnr:.1f}",
            f"{figures.max_abs_error:.4g}",
            "" if output.agreement is None else str(output.agreement),
        ]
        rows.append(_cell(output.tensor, name=True) + "".join(_cell(cell, number=True) for cell in cells))
    return _table(head, rows)


def _switch(types: Iterable[str]) -> str:
    """What the colours mean, and buttons that change the chart's metric, hidden until there is a script."""
    buttons = "".join(
        f'<button type="button" data-metric="{name}" aria-pressed="{"true" if name == "own" else "false"}">'
        f"{_text(text)}</button>"
        for name, text in METRICS.items()
    )
    key = " ".join(
        f'<svg class="swatch" width="10" height="10"><rect class="bar {_text(name)}" width="10" height="10"/></svg> '
        f"{_text(name)}"
        for name in types
    )
    return f'<p>{key}. Taller is better. <span class="metrics" hidden>{buttons}</span></p>'


def _layers(comparison: ReportedComparison, layers: Sequence[LayerFigures], rows: dict[str, str]) -> str:
    positions = {layer.tensor: index for index, layer in enumerate(comparison.report.layers, start=1)}
    body = []
    for layer in layers:
        details = comparison.details.get(layer.tensor)
        cells = [
            _cell(str(positions[layer.tensor]), number=True, value=positions[layer.tensor]),
            f'<td data-value="{_text(layer.layer)}">{_named(layer, details)}</td>',
            f'<td data-value="{_text(layer.type)}">{_text(layer.type)}</td>',
            _figure(layer.own.sqnr, ".1f"),
            _figure(layer.own.cosine, ".5f"),
            _figure(layer.entire.sqnr, ".1f"),
            _figure(layer.entire.cosine, ".5f"),
            _figure(layer.entire.max_abs_error, ".4g"),
            _cell(macs_text(layer.macs) if layer.macs else "", number=True, value=layer.macs),
        ]
        body.append((rows[layer.tensor], "".join(cells)))
    head = "".join(_heading(name, number) for name, number in LAYER_COLUMNS)
    lines = "\n".join(f'<tr id="{row}">{cells}</tr>' for row, cells in body)
    return f'<table class="sortable">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>'


def _named(layer: LayerFigures, details: LayerDetails | None) -> str:
    """The layer's name; a click shows how it is quantized and what decided that."""
    name = f'<span class="name">{_text(layer.layer)}</span>'
    if details is None:
        return name
    facts = [("operation", layer.operation), ("tensor", layer.tensor), ("arithmetic", layer.label)]
    for line in details.lines:
        facts += _line_facts(line)
    for rule in details.rules:
        reason = f' because "{rule.because}"' if rule.because else ""
        facts.append(("rule", f"{rule.text}{reason} ({rule.place})"))
    if not details.rules:
        facts.append(("rule", "none: the settings of the variant"))
    items = "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>" for key, value in facts)
    return f"<details><summary>{name}</summary><dl>{items}</dl></details>"


def _line_facts(line: TableLine) -> Iterator[tuple[str, str]]:
    what = "weight" if line.kind == "wgt" else "output"
    scheme = "" if line.scheme == "none" else f" {line.scheme}"
    yield what, f"{line.name}: {line.type}{scheme}, decided by {line.decided_by}"
    if line.low is not None and line.high is not None:
        yield "range", f"{number_text(line.low, 8)} .. {number_text(line.high, 8)} ({line.algorithm})"
    step = step_text(line)
    if step:
        channels = f" over {line.channels} channels" if line.channels is not None else ""
        point = "" if line.zero_point is None else f", zero point {line.zero_point}"
        yield "scale", f"{step}{channels}{point}"


def _figure(value: float, form: str) -> str:
    """A figure; one that is not finite is sorted to its end."""
    order = value if math.isfinite(value) else (math.copysign(1e308, value) if not math.isnan(value) else -1e308)
    return _cell(format(value, form), number=True, value=order)


def _heading(name: str, number: bool) -> str:
    kind = ' class="n"' if number else ""
    return f"<th{kind}>{_text(name)}</th>"


def _cell(text: str, *, number: bool = False, name: bool = False, value: float | None = None) -> str:
    kind = ' class="n"' if number else ' class="name"' if name else ""
    order = "" if value is None else f' data-value="{value!r}"'
    return f"<td{kind}{order}>{_text(text)}</td>"


def _table(head: Sequence[tuple[str, bool]], rows: Sequence[str]) -> str:
    cells = "".join(_heading(name, number) for name, number in head)
    lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"


def _text(text: str) -> str:
    return html.escape(text, quote=True)
