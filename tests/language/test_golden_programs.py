"""Every program of ``golden/`` gives exactly the diagnostics in the text beside it.

To accept new texts: ``NPUDSL_UPDATE_GOLDEN=1 pytest tests/language/test_golden_programs.py``, then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from npudsl.diagnostics import UserError
from npudsl.diagnostics.codes import CODES
from npudsl.diagnostics.render import render
from npudsl.language.load import load_program

GOLDEN = Path(__file__).parent / "golden"
PROGRAMS = sorted(path.name for path in GOLDEN.glob("*.npu"))


def diagnostics_of(name: str) -> tuple:
    try:
        return load_program(name).warnings
    except UserError as error:
        return error.diagnostics


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_gives_the_diagnostics_written_beside_it(name, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    found = diagnostics_of(name)
    text = "\n\n".join(render(diagnostic) for diagnostic in found) + "\n" if found else "no problems\n"
    expected = (GOLDEN / name).with_suffix(".txt")
    if os.environ.get("NPUDSL_UPDATE_GOLDEN"):
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_place_is_reported_twice_with_the_same_words(name, monkeypatch):
    monkeypatch.chdir(GOLDEN)
    found = [(problem.labels[0].span.start, problem.message) for problem in diagnostics_of(name)]
    assert len(found) == len(set(found))


def test_every_expected_text_has_its_program():
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == sorted(Path(name).stem for name in PROGRAMS)


def test_five_mistakes_in_a_long_file_give_five_errors(monkeypatch):
    monkeypatch.chdir(GOLDEN)
    found = diagnostics_of("five_mistakes_in_a_long_file.npu")
    assert [problem.labels[0].span.line for problem in found] == [10, 20, 25, 36, 49]


def test_every_code_of_the_language_room_is_shown_by_a_golden_program(monkeypatch):
    monkeypatch.chdir(GOLDEN)
    shown = {problem.code for name in PROGRAMS for problem in diagnostics_of(name)}
    about_programs = {code for code in CODES if code[:3] in ("E01", "E02")} | {
        "E0303",
        "E0304",
        "E0305",
        "E0306",
        "W0305",
    }
    assert about_programs - shown == set()
