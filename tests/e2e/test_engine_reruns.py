"""What an edit costs, event by event, on a real pipeline: never stale, never redone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from npu_command import Npu, digits_copy

PROGRAM = "digits.npu"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Npu:
    npu = digits_copy(tmp_path_factory.mktemp("reruns"))
    npu("build", PROGRAM, "-q")
    return npu


@pytest.fixture
def npu(built: Npu, tmp_path: Path) -> Npu:
    shutil.copytree(built.folder, tmp_path / "project")
    shutil.copytree(built.cache, tmp_path / "cache", ignore=shutil.ignore_patterns("locks"))
    return Npu(tmp_path / "project", tmp_path / "cache")


def ran(npu: Npu, *arguments: str, code: int = 0) -> dict[str, int]:
    """Build and say how many parts of which step really ran."""
    (build,) = json.loads(npu("build", PROGRAM, "--json", *arguments, code=code).out)["builds"]
    return {step["step"]: step["parts_ran"] for step in build["steps"] if step["ran"]}


def touch_everything(npu: Npu) -> None:
    for path in npu.folder.rglob("*"):
        if path.is_file() and ".npudsl" not in path.parts:
            os.utime(path, (2_000_000_000, 2_000_000_000))


def describe_the_model(npu: Npu) -> None:
    import onnx

    model = onnx.load(npu.folder / "digits.onnx")
    model.doc_string = "the same network, described"
    model.producer_name = "somebody"
    onnx.save(model, npu.folder / "digits.onnx")


def another_algorithm(npu: Npu) -> None:
    npu.edit(PROGRAM, "algorithm = minmax", "algorithm = percentile(99.99%)")


def overwrite_outputs(npu: Npu) -> None:
    for name in ("out/digits_hybrid.onnx", "out/digits_c/Makefile", "digits.lock", "digits.u8.quant"):
        text = (npu.folder / name).read_bytes()
        (npu.folder / name).write_bytes(b"\n" * len(text) if "out" in name else text)
    (npu.folder / "out" / "digits_c" / "weights.bin").unlink()


def edit_and_put_back(npu: Npu) -> None:
    before = (npu.folder / PROGRAM).read_text()
    another_algorithm(npu)
    npu("build", PROGRAM, "-q", code=None)
    (npu.folder / PROGRAM).write_text(before)


ROWS: dict[str, tuple[Callable[[Npu], None], set[str]]] = {
    "touch": (touch_everything, set()),
    "a step that makes what it made before": (describe_the_model, {"import"}),
    "outputs overwritten by hand": (overwrite_outputs, set()),
    "input put back": (edit_and_put_back, set()),
}


@pytest.mark.parametrize("row", ROWS)
def test_only_what_an_event_changes_runs_again(npu, row):
    event, expected = ROWS[row]
    wanted = {
        path.relative_to(npu.folder): path.read_bytes() for path in (npu.folder / "out").rglob("*") if path.is_file()
    }
    event(npu)
    assert set(ran(npu)) == expected
    for name, data in wanted.items():
        assert (npu.folder / name).read_bytes() == data
    assert npu("build", PROGRAM).out == "digits: up to date (11 steps)\n"


def test_a_changed_setting_runs_what_reads_it(npu):
    another_algorithm(npu)
    done = ran(npu, code=None)
    assert {"quantize:u8", "quantize:hybrid"} <= set(done)
    assert not {"import", "calibrate:calibration", "simulate:float/test"} & set(done)


def test_a_copied_project_is_not_answered_from_the_place_it_came_from(npu, built):
    (npu.folder / "out" / "digits_c" / "Makefile").write_text("not what was built")
    ran(npu)
    copied = (npu.folder / "out" / "digits_c" / "Makefile").read_text()
    assert copied == (built.folder / "out" / "digits_c" / "Makefile").read_text()


def test_an_input_that_changes_while_the_build_runs_leaves_no_snapshot(npu, monkeypatch):
    from npudsl.api import build
    from npudsl.api.build import build_program

    monkeypatch.setenv("NPUDSL_CACHE", str(npu.cache))
    judge = build._judge

    def edit_meanwhile(*arguments):
        npu.edit(PROGRAM, "# Handwritten digits", "# Edited during the build")
        return judge(*arguments)

    monkeypatch.setattr(build, "_judge", edit_meanwhile)
    build_program(npu.folder / PROGRAM)
    monkeypatch.undo()
    assert not (npu.folder / ".npudsl" / "digits.state").exists() or ran(npu) == {}


def test_a_table_edited_while_the_build_runs_is_left_alone(npu, monkeypatch):
    from npudsl.api import build
    from npudsl.api.build import build_program

    monkeypatch.setenv("NPUDSL_CACHE", str(npu.cache))
    judge, table = build._judge, npu.folder / "digits.u8.quant"
    another_algorithm(npu)

    def edit_meanwhile(*arguments):
        table.write_text(table.read_text() + "# mine\n")
        return judge(*arguments)

    monkeypatch.setattr(build, "_judge", edit_meanwhile)
    report = build_program(npu.folder / PROGRAM)
    assert table.read_text().endswith("# mine\n")
    assert any("digits.u8.quant was changed while the build ran" in note for note in report.notes)
    assert not (npu.folder / ".npudsl" / "digits.state").exists()


def test_a_left_over_that_was_changed_by_hand_stays(npu):
    npu("build", PROGRAM, "-q")
    makefile = npu.folder / "out" / "digits_c" / "Makefile"
    makefile.write_text("all: mine\n")
    weights = npu.folder / "out" / "digits_c" / "weights.bin"
    npu.edit(PROGRAM, 'out = "out/digits_c"', 'out = "out/other"')
    npu("build", PROGRAM, "-q")
    assert makefile.read_text() == "all: mine\n"
    assert not weights.exists()
    assert (npu.folder / "out" / "other" / "weights.bin").is_file()


def test_a_root_given_from_another_folder_is_another_root(tmp_path):
    npu = digits_copy(tmp_path)
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    shutil.move(npu.folder / "digits.onnx", zoo / "digits.onnx")
    npu.edit(PROGRAM, 'file = "digits.onnx"', 'file = "@zoo/digits.onnx"')
    npu("build", PROGRAM, "-q", "--root", "zoo=../zoo")
    elsewhere = Npu(tmp_path, npu.cache)
    refused = elsewhere("build", f"project/{PROGRAM}", "--root", "zoo=../zoo", code=None)
    assert refused.code != 0
    assert elsewhere("build", f"project/{PROGRAM}", "--root", "zoo=zoo").out.startswith("digits: up to date")
