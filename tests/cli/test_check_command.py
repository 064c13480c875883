"""``npu check``: forms of output, and which warnings count."""

from __future__ import annotations

import json

import pytest
from language_project import PROGRAM, TextProject

WARNED = PROGRAM.replace('layer "conv1" type=i16', 'layers "conv1" type=i16')
FAULTY = PROGRAM.replace("calib\n  layer", "calb\n  layer")


@pytest.fixture
def project(tmp_path) -> TextProject:
    return TextProject(tmp_path)


def test_text_is_the_form_when_none_is_named(project):
    project.write("a.npu", PROGRAM)
    project.write("b.npu", FAULTY)
    assert project("check", "--no-model", "a.npu").text == "no problems\n"
    found = project("check", "--no-model", "b.npu", code=1)
    assert found.out == ""
    assert found.err.startswith("error[E0213]: `calb` is not a dataset\n  --> b.npu:13:15\n")


@pytest.mark.parametrize("arguments", [("--json",), ("--format", "json"), ("--format=json",)])
def test_json_is_one_document(project, arguments):
    project.write("a.npu", FAULTY)
    (finding,) = json.loads(project("check", "--no-model", *arguments, "a.npu", code=1).out)["diagnostics"]
    assert (finding["code"], finding["labels"][0]["line"], finding["fixes"][0]["replacement"]) == ("E0213", 13, "calib")


def test_sarif_is_one_log(project):
    project.write("a.npu", FAULTY)
    found = json.loads(project("check", "--no-model", "--format", "sarif", "a.npu", code=1).out)
    (result,) = found["runs"][0]["results"]
    assert (found["version"], result["ruleId"], result["level"]) == ("2.1.0", "E0213", "error")
    project.write("a.npu", PROGRAM)
    assert json.loads(project("check", "--no-model", "--format", "sarif", "a.npu").out)["runs"][0]["results"] == []


def test_an_unknown_form_is_wrong_use(project):
    project.write("a.npu", PROGRAM)
    found = project("check", "--format", "xml", "a.npu", code=2)
    assert "'xml' is not one of text, json, sarif" in found.err


def test_warnings_are_shown_and_count_only_when_denied(project):
    project.write("a.npu", WARNED)
    assert project("check", "--no-model", "a.npu").out == "no errors\n"
    for word in ("warnings", "W0305"):
        found = project("check", "--no-model", "--deny", word, "a.npu", code=1)
        assert found.err.startswith("error[W0305]")
    assert project("check", "--no-model", "--deny", "W0304", "a.npu").err.startswith("warning[W0305]")


def test_an_allowed_warning_is_left_out(project):
    project.write("a.npu", WARNED)
    assert project("check", "--no-model", "--allow", "W0305", "a.npu").text == "no problems\n"
    assert project("check", "--no-model", "--allow", "W0305", "--deny", "warnings", "a.npu").out == "no problems\n"


@pytest.mark.parametrize(("word", "help_text"), [("E0213", "errors cannot be left out"), ("W9999", "known: W0304")])
def test_only_warnings_can_be_allowed(project, word, help_text):
    project.write("a.npu", PROGRAM)
    found = project("check", "--no-model", "--allow", word, "a.npu", code=1)
    assert f"--allow takes the code of a warning, not '{word}'" in found.err
    assert help_text in found.err


def test_rules_must_give_their_reason_when_asked(project):
    project.write("a.npu", PROGRAM)
    found = project("check", "--no-model", "--require-reasons", "a.npu", code=1)
    assert "error[E0307]: this `layer` rule gives no reason\n  --> a.npu:14:9" in found.err
    project.write("a.npu", PROGRAM.replace("type=i16", 'type=i16 because "drifts"'))
    assert project("check", "--no-model", "--require-reasons", "a.npu").text == "no problems\n"


def test_an_inherited_rule_without_a_reason_is_told_once(project):
    derived = PROGRAM + "\nquantize more from u8 {\n  type = i8\n}\n"
    project.write("a.npu", derived)
    found = project("check", "--no-model", "--require-reasons", "a.npu", code=1)
    assert found.err.count("E0307") == 1
