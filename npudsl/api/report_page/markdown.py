"""The report as Markdown: tables that a forge or a wiki shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from npudsl.artifacts.comparison import ComparisonReport
from npudsl.artifacts.comparison_text import figure_text, macs_text
from npudsl.artifacts.text_fields import number_text

if TYPE_CHECKING:
    from npudsl.api.report import BuildView, ReportedComparison

NUMBER = "---:"
TEXT = "---"


def render_markdown(view: BuildView, top: int | None = None) -> str:
    """The whole report; ``top`` is how many layers are shown, the most suspicious first."""
    blocks = [f"# {_plain(view.program)}"]
    if view.stale:
        blocks.append(f"> **Stale:** {_plain(view.stale)}")
    for comparison in view.comparisons:
        blocks += _comparison(comparison, top)
    return "\n\n".join(blocks) + "\n"


def _comparison(comparison: ReportedComparison, top: int | None) -> Iterator[str]:
    report = comparison.report
    yield f"## {_plain(report.name)}: {_plain(report.candidate)} against {_plain(report.reference)}"
    yield f"{report.samples} samples; figures of layers over the first {report.report_samples}."
    if report.verdicts:
        yield _requirements(report)
    yield _outputs(report)
    if report.layers:
        yield _layers(comparison, top)


def _requirements(report: ComparisonReport) -> str:
    rows = []
    for verdict in report.verdicts:
        value, bound = figure_text(verdict.metric, verdict.value, apart_from=verdict.bound)
        asked = f"{verdict.metric} {verdict.operator} {bound}"
        rows.append(["pass" if verdict.met else "**FAIL**", _code(asked), value, _code(verdict.tensor)])
    return _table(("verdict", "require", "measured", "on"), (TEXT, TEXT, NUMBER, TEXT), rows)


def _outputs(report: ComparisonReport) -> str:
    rows = []
    for output in report.outputs:
        figures = output.figures
        agreement = str(output.agreement) if output.agreement is not None else ""
        rows.append(
            [
                _code(output.tensor),
                f"{figures.cosine:.5f}",
                f"{figures.cosine_min:.5f}",
                f"{figures.sqnr:.1f}",
                f"{figures.max_abs_error:.4g}",
                agreement,
            ]
        )
    head = ("output", "cosine", "worst sample", "SQNR dB", "max error", "same best class")
    return _table(head, (TEXT, *[NUMBER] * 5), rows)


def _layers(comparison: ReportedComparison, top: int | None) -> str:
    suspects = comparison.report.suspects()
    rows = []
    for layer in suspects[:top]:
        details = comparison.details.get(layer.tensor)
        line = next((line for line in reversed(details.lines) if line.kind == "act"), None) if details else None
        range_ = ""
        if line is not None and line.low is not None and line.high is not None:
            range_ = f"{number_text(line.low, 6)}..{number_text(line.high, 6)}"
        rows.append(
            [
                _code(layer.layer),
                layer.type,
                f"{layer.own.sqnr:.1f}",
                f"{layer.entire.sqnr:.1f}",
                f"{layer.entire.cosine:.5f}",
                macs_text(layer.macs) if layer.macs else "",
                range_,
                line.decided_by if line is not None else "",
            ]
        )
    head = ("layer", "type", "own dB", "accumulated dB", "cosine", "MACs", "range", "by")
    text = _table(head, (TEXT, TEXT, *[NUMBER] * 4, TEXT, TEXT), rows)
    more = len(suspects) - len(rows)
    return f"Layers, largest own error first:\n\n{text}" + (f"\n\n{more} more." if more else "")


def _table(head: Sequence[str], marks: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))


def _code(text: str) -> str:
    """A code span that may stand in a table."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    mark = "`" * (longest + 1)
    return f"{mark}{' ' * bool(longest)}{text.replace('|', chr(92) + '|')}{' ' * bool(longest)}{mark}"


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)
