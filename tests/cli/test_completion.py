"""Shell completion: files, and names from program text and locks, without the model."""

from __future__ import annotations

import os
from unittest import mock

import pytest
from language_project import PROGRAM, TextProject

LOCK = "npu-lock 1 tool=0.1.0 language=1\nstep calibrate:calib key=1234\nstep quantize:u8 key=5678\n"


@pytest.fixture
def project(tmp_path) -> TextProject:
    project = TextProject(tmp_path)
    project.write("net.npu", PROGRAM + "\nquantize hybrid from u8 {\n}\n\ntarget board {\n  soc = A311D\n}\n")
    project.write("net.lock", LOCK)
    project.write("parts/shared.npu", "npu 1\n")
    project.write("other.txt", "")
    project.write(".hidden/x.npu", "npu 1\n")
    return project


def completed(project: TextProject, line: str) -> list[str]:
    """What bash is offered for the last word of ``line``."""
    words = line.split(" ")
    asked = {"_NPU_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    with mock.patch.dict(os.environ, asked):
        return project(code=None).out.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("npu che", ["check"]),
        ("npu check ", ["net.npu", "parts/"]),
        ("npu check n", ["net.npu"]),
        ("npu check parts/", ["parts/shared.npu"]),
        ("npu check .", [".hidden/"]),
        ("npu check nowhere/", []),
        ("npu check --no", ["--no-model"]),
        ("npu check --format ", ["text", "json", "sarif"]),
        ("npu check --deny w", ["warnings"]),
        ("npu check --allow W030", ["W0304", "W0305"]),
        ("npu fix --code E030", ["E0301", "E0302", "E0303", "E0304", "E0305", "E0306", "E0307"]),
        ("npu layers net.npu --variant ", ["u8", "hybrid"]),
        ("npu build --until q", ["quantize", "quantize:u8"]),
        ("npu completion f", ["fish"]),
    ],
)
def test_words_are_offered(project, line, words):
    assert completed(project, line) == words


def test_what_cannot_be_read_completes_to_nothing(project):
    (project.folder / "net.npu").write_bytes(b"\xff")
    assert completed(project, "npu layers net.npu --variant ") == []


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -o default"), ("zsh", "#compdef npu"), ("fish", "complete ")]
)
def test_a_script_is_printed_for_a_shell(project, shell, sign):
    with mock.patch.dict(os.environ):
        assert sign in project("completion", shell, code=None).out


def test_a_shell_without_completion_is_refused(project):
    found = project("completion", "tcsh", code=1)
    assert "there is no completion for tcsh" in found.err
