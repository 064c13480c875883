"""The comparison report as a value: JSON and plain text."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from npudsl.artifacts.comparison import (
    ComparisonReport,
    Figures,
    LayerFigures,
    OutputFigures,
    Share,
    Verdict,
)
from npudsl.artifacts.comparison_text import figure_text, macs_text, render_text
from npudsl.diagnostics import Diagnostic

GOOD = Figures(200, 0.99912, 0.99, 1.0, 0.5, 0.01, 0.25, 0.02, 33.25, 17)
BAD = Figures(200, 0.8, 0.1, 0.9, 5.0, 1.0, 2.5, 0.2, 1.5, 3)
PERFECT = Figures(16, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, math.inf, 1)

REPORT = ComparisonReport(
    name="accept",
    reference="float",
    candidate="u8",
    samples=200,
    report_samples=16,
    outputs=(
        OutputFigures(
            "prob",
            GOOD,
            (0.99, 1.0),
            Share(178, 200),
            Share(150, 200),
            Share(147, 200),
            Share(180, 200),
            Share(180, 200),
        ),
    ),
    layers=(
        LayerFigures("conv1", "conv1/out", "conv", "u8", "exact", 12_400_000, GOOD, GOOD),
        LayerFigures("conv2", "conv2", "conv", "i16", "assumed", 900, GOOD, BAD),
        LayerFigures("flat", "flat", "reshape", "u8", "exact", 0, GOOD, PERFECT),
    ),
    macs_by_label={"exact": 12_400_000, "assumed": 900},
    metrics=("cosine",),
    verdicts=(
        Verdict("cosine", ">=", 0.9995, False, "outputs", False, 0.99912, "prob", 200, 17, 0.99),
        Verdict("top1_agreement", ">=", 0.885, True, "outputs", True, 0.89, "prob", 200, 2),
    ),
)


TEXT = """\
compare accept: u8 against float, 200 samples (layers: first 16)

requirements
  FAIL  cosine >= 0.9995         0.9991  on prob; worst: sample 17, 0.99
  pass  top1_agreement >= 88.5%   89.0%  on prob

  output   cosine      min      max  euclidean  std dev  max abs  max rel  sqnr dB
  prob    0.99912  0.99000  1.00000        0.5     0.01     0.25     0.02     33.2

prob: same best class as the reference in 178 of 200 (89.0%)
prob: top1 75.0% -> 73.5% (-1.5 points)
prob: top5 90.0% -> 90.0% (+0.0 points)

layers, largest own error first
  layer  type  own dB  own cosine    dB   cosine      min  max abs    MACs
  conv2  i16      1.5     0.80000  33.2  0.99912  0.99000     0.25     900
  conv1  u8      33.2     0.99912  33.2  0.99912  0.99000     0.25  12.4 M
  flat   u8       inf     1.00000  33.2  0.99912  0.99000     0.25

MACs by how well the arithmetic is known: exact 12.4 M (100.0%), assumed 900 (<0.1%)

verdict: outputs follow the reference (lowest SQNR 33.2 dB, agreement 89.0%)
"""


def through_json(report):
    return ComparisonReport.from_record(json.loads(json.dumps(report.record(), allow_nan=False)))


def test_a_report_survives_json():
    assert through_json(REPORT) == REPORT


def test_what_json_cannot_say_survives_too():
    nan = replace(GOOD, sqnr=-math.inf, cosine=math.nan)
    report = replace(REPORT, outputs=(replace(REPORT.outputs[0], figures=nan, cosines=(math.nan,)),))

    figures = through_json(report).outputs[0].figures

    assert figures.sqnr == -math.inf
    assert math.isnan(figures.cosine)


def test_the_collapse_verdict_survives_json():
    collapse = Diagnostic("E0702", "u8 has collapsed", notes=("a",), helps=("b", "c"), subject="quantize[u8]")

    assert through_json(replace(REPORT, collapse=collapse)).collapse == collapse


def test_a_report_passes_when_every_requirement_is_met():
    assert not REPORT.passed
    assert replace(REPORT, verdicts=REPORT.verdicts[1:]).passed
    assert replace(REPORT, verdicts=()).passed


def test_a_report_of_another_format_is_refused():
    with pytest.raises(ValueError, match="report format 9 is not 1"):
        ComparisonReport.from_record({**REPORT.record(), "format": 9})


def test_text_shows_requirements_then_outputs_then_the_worst_layers():
    assert render_text(REPORT) == TEXT


def test_a_layer_with_several_outputs_is_shown_with_their_names():
    layers = tuple(replace(REPORT.layers[0], tensor=name) for name in ("left", "right"))

    text = render_text(replace(REPORT, layers=layers))

    assert "conv1 -> left" in text
    assert "conv1 -> right" in text


def test_text_shows_so_many_layers_as_asked():
    text = render_text(REPORT, layers=1)

    assert "conv2" in text
    assert "conv1" not in text
    assert "2 more layers" in text


def test_long_names_are_cut_in_the_middle_only_where_a_width_is_given():
    name = "MobilenetV2/expanded_conv_16/depthwise/BatchNorm/FusedBatchNorm/with/a/very/long/tail"
    report = replace(REPORT, layers=(replace(REPORT.layers[0], layer=name, tensor=name),))

    narrow = render_text(report, width=90)

    assert name in render_text(report, width=None)
    assert name not in narrow
    assert "…" in narrow
    assert max(len(line) for line in narrow.splitlines() if "…" in line) <= 90


def test_the_collapse_verdict_is_the_last_line():
    report = replace(REPORT, collapse=Diagnostic("E0702", "u8 has collapsed"))

    assert render_text(report).splitlines()[-1] == "verdict [E0702]: u8 has collapsed"


@pytest.mark.parametrize(
    ("metric", "value", "bound", "text"),
    [
        ("cosine", 0.98713, 0.99, ("0.9871", "0.99")),
        ("cosine", 0.98999999, 0.99, ("0.98999999", "0.99")),
        ("cosine", 0.999987, 0.99, ("0.99999", "0.99")),
        ("cosine_max", 1.0, 0.99, ("1", "0.99")),
        ("top1_agreement", 0.981, 0.985, ("98.1%", "98.5%")),
        ("top1_drop", -0.0125, 0.01, ("-1.2%", "1%")),
        ("sqnr", 29.314, 30.0, ("29.3", "30")),
        ("sqnr", -math.inf, 3.0, ("-inf", "3")),
        ("max_abs_error", 0.25, 0.0, ("0.25", "0")),
        ("max_abs_error", 0.0, 0.0, ("0", "0")),
    ],
)
def test_figures_have_as_many_digits_as_tell_them_from_their_bound(metric, value, bound, text):
    assert figure_text(metric, value, apart_from=bound) == text


def test_macs_have_units():
    assert [macs_text(n) for n in (0, 999, 1500, 12_400_000, 3_000_000_000)] == ["0", "999", "1.5 k", "12.4 M", "3 G"]
