"""A bar chart of the layers as SVG: one bar each, in graph order, drawn for one metric and able to change to others.

The height of a bar is how good the layer is: decibels as they are, cosine as the number of its nines (0.999 is 3),
because bars of cosines would all look the same. Heights of the other metrics stand in ``data-`` attributes; without a
script the first metric stays.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from npudsl.artifacts.comparison import LayerFigures

METRICS = {
    "own": "own error, dB",
    "entire": "accumulated error, dB",
    "cosine": "cosine, as its number of nines",
}
"""Word in attributes to what it is called."""

FULL = {"own": 100.0, "entire": 100.0, "cosine": 8.0}
"""The value of the tallest bar; what is better is drawn as tall."""

HEIGHT = 180
BAR = 14
GAP = 4
LEFT = 40
TICKS = 4


def bar_values(layer: LayerFigures) -> dict[str, float]:
    """The value of each metric, clipped to what can be drawn; what is not a number is 0."""
    nines = -math.log10(max(1e-12, 1.0 - layer.entire.cosine)) if layer.entire.cosine < 1 else math.inf
    values = {"own": layer.own.sqnr, "entire": layer.entire.sqnr, "cosine": nines}
    return {name: _clipped(value, FULL[name]) for name, value in values.items()}


def bar_chart(layers: Sequence[LayerFigures], rows: Sequence[str]) -> str:
    """The chart; ``rows`` are the ids of the table rows that bars lead to."""
    width = LEFT + len(layers) * (BAR + GAP) + GAP
    lines = [
        f'<svg class="chart" viewBox="0 0 {width} {HEIGHT + 24}" width="{width}" height="{HEIGHT + 24}" role="img" '
        f'aria-label="{METRICS["own"]} of every layer in graph order">'
    ]
    for tick in range(TICKS + 1):
        y = 10 + HEIGHT - HEIGHT * tick / TICKS
        marks = " ".join(f'data-{name}="{full * tick / TICKS:g}"' for name, full in FULL.items())
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{width}" y1="{y:g}" y2="{y:g}"/>')
        lines.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end" {marks}>'
            f"{FULL['own'] * tick / TICKS:g}</text>"
        )
    for index, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        lines.append(_bar(index, layer, row))
    return "\n".join([*lines, "</svg>"])


def _bar(index: int, layer: LayerFigures, row: str) -> str:
    heights = {name: HEIGHT * value / FULL[name] for name, value in bar_values(layer).items()}
    height = heights["own"]
    title = f"{layer.layer} ({layer.type}): own {layer.own.sqnr:.1f} dB, accumulated {layer.entire.sqnr:.1f} dB"
    attributes = " ".join(f'data-{name}="{value:.2f}"' for name, value in heights.items())
    return (
        f'<a href="#{row}"><rect class="bar {html.escape(layer.type)}" x="{LEFT + GAP + index * (BAR + GAP)}" '
        f'y="{10 + HEIGHT - height:.2f}" width="{BAR}" height="{max(height, 1):.2f}" {attributes}>'
        f"<title>{html.escape(title)}</title></rect></a>"
    )


def _clipped(value: float, full: float) -> float:
    return 0.0 if math.isnan(value) else min(max(value, 0.0), full)
