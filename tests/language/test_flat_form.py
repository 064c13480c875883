"""The flat form: one fact per line, and the program read back from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language_corpus import EVERYTHING, documented, program_files, rewritten

from npudsl.diagnostics import Source, UserError
from npudsl.language.flat import flat_lines, program_text, read_flat
from npudsl.language.fmt import formatted
from npudsl.language.load import load_program
from npudsl.language.program import Program


def loaded(text: str, folder: Path) -> Program:
    return load_program(folder / "test.npu", text=text)


def flat(program: Program) -> str:
    return "".join(f"{line}\n" for line in flat_lines(program))


@pytest.fixture
def everything(tmp_path) -> Program:
    return loaded(EVERYTHING, tmp_path)


def test_the_facts_of_a_program_stand_in_the_order_of_the_work(everything):
    assert flat_lines(everything) == (Path(__file__).parent / "everything.flat").read_text().splitlines()


@pytest.mark.parametrize("file", program_files(), ids=lambda file: file.name)
def test_a_maintained_program_is_read_back_from_its_flat_form(file):
    program = load_program(file)
    assert read_flat(flat(program), program.name) == program


@pytest.mark.parametrize("text", [EVERYTHING, *documented()])
def test_a_program_is_read_back_from_its_flat_form(text, tmp_path):
    program = loaded(text, tmp_path)
    assert read_flat(flat(program), "test") == program


@pytest.mark.parametrize("text", [EVERYTHING, *documented()])
def test_the_evaluated_text_is_the_same_program_in_one_file_and_in_its_layout(text, tmp_path):
    program = loaded(text, tmp_path)
    written = program_text(program)
    assert formatted(Source("test.npu", written)) == written
    assert loaded(written, tmp_path) == program


def test_paths_of_fragments_and_roots_are_kept_as_they_are_written(tmp_path):
    (tmp_path / "npudsl.yaml").write_text("roots: {zoo: elsewhere}\n")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "f.npu").write_text('npu 1\npreset dataset here {\n  list = "../lists/all.txt"\n}\n')
    program = loaded(
        'npu 1\nuse "shared/f.npu" as f\nmodel net {\n  format = onnx\n  file = "@zoo/net.onnx"\n}\n'
        'dataset a from f.here {\n}\ndataset b {\n  files = "@zoo/pictures/*.png"\n}\n',
        tmp_path,
    )
    assert read_flat(flat(program), "test") == program
    assert 'dataset a list = "../lists/all.txt"' in flat_lines(program)


@settings(max_examples=40, deadline=None)
@given(
    number=st.floats(allow_nan=False, allow_infinity=False, min_value=1e-30, max_value=1e30),
    share=st.floats(min_value=0.5000001, max_value=1),
    name=st.text(min_size=1, max_size=12).filter(lambda text: "\r" not in text and "\x00" not in text),
)
def test_any_number_and_any_text_is_read_back(number, share, name, tmp_path_factory):
    text = EVERYTHING.replace("preset input centred {", "preset input centred {\n  dtype = float32", 1)
    program = loaded(text, tmp_path_factory.getbasetemp())
    base = program.variants["base"]
    rule = base.rules[-1]
    odd = replace(rule, selector=replace(rule.selector, text=name), sets={"min": -number, "max": number}, because=name)
    percentile = replace(base.settings["algorithm"], arguments=(("keep", share),))
    variant = replace(base, rules=(*base.rules[:-1], odd), settings={**base.settings, "algorithm": percentile})
    changed = replace(
        program,
        inputs=(replace(program.inputs[0], mean=(number,), scale=(-number,)), *program.inputs[1:]),
        variants={**program.variants, "base": variant},
    )
    found = read_flat(flat(changed), "test")
    assert found == changed
    assert found.variants["base"].rules[-1].because == name


def test_only_defaults_are_listed_when_asked(everything):
    lines = flat_lines(everything, only_defaults=True)
    assert 'input "state" color = rgb  # default' in lines
    assert "dataset calib batch = 1  # default" in lines
    assert all(line.endswith("  # default") for line in lines)
    assert len(lines) < len(flat_lines(everything))


def test_a_line_that_does_not_begin_with_a_block_is_refused():
    with pytest.raises(UserError, match="begins with its block"):
        read_flat("npu 1\nsamples = 3\n")


# What changes nothing


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_blanks_comments_and_line_breaks_change_no_fact(seed, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    other = loaded(rewritten(EVERYTHING, seed), folder)
    assert other == loaded(EVERYTHING, folder)
    assert flat(other) == flat(loaded(EVERYTHING, folder))


def test_a_moved_constant_a_moved_block_and_an_inlined_preset_change_no_fact(tmp_path):
    text, third, preset = EVERYTHING, "let third = 1/3\n", "preset input centred {"
    moved = text.replace(third, "").replace(preset, f"{third}\n{preset}")
    simulate = text[text.index("simulate pc {") : text.index("golden board {")]
    blocks_moved = text.replace(simulate, "") + "\n" + simulate
    block = 'input "image data" from centred {'
    inlined = text.replace(block, 'input "image data" {\n  mean = 128\n  std = [127.5, 1/3, 1e-3]')
    constant_replaced = text.replace("resize = letterbox(\n    side + 4,", "resize = letterbox(\n    32,")
    assert len({text, moved, blocks_moved, inlined, constant_replaced}) == 5
    expected = flat(loaded(text, tmp_path))
    for other in (moved, blocks_moved, inlined, constant_replaced):
        assert loaded(other, tmp_path) == loaded(text, tmp_path)
        assert flat(loaded(other, tmp_path)) == expected


def test_a_real_change_changes_a_line_and_nothing_else(tmp_path):
    before = flat(loaded(EVERYTHING, tmp_path)).splitlines()
    after = flat(loaded(EVERYTHING.replace("bins=4096", "bins=2048"), tmp_path)).splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [
        ("quantize finer algorithm = kl(bins=4096)", "quantize finer algorithm = kl(bins=2048)"),
    ]
