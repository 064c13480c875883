"""``npu show`` and ``npu schema``: the evaluated program and the language as data."""

from __future__ import annotations

import json

import jsonschema
import pytest
from language_project import PROGRAM, TextProject

from npudsl.language.flat import flat_lines, program_text, read_flat
from npudsl.language.load import load_program
from npudsl.language.reference import reference_page


@pytest.fixture
def project(tmp_path) -> TextProject:
    project = TextProject(tmp_path)
    project.write("a.npu", PROGRAM)
    return project


def test_the_evaluated_program_is_a_program(project):
    text = project("show", "a.npu").out
    assert text == program_text(load_program(project.folder / "a.npu"))
    project.write("b.npu", text)
    assert project("show", "b.npu").out == text.replace("  # default", "")


def test_the_flat_form_has_a_fact_per_line_and_reads_back(project):
    text = project("show", "--flat", "a.npu").out
    program = load_program(project.folder / "a.npu")
    assert text.splitlines() == flat_lines(program)
    assert read_flat(text, "a") == program


def test_defaults_alone(project):
    assert project("show", "--defaults", "a.npu").out.splitlines() == [
        "dataset calib skip = 0  # default",
        "dataset calib batch = 1  # default",
        "quantize u8 scheme = asymmetric_affine  # default",
        "quantize u8 type = u8  # default",
        "quantize u8 algorithm = minmax  # default",
    ]


def test_the_json_form_fits_the_schema_that_the_tool_prints(project):
    schema = json.loads(project("schema").out)
    record = json.loads(project("show", "--json", "a.npu").out)
    jsonschema.Draft202012Validator(schema).validate(record)
    assert record["format"] == 1


def test_the_key_reference_is_markdown(project):
    assert project("schema", "--format", "md").out == reference_page()


def test_a_program_with_errors_is_not_shown(project):
    project.write("b.npu", PROGRAM.replace("onnx\n", "caffe\n"))
    found = project("show", "b.npu", code=1)
    assert found.out == ""
    assert "error[E0208]" in found.err
