"""Diagnostics as text and JSON, and subjects turned into places."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npudsl.diagnostics import Diagnostic, Fix, Label, Place, Source, Span
from npudsl.diagnostics.render import locate, render, to_json

TEXT = 'npu 1\n\nlet net = "resnet"\n\nquantize u8 {\n  calibrate = calb\n  layer "${net}/conv" type=i16\n}\n'
SOURCE = Source("net.npu", TEXT)


def span(text: str, source: Source = SOURCE) -> Span:
    start = source.text.index(text)
    return Span(source, start, start + len(text))


def test_one_label_with_a_note_and_helps():
    diagnostic = Diagnostic(
        "E0213",
        "`calb` is not a dataset",
        labels=(Label(span("calb")),),
        notes=("there is one dataset",),
        helps=("did you mean `calib`?", "names are case-sensitive"),
    )
    assert render(diagnostic) == (
        "error[E0213]: `calb` is not a dataset\n"
        " --> net.npu:6:15\n"
        "  |\n"
        "6 |   calibrate = calb\n"
        "  |               ^^^^\n"
        "  |\n"
        "  = note: there is one dataset\n"
        "  = help: did you mean `calib`?\n"
        "  = help: names are case-sensitive"
    )


def test_places_in_two_files_stand_below_each_other_with_the_primary_one_first():
    other = Source("shared/targets.npu", "\n" * 22 + "  types = [i16]\n")
    labels = (
        Label(span("[i16]", other), "target allows these", primary=False),
        Label(span("type=i16")),
        Label(span("calibrate"), "in this variant", primary=False),
    )
    assert render(Diagnostic("W0602", "mixed", labels=labels, severity="warning")) == (
        "warning[W0602]: mixed\n"
        "  --> net.npu:7:23\n"
        "   |\n"
        " 6 |   calibrate = calb\n"
        "   |   --------- in this variant\n"
        ' 7 |   layer "${net}/conv" type=i16\n'
        "   |                       ^^^^^^^^\n"
        "  ::: shared/targets.npu:23:11\n"
        "   |\n"
        "23 |   types = [i16]\n"
        "   |           ----- target allows these"
    )


def test_one_line_between_two_labels_is_shown_and_more_are_left_out():
    near = render(Diagnostic("E0001", "x", labels=(Label(span("quantize")), Label(span("layer"), primary=False))))
    assert "6 |   calibrate = calb\n7 |" in near
    far = render(Diagnostic("E0001", "x", labels=(Label(span("npu")), Label(span("layer"), primary=False))))
    assert "  | ^^^\n...\n7 |" in far


def test_places_in_other_files_are_lines_of_their_own():
    places = (Place("data/list.txt", 12), Place("data/other.txt"))
    diagnostic = Diagnostic("E0501", "missing", places=places, helps=("mend the list",))
    assert render(diagnostic) == (
        "error[E0501]: missing\n  --> data/list.txt:12\n  ::: data/other.txt\n   = help: mend the list"
    )


def test_tabs_wide_characters_and_line_ends_keep_the_carets_in_place():
    source = Source("a.npu", '\tx = "中文" because\r\nnext')
    lines = render(Diagnostic("E0105", "x", labels=(Label(span("because", source)),))).splitlines()
    assert lines[3] == '1 |     x = "中文" because'
    assert lines[4] == "  | " + " " * 15 + "^^^^^^^"


def test_a_span_at_the_end_of_the_text_has_one_caret():
    source = Source("a.npu", "model")
    lines = render(Diagnostic("E0106", "x", labels=(Label(Span(source, 5, 6)),))).splitlines()
    assert lines[-1] == "  |      ^"


def test_a_span_of_several_lines_is_marked_on_its_first():
    lines = render(Diagnostic("E0001", "x", labels=(Label(span("calb\n  layer")),))).splitlines()
    assert lines[-1] == "  |               ^^^^"


def test_color_only_adds_escape_sequences():
    import re

    diagnostic = Diagnostic("E0213", "x", labels=(Label(span("calb")),), helps=("y",))
    colored = render(diagnostic, color=True)
    assert colored != render(diagnostic)
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render(diagnostic)


def test_a_diagnostic_without_place_says_what_it_is_about():
    text = render(Diagnostic("E0401", "missing", subject="model.file"))
    assert text == "error[E0401]: missing\n   = note: this is about model.file"


def test_json_has_lines_columns_and_edits():
    fix = Fix(span("calb"), "calib", "write calib")
    record = to_json(
        Diagnostic("E0213", "x", labels=(Label(span("calb"), "here"),), fixes=(fix,), places=(Place("a", 2),))
    )
    assert json.loads(json.dumps(record)) == record
    assert record["labels"][0] == {
        "file": "net.npu",
        "start": 55,
        "end": 59,
        "line": 6,
        "column": 15,
        "end_line": 6,
        "end_column": 19,
        "text": "here",
        "primary": True,
    }
    assert record["fixes"][0]["replacement"] == "calib"
    assert record["places"] == [{"file": "a", "line": 2}]


ORIGINS = {
    "let[net]": span('"resnet"'),
    "quantize[u8]": span("u8"),
    "quantize[u8].calibrate": span("calb"),
    "quantize[u8].rules[0]": span('"${net}/conv"'),
    "input[a.b]": span("npu"),
}


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("quantize[u8].calibrate", "calb"),
        ("quantize[u8].algorithm", "u8"),
        ("quantize[u8].rules[0].type", '"${net}/conv"'),
        ("quantize[u8].rules[9]", "u8"),
        ("input[a.b].mean", "npu"),
    ],
)
def test_a_subject_becomes_the_place_of_its_nearest_origin(subject, text):
    located = locate(Diagnostic("E0301", "x", subject=subject), ORIGINS)
    assert located.labels == (Label(span(text)),)


def test_a_constant_under_the_label_is_explained():
    located = locate(Diagnostic("E0301", "x", subject="quantize[u8].rules[0]"), ORIGINS)
    assert located.notes == ('"${net}" is "resnet" (line 3)',)


def test_a_diagnostic_with_labels_or_an_unknown_subject_stays_as_it_is():
    labelled = Diagnostic("E0301", "x", labels=(Label(span("npu")),), subject="quantize[u8]")
    assert locate(labelled, ORIGINS) is labelled
    unknown = Diagnostic("E0301", "x", subject="dataset[calib].list")
    assert locate(unknown, ORIGINS) is unknown


@given(st.text(max_size=40), st.integers(0, 40), st.integers(0, 10))
def test_every_span_can_be_rendered(text, start, length):
    source = Source("x", text)
    start = min(start, len(text))
    render(Diagnostic("E0001", "x", labels=(Label(Span(source, start, start + length)),)))
