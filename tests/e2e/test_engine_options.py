"""The options of `npu build`, and what an interrupted or failed build leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from npu_command import Npu, digits_copy

PROGRAM = "digits.npu"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Npu:
    npu = digits_copy(tmp_path_factory.mktemp("options"))
    npu("build", PROGRAM, "-q")
    return npu


@pytest.fixture
def npu(built: Npu, tmp_path: Path) -> Npu:
    shutil.copytree(built.folder, tmp_path / "project")
    shutil.copytree(built.cache, tmp_path / "cache", ignore=shutil.ignore_patterns("locks"))
    return Npu(tmp_path / "project", tmp_path / "cache")


@pytest.fixture
def fresh(built: Npu, tmp_path: Path) -> Npu:
    """The example as it is checked out, with nothing built but the kernels."""
    npu = digits_copy(tmp_path)
    if (built.cache / "native").is_dir():
        shutil.copytree(built.cache / "native", npu.cache / "native")
    return npu


def ran(npu: Npu, *arguments: str, code: int = 0) -> dict[str, int]:
    (build,) = json.loads(npu("build", PROGRAM, "--json", *arguments, code=code).out)["builds"]
    return {step["step"]: step["parts_ran"] for step in build["steps"] if step["ran"]}


def committed(npu: Npu) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*npu.folder.glob("*.quant"), *npu.folder.glob("*.lock")]}


def test_the_number_of_workers_does_not_count(fresh, built):
    fresh("build", PROGRAM, "-q", "-j", "1")
    assert committed(fresh) == committed(built)
    assert ran(fresh, "-j", "7") == {}


def test_until_stops_there_and_the_next_build_goes_on(fresh, built):
    done = ran(fresh, "--until", "quantize:u8")
    assert set(done) == {"import", "calibrate:calibration", "quantize:u8"}
    assert committed(fresh) == {}
    assert not {"import", "calibrate:calibration", "quantize:u8"} & set(ran(fresh))
    assert committed(fresh) == committed(built)


def test_force_runs_a_step_and_nothing_behind_it(npu):
    assert set(ran(npu, "--force", "quantize:u8")) == {"quantize:u8"}
    outcome = npu("build", PROGRAM, "--force", "quantise:u8", code=1)
    assert "did you mean `quantize:u8`?" in outcome.err


# --- the lock ---


def test_locked_builds_when_everything_fits(npu):
    assert ran(npu, "--locked") == {}
    assert npu("lock", "--check").out == "lock and tables fit\n"


def test_locked_refuses_before_anything_runs_and_names_the_lines(npu):
    before = committed(npu)
    npu.edit(PROGRAM, "samples = 50", "samples = 40")
    for arguments in (["build", PROGRAM, "--locked"], ["lock", "--check", PROGRAM]):
        outcome = npu(*arguments, code=1)
        assert "error[E0801]: line 3 does not fit" in outcome.err
        assert "- dataset calibration samples=50" in outcome.err
        assert "+ dataset calibration samples=40" in outcome.err
        assert "digits.u8.quant was made with other calibration samples" in outcome.err
        assert "ran" not in outcome.err.split("error")[0]
    assert committed(npu) == before
    found = json.loads(npu("lock", "--check", "--json", code=1).out)
    assert {item["code"] for item in found["diagnostics"]} == {"E0801"}


def test_locked_refuses_a_table_that_does_not_fit_what_was_made(npu):
    table = npu.folder / "digits.u8.quant"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*lines[:2], *lines[3:]]))
    outcome = npu("build", PROGRAM, "-q", "--locked", code=1)
    assert "error[E0801]: digits.u8.quant does not fit what this build made" in outcome.err
    assert table.read_text() == "".join([*lines[:2], *lines[3:]])
    npu("build", PROGRAM, "-q")
    assert table.read_text() == "".join(lines)


def test_a_lock_that_is_missing_is_named(npu):
    (npu.folder / "digits.lock").unlink()
    assert "error[E0801]: digits.lock is missing" in npu("lock", "--check", code=1).err


def test_lock_names_lines_about_nothing(npu):
    lock = npu.folder / "digits.lock"
    lock.write_text(lock.read_text().replace("reason hybrid", "metric gone cosine scores 0.50000\nreason hybrid"))
    (npu.folder / "digits.old.quant").write_text((npu.folder / "digits.u8.quant").read_text())
    outcome = npu("lock", "--check", code=1)
    assert "is about nothing in the program: metric gone cosine scores 0.50000" in outcome.err
    assert "digits.old.quant belongs to no variant of the program" in outcome.err


def shifted(text: str, share: float) -> tuple[str, str]:
    """A table with the first ``hi=`` moved by a share of itself, and the line."""
    line = next(line for line in text.splitlines() if line.startswith("act") and " hi=" in line)
    value = line.split(" hi=")[1].split()[0]
    moved = line.replace(f" hi={value}", f" hi={float(value) * (1 + share):.6g}")
    return text.replace(line, moved), moved


def test_relock_takes_fresh_ranges(npu, built):
    table = npu.folder / "digits.u8.quant"
    text, moved = shifted(table.read_text(), 1e-5)
    assert moved not in table.read_text()
    table.write_text(text)
    npu("build", PROGRAM, "-q")
    assert moved.split(" scale=")[0] in table.read_text()
    npu("build", PROGRAM, "-q", "--relock")
    assert committed(npu) == committed(built)


def conflicted(text: str, number: int) -> str:
    """A text with a merge conflict in one line."""
    lines = text.splitlines(keepends=True)
    theirs = lines[number].replace("0", "9")
    lines[number] = f"<<<<<<< HEAD\n{lines[number]}=======\n{theirs}>>>>>>> theirs\n"
    return "".join(lines)


@pytest.mark.parametrize("name", ["digits.lock", "digits.u8.quant"])
@pytest.mark.parametrize("number", [0, 2])
def test_a_merge_conflict_is_diagnosed_and_resolved(npu, built, name, number):
    path = npu.folder / name
    path.write_text(conflicted(path.read_text(), number))
    outcome = npu("build", PROGRAM, "-q", code=1)
    assert "error[E0802]" in outcome.err
    assert "the mark of a merge conflict" in outcome.err
    assert "npu lock --resolve" in outcome.err
    assert "E0802" in npu("lock", "--check", code=1).err
    outcome = npu("lock", "--resolve")
    assert f"{name}: our side taken" in outcome.out
    assert committed(npu) == committed(built)
    assert npu("lock", "--check").out == "lock and tables fit\n"


def test_a_file_of_which_no_side_can_be_read_is_written_anew(npu, built):
    path = npu.folder / "digits.u8.quant"
    path.write_text("<<<<<<< HEAD\nnonsense\n=======\nmore nonsense\n>>>>>>> theirs\n")
    outcome = npu("lock", "--resolve")
    assert "digits.u8.quant: neither side could be read; written anew" in outcome.out
    assert committed(npu) == committed(built)


def test_lock_wants_one_thing(npu):
    assert "npu lock takes one of --check and --resolve" in npu("lock", code=1).err


# --- looking, and insisting ---


def test_explain_says_why_each_part_runs(npu):
    npu.edit(PROGRAM, "quantize hybrid from u8 {\n", 'quantize hybrid from u8 {\n  layer "/classifier/Gemm" type=i16\n')
    outcome = npu("build", PROGRAM, "--explain", code=None)
    (line,) = [line for line in outcome.err.splitlines() if "quantize:hybrid layer//classifier/Gemm:" in line]
    assert '.type: "u8" -> "i16"' in line


def test_require_cached_names_the_first_miss_and_runs_nothing(npu):
    assert ran(npu, "--require-cached") == {}
    npu.edit(PROGRAM, "algorithm = minmax", "algorithm = kl")
    before = committed(npu)
    outcome = npu("build", PROGRAM, "-q", "--require-cached", code=1)
    assert "error[E0803]: the result of quantize:u8 " in outcome.err
    assert 'algorithm: "minmax" -> "kl"' in outcome.err
    assert committed(npu) == before


def test_json_is_one_document_and_events_are_lines(npu):
    npu.edit(PROGRAM, "algorithm = minmax", "algorithm = kl")
    lines = [json.loads(line) for line in npu("build", PROGRAM, "--json-events", code=None).out.splitlines()]
    assert lines[-1]["event"] == "build-finished"
    assert lines[-1]["program"] == "digits"
    kinds = [line["event"] for line in lines]
    assert kinds.count("step-started") == kinds.count("step-finished") == 11
    part = next(line for line in lines if line["event"] == "part-finished" and line["status"] == "ran")
    assert part["reason"]
    assert json.loads(npu("build", PROGRAM, "--json", code=None).out)["format"] == 1


def test_a_step_that_repeats_itself_is_said_to(npu):
    outcome = npu("build", PROGRAM, "-q", "--check-determinism", "quantize:u8")
    assert outcome.out == "quantize:u8: two runs of 10 parts and joins made the same, and what the cache holds\n"


def test_a_step_that_does_not_repeat_itself_is_an_error(npu):
    from npudsl.api.determinism import disagreements

    same = {"step": {"part": {"x": "1"}, "": {"x": "3"}}}
    assert disagreements({"run 1": same, "run 2": same}) == []
    (found,) = disagreements({"run 1": same, "run 2": {"step": {"part": {"x": "2"}, "": {"x": "3"}}}})
    assert (found.code, found.message) == ("E0804", "step part does not repeat itself")


def test_keep_going_does_what_it_can(fresh):
    (fresh.folder / "images" / "0121.png").write_bytes(b"no picture")
    outcome = fresh("build", PROGRAM, "--keep-going", code=1)
    assert "0121.png" in outcome.err
    assert "simulate:float/test: failed:" in outcome.err
    assert (fresh.folder / "out" / "digits_c" / "Makefile").is_file()
    assert (fresh.folder / "digits.u8.quant").is_file()
    assert not (fresh.folder / "digits.lock").exists()
    again = fresh("build", PROGRAM, "-q", code=1)
    assert "0121.png" in again.err
    assert "step-failed" in fresh("build", PROGRAM, "-k", "--json-events", code=1).out


# --- interruption ---


def interrupted(npu: Npu, *arguments: str, after: int) -> tuple[int, float, str]:
    """Exit code, seconds from SIGINT to the end, and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "npudsl.cli", "build", PROGRAM, *arguments],
        cwd=npu.folder,
        env={**os.environ, "NPUDSL_CACHE": str(npu.cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background shell hands on "ignored"
    )
    deadline = time.monotonic() + 60
    begun = npu.folder / ".npudsl"
    while process.poll() is None and time.monotonic() < deadline:
        if begun.is_dir() and len(list(npu.cache.glob("ac/*/*"))) >= after:
            break
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return process.returncode, time.monotonic() - started, errors


@pytest.mark.parametrize("after", [0, 2, 20])
def test_an_interrupted_build_ends_at_once_and_keeps_what_is_finished(fresh, after):
    code, seconds, errors = interrupted(fresh, "-q", after=after)
    assert code == 130, errors
    assert seconds < 5.0  # a second on a quiet machine
    assert len(errors.splitlines()) == 1
    assert errors.startswith("interrupted")
    kept = len(list(fresh.cache.glob("ac/*/*")))
    assert kept >= after
    done = ran(fresh)
    assert sum(done.values()) <= 97 - kept
