"""Colour: only on a terminal, unless somebody says otherwise."""

from __future__ import annotations

import io

import pytest
from language_project import PROGRAM, TextProject

from npudsl.cli import color
from npudsl.cli.color import wants_color, without_color_option

FAULTY = PROGRAM.replace("calib\n  layer", "calb\n  layer")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setattr(color, "_chosen", "auto")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize(
    ("environment", "chosen", "terminal", "pipe"),
    [
        ({}, "auto", True, False),
        ({"NO_COLOR": "1"}, "auto", False, False),
        ({"NO_COLOR": ""}, "auto", True, False),
        ({"FORCE_COLOR": "1"}, "auto", True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, "auto", False, False),
        ({"TERM": "dumb"}, "auto", False, False),
        ({"NO_COLOR": "1"}, "always", True, True),
        ({"FORCE_COLOR": "1"}, "never", False, False),
    ],
)
def test_who_decides(environment, chosen, terminal, pipe, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(color, "_chosen", chosen)
    assert (wants_color(Terminal()), wants_color(io.StringIO())) == (terminal, pipe)


@pytest.mark.parametrize(
    ("words", "left", "chosen"),
    [
        (["check", "--color", "always", "a"], ["check", "a"], "always"),
        (["--color=never", "check"], ["check"], "never"),
        (["check", "--", "--color"], ["check", "--", "--color"], "auto"),
        (["check", "--color"], None, "auto"),
        (["check", "--color=blue"], None, "auto"),
    ],
)
def test_the_option_is_taken_from_any_place(words, left, chosen):
    assert without_color_option(words) == left
    assert color._chosen == chosen


def test_an_unknown_choice_is_wrong_use(tmp_path):
    found = TextProject(tmp_path)("check", "--color", "blue", code=2)
    assert found.err == "npu: --color takes auto, always, never\n"


def test_program_lines_are_coloured_and_show_the_same_characters(tmp_path):
    project = TextProject(tmp_path)
    project.write("a.npu", FAULTY)
    plain_text = project("check", "--no-model", "a.npu", code=1).err
    painted = project("check", "--no-model", "--color=always", "a.npu", code=1).err
    assert "\x1b[" not in plain_text
    assert painted.count("\x1b[") > 20
    assert without_escapes(painted) == plain_text


def test_the_evaluated_program_is_coloured_and_shows_the_same_characters(tmp_path):
    project = TextProject(tmp_path)
    project.write("a.npu", PROGRAM)
    plain_text = project("show", "a.npu").out
    painted = project("show", "--color=always", "a.npu").out
    assert painted != plain_text
    assert without_escapes(painted) == plain_text


def without_escapes(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)
