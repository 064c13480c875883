"""Stories of one user with one pipeline: the first build, the next builds, and what each edit costs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from npu_command import Npu, digits_copy

PROGRAM = "digits.npu"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Npu:
    """A project that has been built; tests copy it before they change anything."""
    npu = digits_copy(tmp_path_factory.mktemp("digits"))
    npu("build", PROGRAM, "-q")
    return npu


@pytest.fixture
def npu(built: Npu, tmp_path: Path) -> Npu:
    """A private copy of the built project, with a private copy of its cache."""
    shutil.copytree(built.folder, tmp_path / "project")
    shutil.copytree(built.cache, tmp_path / "cache", ignore=shutil.ignore_patterns("locks"))
    fresh = Npu(tmp_path / "project", tmp_path / "cache")
    fresh("build", PROGRAM, "-q")
    return fresh


def ran(npu: Npu, *arguments: str, code: int | None = 0) -> dict[str, int]:
    """Build and say how many parts of which step really ran."""
    outcome = npu("build", PROGRAM, "--json", *arguments, code=code)
    (build,) = json.loads(outcome.out)["builds"]
    return {step["step"]: step["parts_ran"] for step in build["steps"] if step["ran"]}


def said(npu: Npu) -> dict[str, list[str]]:
    """What the plan says will run: step to names of parts."""
    (plan,) = json.loads(npu("plan", PROGRAM, "--json").out)["plans"]
    return {step["id"]: step["parts_to_run"] for step in plan["steps"] if step["verdict"] == "run"}


def test_the_first_build_leaves_tables_lock_and_exports(built):
    assert (built.folder / "digits.u8.quant").read_text().startswith("npu-quant 1 variant=u8 ")
    assert (built.folder / "digits.hybrid.quant").is_file()
    assert (built.folder / "digits.lock").read_text().startswith("npu-lock 1 ")
    assert (built.folder / "out" / "digits_hybrid.onnx").is_file()
    assert (built.folder / "out" / "digits_c" / "Makefile").is_file()


def test_the_exported_c_project_gives_the_simulators_bytes(npu):
    if shutil.which("make") is None or shutil.which("gcc") is None:
        pytest.skip("needs make and gcc")
    project = npu.folder / "out" / "digits_c"
    done = subprocess.run(["make", "-C", str(project), "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    subprocess.run(["./digits", "weights.bin", "golden/input_0.dat"], cwd=project, check=True, capture_output=True)
    (golden,) = (project / "golden").glob("output0_*.dat")
    assert (project / golden.name).read_bytes() == golden.read_bytes()


def test_a_second_build_has_nothing_to_do_and_loads_nothing_heavy(npu):
    outcome = npu("build", PROGRAM)
    assert outcome.out == "digits: up to date (11 steps)\n"
    script = (
        "import sys; sys.argv = ['npu', 'build', 'digits.npu']\n"
        "from npudsl.cli.start import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'lark', 'networkx', 'diskcache', 'typer', 'rich', 'yaml', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", script], cwd=npu.folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "edit",
    [
        ("# Handwritten digits", "# Handwritten\n# digits"),
        ("  scheme = asymmetric_affine\n", "\n\n      scheme   =   asymmetric_affine   # the usual one\n"),
        ("npu 1\n", 'npu 1\n\nlet unused_before = 1\nlet folder = "images"\n'),
        ('because "', 'because "again, '),
    ],
    ids=["comment", "space", "let", "reason"],
)
def test_an_edit_without_meaning_runs_nothing(npu, edit):
    npu.edit(PROGRAM, *edit)
    assert said(npu) == {}
    assert ran(npu) == {}


def test_deleted_outputs_come_back_without_running_a_step(npu):
    shutil.rmtree(npu.folder / "out")
    (npu.folder / "digits.u8.quant").unlink()
    assert ran(npu) == {}
    assert (npu.folder / "out" / "digits_c" / "Makefile").is_file()
    assert (npu.folder / "digits.u8.quant").is_file()


def test_an_output_overwritten_by_hand_is_restored(npu):
    makefile = npu.folder / "out" / "digits_c" / "Makefile"
    before = makefile.read_text()
    makefile.write_text("garbage")
    assert ran(npu) == {}
    assert makefile.read_text() == before


def test_one_override_runs_one_part_and_the_end_of_the_network_as_the_plan_had_said(npu):
    npu.edit(PROGRAM, "quantize hybrid from u8 {\n", 'quantize hybrid from u8 {\n  layer "/classifier/Gemm" type=i16\n')
    promised = said(npu)
    assert promised["quantize:hybrid"] == ["layer//classifier/Gemm"]
    assert "quantize:u8" not in promised
    assert "import" not in promised
    done = ran(npu)
    assert done["quantize:hybrid"] == 1
    assert 0 < done["simulate:hybrid/test"] <= len(promised["simulate:hybrid/test"]) < 20
    assert set(done) == set(promised)


def test_a_changed_setting_put_back_runs_nothing(npu):
    npu.edit(PROGRAM, "algorithm = minmax", "algorithm = kl")
    ran(npu, code=None)
    npu.edit(PROGRAM, "algorithm = kl", "algorithm = minmax")
    assert ran(npu) == {}


def test_another_algorithm_runs_no_inference(npu):
    npu.edit(PROGRAM, "algorithm = minmax", "algorithm = kl")
    done = ran(npu, code=None)
    assert "calibrate:calibration" not in done
    assert "simulate:float/test" not in done
    assert done["quantize:u8"] > 0


def test_more_images_run_those_images_alone(npu):
    npu.edit(PROGRAM, "samples = 50", "samples = 66")
    npu.edit(PROGRAM, "skip = 50", "skip = 66")
    promised = said(npu)["calibrate:calibration"]
    assert len(promised) == 1
    assert ran(npu)["calibrate:calibration"] == 1
    expansion = json.loads((npu.folder / ".npudsl" / "digits.last.json").read_text())
    parts = expansion["steps"]["calibrate:calibration"]["parts"]
    assert sorted(len(action["record"]["samples"]) for _, _, action, _, _ in parts) == [2, 16, 16, 16, 16]


def test_a_requirement_that_fails_decides_the_exit_code_and_stays_failed(npu):
    npu.edit(PROGRAM, "require top1_agreement >= 99%", "require sqnr >= 90")
    outcome = npu("build", PROGRAM, "-q", code=1)
    assert "error[E0701]: sqnr" in outcome.err
    assert "digits.npu:" in outcome.err
    assert (npu.folder / "out" / "digits_c" / "Makefile").is_file()
    later = npu("build", PROGRAM, code=1)
    assert later.out.startswith("digits: up to date")
    assert "E0701" in later.out


def test_two_builds_at_once_both_succeed(tmp_path):
    npu = digits_copy(tmp_path)
    import os
    import sys

    command = [sys.executable, "-m", "npudsl.cli", "build", PROGRAM, "-q"]
    environment = {**os.environ, "NPUDSL_CACHE": str(npu.cache)}
    running = [
        subprocess.Popen(command, cwd=npu.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    assert ran(npu) == {}


def test_a_killed_build_is_continued(tmp_path):
    import os
    import signal
    import sys
    import time

    npu = digits_copy(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-m", "npudsl.cli", "build", PROGRAM, "-q"],
        cwd=npu.folder,
        env={**os.environ, "NPUDSL_CACHE": str(npu.cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline and not list(npu.cache.glob("ac/*/*")):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    npu("build", PROGRAM, "-q")
    assert ran(npu) == {}
