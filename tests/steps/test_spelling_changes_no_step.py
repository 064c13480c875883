"""How a program is written changes no step: blanks, comments, moved constants and inlined presets keep every record."""

from __future__ import annotations

from pathlib import Path

import pytest
from language_corpus import rewritten
from npu_command import digits_copy

from npudsl.api.planned import plan_of
from npudsl.api.project import open_project

HEAD = """npu 1

let white = 255

preset input bytes {
  mean = 0
  scale = 1/white
}
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return digits_copy(tmp_path).folder


def records(folder: Path, text: str) -> dict[str, object]:
    """Step -> what its key is made of."""
    program = folder / "digits.npu"
    program.write_bytes(text.encode("utf-8"))
    return {step.id: (step.record, step.inputs, step.files) for step in plan_of(open_project(program)).pipeline.steps}


def test_blanks_comments_and_line_breaks_change_no_record(folder):
    text = (folder / "digits.npu").read_text()
    expected = records(folder, text)
    assert len(expected) > 5
    for seed in range(4):
        assert records(folder, rewritten(text, seed)) == expected


def test_constants_presets_and_the_order_of_blocks_change_no_record(folder):
    text = (folder / "digits.npu").read_text()
    expected = records(folder, text)
    with_preset = text.replace("npu 1\n", HEAD, 1).replace('input "image" {', 'input "image" from bytes {')
    with_preset = with_preset.replace("  mean = 0\n  scale = 1/255\n}\n\noutput", "}\n\noutput")
    model = text[text.index("model digits {") : text.index("# What the network")]
    moved = text.replace(model, "") + "\n" + model
    assert len({text, with_preset, moved}) == 3
    assert "scale = 1/255" not in with_preset
    assert records(folder, with_preset) == expected
    assert records(folder, moved) == expected


def test_a_value_that_counts_changes_a_record(folder):
    text = (folder / "digits.npu").read_text()
    assert records(folder, text.replace("1/255", "1/256")) != records(folder, text)
