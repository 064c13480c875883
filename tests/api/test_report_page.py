"""The page of a report and drawings of graphs: names of layers never become markup."""

from __future__ import annotations

import re

from npudsl.api.explanations.decisions import RuleView
from npudsl.api.graph import Box, BoxGraph
from npudsl.api.graph_text import render_dot, render_mermaid, render_text
from npudsl.api.report import BuildView, LayerDetails, ReportedComparison
from npudsl.api.report_page.chart import bar_values
from npudsl.api.report_page.markdown import render_markdown
from npudsl.api.report_page.page import render_page
from npudsl.artifacts.comparison import ComparisonReport, Figures, LayerFigures, OutputFigures
from npudsl.artifacts.quant_table import TableLine

EVIL = "</script><img src=x onerror=alert(1)>`|\"'&"


def figures(sqnr: float = 30.0, cosine: float = 0.999) -> Figures:
    return Figures(4, cosine, cosine, cosine, 0.1, 0.1, 0.5, 0.1, sqnr, 1)


def view(name: str, **changes: float) -> BuildView:
    layer = LayerFigures(name, name, "conv", "u8", "exact", 1000, figures(**changes), figures(**changes))
    report = ComparisonReport("accept", "float", "u8", 4, 4, (OutputFigures(name, figures(), (0.999,)),), (layer,))
    line = TableLine("act", name, "u8", "asym", 0.0, 6.0, 0.0235294, 0)
    details = LayerDetails((line,), (RuleView(f'layer "{name}" type=u8', "net.npu:3:9", name),))
    return BuildView(name, (ReportedComparison(report, {name: details}),), stale=name)


def test_a_page_writes_names_as_text():
    text = render_page(view(EVIL))

    assert text.count("<script>") == text.count("</script>") == 1
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_markdown_writes_names_as_text():
    rows = [line for line in render_markdown(view(EVIL)).splitlines() if line.startswith("| `")]

    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) in (7, 9) for row in rows)


def test_figures_without_end_have_a_place_in_the_chart_and_in_the_order():
    assert bar_values(view("a", sqnr=float("inf"), cosine=1.0).comparisons[0].report.layers[0]) == {
        "own": 100.0,
        "entire": 100.0,
        "cosine": 8.0,
    }
    assert bar_values(view("a", sqnr=float("nan")).comparisons[0].report.layers[0])["own"] == 0.0
    text = render_page(view("a", sqnr=float("inf")))
    assert 'data-value="1e+308">inf<' in text


def test_graphs_quote_names():
    graph = BoxGraph("net", (Box(EVIL, "Conv", "1x2", "u8"), Box("b", "Relu")), ((EVIL, "b", "t"),))

    dot, mermaid = render_dot(graph), render_mermaid(graph)

    assert '|\\"\'&" -> "b";' in dot
    assert re.fullmatch(r'  n0\["[A-Za-z0-9#; _.:/+*=,-]*<br/>Conv 1x2 u8"\]:::u8', mermaid.splitlines()[1])
    assert render_text(graph).splitlines()[1].startswith("b")
