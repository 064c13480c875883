"""``npu graph``: steps and layers as text, DOT, Mermaid and JSON."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

STEPS = """\
import
calibrate:calibration  <- import
quantize:hybrid        <- import, calibrate:calibration
export:v853.board      <- import, quantize:hybrid
export:v853.qdq        <- import, quantize:hybrid
quantize:u8            <- import, calibrate:calibration
simulate:float/test    <- import
simulate:hybrid/test   <- import, quantize:hybrid, simulate:float/test
compare:accept         <- simulate:float/test, simulate:hybrid/test
simulate:u8/test       <- import, quantize:u8, simulate:float/test
compare:plain          <- simulate:float/test, simulate:u8/test
"""


def test_steps_are_listed_in_an_order_in_which_they_can_run(digits):
    assert digits("graph", "digits.npu") == STEPS
    assert digits("graph", "--steps") == STEPS


def test_layers_have_operators_shapes_and_the_types_of_a_variant(digits):
    shown = digits("graph", "--model", "--variant", "hybrid")

    lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines()}
    assert lines["image"] == ["input", "1x1x16x16", "u8"]
    assert lines["/depthwise/conv/Conv"] == ["Conv", "1x16x8x8", "i16", "<-", "/stem/conv/Conv"]
    assert lines["/residual/Add"][-2:] == ["/pointwise/conv/Conv,", "/residual/conv/Conv"]


def test_without_a_variant_there_are_no_types(digits):
    shown = digits("graph", "--model")

    assert "i16" not in shown
    assert "u8" not in shown


def test_dot_is_what_graphviz_reads(digits):
    shown = digits("graph", "--format", "dot")

    assert shown.startswith('digraph "digits" {\n')
    assert '  "import" -> "calibrate:calibration";\n' in shown
    if shutil.which("dot") is not None:
        subprocess.run(["dot", "-Tsvg"], input=shown, text=True, capture_output=True, check=True)


def test_mermaid_numbers_its_boxes_and_writes_strange_letters_as_references(digits):
    shown = digits("graph", "--model", "--variant", "hybrid", "--format", "mermaid")

    assert shown.startswith('flowchart TD\n  n0["image<br/>input 1x1x16x16 u8"]:::u8\n')
    assert "  n0 --> n1\n" in shown
    labels = re.findall(r'\["(.*)"\]', shown)
    assert not any(set("\"'()[]{}<>&") & set(label.replace("<br/>", "")) for label in labels)


def test_json_has_nodes_and_edges(digits):
    steps = json.loads(digits("graph", "--json"))
    model = json.loads(digits("graph", "--model", "--format", "json"))

    assert steps["format"] == 1
    assert {"from": "import", "to": "calibrate:calibration", "tensor": None} in steps["edges"]
    assert {"from": "image", "to": "/stem/conv/Conv", "tensor": "image"} in model["edges"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--steps", "--model"), 2, "two graphs"),
        (("--variant", "u8"), 2, "add --model"),
        (("--model", "--variant", "hybird"), 1, "did you mean `hybrid`?"),
        (("--format", "svg"), 2, "svg"),
    ],
)
def test_what_makes_no_sense_is_said(arguments, code, said, digits):
    assert said in digits.run("graph", *arguments, code=code).err
