"""The pipelines and lessons in the repository are correct programs for the chips they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from npudsl.language.load import load_program
from npudsl.targets.constraints import check_targets

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAMS = sorted(
    str(file.relative_to(REPOSITORY))
    for pattern in ("pipelines/*.npu", "examples/*/*.npu")
    for file in REPOSITORY.glob(pattern)
)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_maintained_program_has_nothing_to_complain_about(program):
    loaded = load_program(REPOSITORY / program)

    assert loaded.warnings == ()
    assert check_targets(loaded) == []
    assert loaded.targets
    assert loaded.comparisons


def test_the_hybrid_pipeline_names_its_layers_in_at_most_five_lines():
    hybrid = load_program(REPOSITORY / "pipelines" / "mobilenet_v2_hybrid.npu").variants["hybrid"]

    assert 1 <= len(hybrid.rules) <= 5
    assert all(rule.because for rule in hybrid.rules)


def test_the_files_of_the_first_lesson_stay_small(repository):
    folder = repository / "examples" / "01_digits"
    files = [file for file in folder.rglob("*") if file.is_file() and not {"out", ".npudsl"} & set(file.parts)]

    assert sum(file.stat().st_size for file in files) < 1024 * 1024
