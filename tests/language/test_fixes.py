"""Findings with an obvious edit carry it, and the edit mends the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from npudsl.diagnostics import Diagnostic, Fix, Source, Span, UserError
from npudsl.diagnostics.render import locate
from npudsl.language.fixing import chosen_fixes, with_fixes
from npudsl.language.load import load_program
from npudsl.language.matching import match_rules
from npudsl.language.resolve import LayerSubject

PROGRAM = """npu 1

let side = 28

model net {
  format = onnx
  file = "net.onnx"
}

input "data" {
  shape = [1, 3, side, side]
}

dataset calib {
  list = "calib.txt"
  labels = true
}

quantize u8 {
  calibrate = calib
}

compare accept {
  reference = float
  candidate = u8
  data = calib
}

target board {
  soc = A311D
  export source {
    kind = c-project
  }
}
"""

MENDED = [
    ("  format = onnx\n", "  format = onnx;\n", None),
    ("  format = onnx\n", '  format = "onnx"\n', None),
    ("  format = onnx\n", "  format: onnx\n", None),
    ("  format = onnx\n", "  format= =onnx\n", "  format= onnx\n"),
    ("  format = onnx\n", "  fromat = onnx\n", None),
    ("  format = onnx\n", '  "format" = onnx\n', None),
    ('  format = onnx\n  file = "net.onnx"\n', '  format = onnx; file = "net.onnx"\n', None),
    ('  file = "net.onnx"\n', "  file = 'net.onnx'\n", None),
    ('  file = "net.onnx"\n', "  file = “net.onnx”\n", None),
    ('  file = "net.onnx"\n', "  file = net.onnx\n", None),
    ('  file = "net.onnx"\n', '  path = "net.onnx"\n', None),
    ("npu 1\n\n", "", None),
    ("model net {", "model net = {", "model net  {"),
    ("model net {", 'model "net" {', None),
    ("model net {", "model net\n{", None),
    ("model net {", "modle net {", None),
    ("model net {", "network net {", None),
    ('input "data" {', "input data {", None),
    ('input "data" {', 'inputs "data" {', None),
    ("  shape = [1, 3, side, side]\n", "  shape = [1, 3, sid, side]\n", None),
    (
        "  shape = [1, 3, side, side]\n",
        "  shape = [1, 3, side, side\n  color = bgr\n",
        "  shape = [1, 3, side, side]\n  color = bgr\n",
    ),
    ("  shape = [1, 3, side, side]\n", "  scale = .5\n", "  scale = 0.5\n"),
    ("  shape = [1, 3, side, side]\n", "  mean = 007\n", "  mean = 7\n"),
    ("  shape = [1, 3, side, side]\n", "  mean = side-1 + 1\n", "  mean = side - 1 + 1\n"),
    ("  shape = [1, 3, side, side]\n", "  color = grey\n", "  color = gray\n"),
    ("  shape = [1, 3, side, side]\n", "  colour = bgr\n", "  color = bgr\n"),
    (
        "  shape = [1, 3, side, side]\n",
        "  resize = keep_ratio(2, 2)\n",
        "  resize = letterbox(2, 2)\n",
    ),
    ("  shape = [1, 3, side, side]\n", "  crop = center(hight=2, width=2)\n", "  crop = center(height=2, width=2)\n"),
    ("  shape = [1, 3, side, side]\n", "  // comment\n", "  # comment\n"),
    (
        '  list = "calib.txt"\n  labels = true\n',
        '  feed "date" idx="x"\n',
        '  feed "data" idx="x"\n',
    ),
    (
        "  labels = true\n",
        "  labels = true\n  samples 3\n",
        "  labels = true\n  samples = 3\n",
    ),
    ("  calibrate = calib\n", "  calibrate = calb\n", None),
    ("  calibrate = calib\n", '  calibrate = "calib"\n', None),
    ("quantize u8 {", "quantise u8 {", None),
    ("  reference = float\n", "  reference = flaot\n", None),
    ("  data = calib\n", "  data = calib\n  metrics = cosin\n", "  data = calib\n  metrics = cosine\n"),
    ("  data = calib\n", "  data = calib\n  require cosinus >= 1\n", "  data = calib\n  require cosine >= 1\n"),
    (
        "    kind = c-project\n",
        "    kind = c-project\n    embed_weights = True\n",
        "    kind = c-project\n    embed_weights = true\n",
    ),
    ("  export source {", "  exprot source {", None),
]

RULES = [
    ('layer = "conv1" type=i16', 'layer "conv1" type=i16'),
    ('layer "conv1" type=i16, min=1', 'layer "conv1" type=i16 min=1'),
    ('layer "conv1" typ=i16', 'layer "conv1" type=i16'),
    ('layer "conv1" dtype=i16', 'layer "conv1" type=i16'),
    ('layer "conv1" type=int16', 'layer "conv1" type=i16'),
    ('layer "conv1" type="i16"', 'layer "conv1" type=i16'),
    ("layer conv1 type=i16", 'layer "conv1" type=i16'),
    ('layer "conv1" skp', 'layer "conv1" skip'),
    ('layr "conv1" type=i16', 'layer "conv1" type=i16'),
    ('layers "conv1" type=i16', 'layer "conv1" type=i16'),
    ('layer "conv1" algorithm=percentile(99.9)', 'layer "conv1" algorithm=percentile(99.9%)'),
    ('layer "conv1" algorithm=kl(bin=2048)', 'layer "conv1" algorithm=kl(bins=2048)'),
    ("algorithm = kl(bins=2048", "algorithm = kl(bins=2048)"),
    ('layer "a" type=i8\n  layer "a" type=i16', 'layer "a" type=i16'),
    ('layer "a" type=i8 min=1\n  layer "a" type=i16', 'layer "a" min=1\n  layer "a" type=i16'),
    ('layers "a*" type=i8\n  layers "a*" type=i8 min=0', 'layers "a*" type=i8 min=0'),
]


def findings(text: str, folder: Path) -> tuple[Diagnostic, ...]:
    try:
        return load_program(folder / "test.npu", text=text).warnings
    except UserError as error:
        return error.diagnostics


def mended(text: str, folder: Path) -> tuple[str, tuple[Diagnostic, ...]]:
    """The text after all edits, and what is left."""
    for _ in range(20):
        found = findings(text, folder)
        fixes = chosen_fixes(found)
        if not fixes:
            return text, found
        text = with_fixes(fixes[0].span.source, fixes)
    raise AssertionError(f"the text does not settle:\n{text}")


@pytest.mark.parametrize(("right", "wrong", "expected"), MENDED, ids=[wrong.strip() for _, wrong, _ in MENDED])
def test_a_slip_is_mended(right, wrong, expected, tmp_path):
    assert PROGRAM.count(right) == 1
    text, left = mended(PROGRAM.replace(right, wrong), tmp_path)
    assert left == ()
    assert text == PROGRAM.replace(right, right if expected is None else expected)


@pytest.mark.parametrize(("wrong", "right"), RULES, ids=[wrong for wrong, _ in RULES])
def test_a_slip_in_a_variant_is_mended(wrong, right, tmp_path):
    start = "  calibrate = calib\n"
    text, left = mended(PROGRAM.replace(start, f"{start}  {wrong}\n"), tmp_path)
    assert left == ()
    assert text == PROGRAM.replace(start, f"{start}  {right}\n")


def test_the_golden_programs_get_no_worse(monkeypatch):
    golden = Path(__file__).parent / "golden"
    monkeypatch.chdir(golden)
    for file in sorted(golden.glob("*.npu")):
        text = file.read_text(encoding="utf-8")
        try:
            load_program(file.name)
            continue
        except UserError as error:
            before = error.diagnostics
        fixes = [fix for fix in chosen_fixes(before) if fix.span.source.name == file.name]
        try:
            after = load_program(file.name, text=with_fixes(Source(file.name, text), fixes)).warnings
        except UserError as error:
            after = error.diagnostics
        if len(before) < 20:
            assert len([problem for problem in after if problem.code.startswith("E01")]) <= len(before), file.name


def test_edits_that_touch_wait_for_the_next_round():
    source = Source("x", "abcdef")
    first, second, third = (Fix(Span(source, start, end), "X") for start, end in ((0, 2), (1, 3), (4, 5)))
    found = [Diagnostic("E0101", "x", fixes=(fix,)) for fix in (first, second, third)]

    assert chosen_fixes(found) == [first, third]
    assert with_fixes(source, [first, third]) == "XcdXf"
    assert chosen_fixes(found, frozenset({"E0102"})) == []


def test_an_unknown_layer_comes_with_the_name_that_was_meant(tmp_path):
    text = PROGRAM.replace("  calibrate = calib\n", '  calibrate = calib\n  layer "Conv1" type=i16\n')
    program = load_program(tmp_path / "test.npu", text=text)
    layers = [LayerSubject("conv1", "Conv")]

    (problem,) = match_rules(program.variants["u8"], layers, [], {}).problems

    (fix,) = locate(problem, program.origins).fixes
    assert with_fixes(program.sources[0], [fix]) == text.replace('"Conv1"', '"conv1"')
