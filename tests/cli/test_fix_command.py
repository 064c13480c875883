"""``npu fix``: what findings offer is applied, and the rest is said."""

from __future__ import annotations

import pytest
from language_project import PROGRAM, TextProject

SLIPS = PROGRAM.replace("format = onnx", 'format = "onnx";').replace("calib\n  layer", "calb\n  layer")


@pytest.fixture
def project(tmp_path) -> TextProject:
    return TextProject(tmp_path)


def test_slips_are_mended_in_the_file_and_each_edit_is_told(project):
    project.write("a.npu", SLIPS)
    found = project("fix", "--no-model", "a.npu")
    assert found.out == (
        "a.npu:4:18: remove `;`\na.npu:13:15: write calib\na.npu:4:12: write a word\na.npu: made 3 changes, 0 left\n"
    )
    assert project.read("a.npu") == PROGRAM


def test_a_dry_run_prints_the_difference_and_writes_nothing(project):
    project.write("a.npu", SLIPS)
    found = project("fix", "--dry-run", "--no-model", "a.npu")
    assert '-  format = "onnx";\n+  format = onnx\n' in found.out
    assert "-  calibrate = calb\n+  calibrate = calib\n" in found.out
    assert found.out.endswith("a.npu: would make 3 changes, 0 left\n")
    assert project.read("a.npu") == SLIPS


def test_only_findings_of_a_code_are_mended_when_asked(project):
    project.write("a.npu", SLIPS)
    found = project("fix", "--no-model", "--code", "E0213", "a.npu", code=1)
    assert project.read("a.npu") == PROGRAM.replace("format = onnx", 'format = "onnx";')
    assert "error[E0101]" in found.err


def test_what_no_edit_mends_is_shown_and_the_answer_is_no(project):
    project.write("a.npu", PROGRAM.replace("format = onnx", "format = caffe"))
    found = project("fix", "--no-model", "a.npu", code=1)
    assert found.out == "a.npu: made 0 changes, 1 left\n"
    assert "error[E0208]" in found.err


def test_a_fragment_is_mended_too(project):
    project.write("parts/f.npu", 'npu 1\npreset dataset all {\n  lst = "x.txt"\n}\n')
    project.write("a.npu", PROGRAM.replace("npu 1\n", 'npu 1\n\nuse "parts/f.npu"\n', 1))
    found = project("fix", "--no-model", "a.npu")
    assert "parts/f.npu:3:3: write list" in found.out
    assert '  list = "x.txt"\n' in project.read("parts/f.npu")


def test_an_unknown_code_is_refused(project):
    project.write("a.npu", PROGRAM)
    assert "--code takes a code such as E0304, not 'E9'" in project("fix", "--code", "E9", "a.npu", code=1).err


def test_the_name_of_a_layer_is_mended_with_the_model(own_digits):
    program = own_digits.folder / "digits.npu"
    text = program.read_text()
    name = own_digits("layers", "digits.npu").splitlines()[1].split()[0]
    broken = text.replace("quantize u8 {\n", f'quantize u8 {{\n  layer "{name.swapcase()}" type=i16\n', 1)
    assert broken != text
    program.write_text(broken)
    own_digits.run("fix", "digits.npu")
    assert f'layer "{name}" type=i16' in program.read_text()
