"""Accidents: killed builds, builds at once, damaged files, full disks, wrong clocks. The next build is right."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from npu_command import Npu, digits_copy

from npudsl.store.cache import Cache

PROGRAM = "digits.npu"


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Npu:
    npu = digits_copy(tmp_path_factory.mktemp("faults"))
    npu("build", PROGRAM, "-q")
    return npu


@pytest.fixture
def npu(built: Npu, tmp_path: Path) -> Npu:
    """A private copy of the built project in a place of its own, up to date."""
    shutil.copytree(built.folder, tmp_path / "project")
    shutil.copytree(built.cache, tmp_path / "cache", ignore=shutil.ignore_patterns("locks"))
    fresh = Npu(tmp_path / "project", tmp_path / "cache")
    fresh("build", PROGRAM, "-q")
    return fresh


def ran(npu: Npu, *arguments: str) -> dict[str, int]:
    """Build and say how many parts of which step really ran."""
    (build,) = json.loads(npu("build", PROGRAM, "--json", *arguments).out)["builds"]
    return {step["step"]: step["parts_ran"] for step in build["steps"] if step["ran"]}


def products(npu: Npu) -> dict[str, bytes]:
    """Everything that a build answers for."""
    files = [*(npu.folder / "out").rglob("*"), *npu.folder.glob("*.quant"), *npu.folder.glob("*.lock")]
    return {str(path.relative_to(npu.folder)): path.read_bytes() for path in files if path.is_file()}


def fresh(folder: Path, built: Npu) -> Npu:
    """The example with an empty cache, except for kernels that are compiled already."""
    npu = digits_copy(folder)
    if (built.cache / "native").is_dir():
        shutil.copytree(built.cache / "native", npu.cache / "native")
    return npu


def start(npu: Npu) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "npudsl.cli", "build", PROGRAM, "-q"],
        cwd=npu.folder,
        env={**os.environ, "NPUDSL_CACHE": str(npu.cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_many(npu: Npu, wanted: dict[str, bytes], rounds: int) -> None:
    """Edit, build, kill; after every round the cache is whole, and the build of the first text is right in the end."""
    text = (npu.folder / PROGRAM).read_text()
    chance = random.Random(11)
    for turn in range(rounds):
        changed = text.replace("algorithm = minmax", f"algorithm = percentile(99.{turn % 900 + 100}%)")
        (npu.folder / PROGRAM).write_text(changed.replace("samples = 50", f"samples = {30 + turn % 20}"))
        process = start(npu)
        time.sleep(chance.uniform(0.2, 1.3))
        process.kill()
        process.communicate()
        cache = Cache(npu.cache)
        assert cache.verify().damaged == ()
        cache.close()
    (npu.folder / PROGRAM).write_text(text)
    npu("build", PROGRAM, "-q")
    assert products(npu) == wanted
    assert ran(npu) == {}


def test_killed_builds_leave_nothing_wrong_behind(npu, built):
    kill_many(npu, products(built), 6)


@pytest.mark.slow
def test_sixty_killed_builds_leave_nothing_wrong_behind(npu, built):
    kill_many(npu, products(built), 60)


@pytest.mark.parametrize("builds", [2, 4])
def test_builds_of_one_pipeline_at_once_all_succeed(tmp_path, built, builds):
    npu = fresh(tmp_path, built)
    running = [start(npu) for _ in range(builds)]
    for process in running:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors.decode()
    assert products(npu) == products(built)
    assert ran(npu) == {}


def test_builds_of_two_texts_at_once_leave_the_last_text_right(npu, built):
    wanted = products(built)
    text = (npu.folder / PROGRAM).read_text()
    (npu.folder / PROGRAM).write_text(text.replace("algorithm = minmax", "algorithm = percentile(99.9%)"))
    first = start(npu)
    time.sleep(0.7)
    (npu.folder / PROGRAM).write_text(text)
    second = start(npu)
    for process in (first, second):
        process.communicate(timeout=300)
    npu("build", PROGRAM, "-q")
    assert products(npu) == wanted


# --- damage ---


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.chmod(0o644)
    path.write_bytes(bytes(data))


def truncate(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


STORED = {
    "blobs": lambda npu: sorted(npu.cache.glob("cas/*/*")),
    "results": lambda npu: sorted(npu.cache.glob("ac/*/*")),
    "index": lambda npu: [npu.cache / "index" / "cache.db"],
    "snapshot": lambda npu: [npu.folder / ".npudsl" / "digits.state"],
    "digests of files": lambda npu: [npu.folder / ".npudsl" / "digits.files.json"],
    "memory": lambda npu: [npu.folder / ".npudsl" / "digits.last.json"],
    "list of outputs": lambda npu: [npu.folder / ".npudsl" / "digits.outputs.json"],
    "size": lambda npu: [npu.cache / "size.json"],
}


@pytest.mark.parametrize("damage", [flip, truncate])
@pytest.mark.parametrize("stored", STORED)
def test_damage_to_a_stored_file_is_noticed_and_mended(npu, built, stored, damage):
    paths = STORED[stored](npu)
    assert paths
    for path in paths:
        damage(path)
    npu.edit(PROGRAM, "# Handwritten digits", "# Digits")
    shutil.rmtree(npu.folder / "out")
    npu("build", PROGRAM, "-q")
    assert products(npu) == products(built)
    assert ran(npu) == {}


def test_a_missing_blob_whose_result_is_there_is_made_again(npu, built):
    for number, path in enumerate(sorted(npu.cache.glob("cas/*/*"))):
        if number % 3 == 0:
            path.unlink()
    npu.edit(PROGRAM, "# Handwritten digits", "# Digits")
    shutil.rmtree(npu.folder / "out")
    assert npu("plan", PROGRAM).code == 0
    npu("build", PROGRAM, "-q")
    assert products(npu) == products(built)
    assert ran(npu) == {}


@pytest.mark.parametrize("what", ["cache/index", "project/.npudsl", "cache"])
def test_what_may_be_deleted_may_be_deleted(npu, built, tmp_path, what):
    shutil.copytree(npu.cache / "native", tmp_path / "native")
    shutil.rmtree(tmp_path / what)
    shutil.copytree(tmp_path / "native", npu.cache / "native", dirs_exist_ok=True)
    npu.edit(PROGRAM, "# Handwritten digits", "# Digits")
    done = ran(npu)
    assert (done == {}) == (what != "cache")
    assert products(npu) == products(built)


# --- tampering ---


def test_an_export_in_the_cache_that_names_a_file_outside_writes_none(npu):
    cache = Cache(npu.cache)
    for path in npu.cache.glob("ac/*/*"):
        result = cache.results.get(path.name)
        if result is None or "bundle.json" not in result.tree:
            continue
        bundle = cache.content.read_json(result.tree["bundle.json"])
        bundle["files"] = ["../../../outside" for _ in bundle["files"]]
        (name, *_) = [name for name in result.tree if name.startswith("files/")]
        tree = {**result.tree, "bundle.json": cache.content.write_json(bundle)}
        cache.publish(path.name, {**tree, "files/../../../outside": result.tree[name]}, 1.0)
    cache.close()
    npu.edit(PROGRAM, "# Handwritten digits", "# Digits")
    outcome = npu("build", PROGRAM, "-q", code=5)
    assert "error[E0905]" in outcome.err
    assert not (npu.folder.parent / "outside").exists()
    assert not (npu.folder / "outside").exists()


def test_a_result_with_a_path_for_a_digest_is_no_result(npu, built, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    from npudsl.store.sealed import seal, unseal

    for path in npu.cache.glob("ac/*/*"):
        record = unseal(path.read_bytes())
        for blob in record["tree"].values():
            blob["digest"] = "../../victim"
        path.chmod(0o644)
        path.write_bytes(seal(record))
    npu.edit(PROGRAM, "# Handwritten digits", "# Digits")
    assert ran(npu)["import"] == 1
    assert products(npu) == products(built)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize(
    ("old", "new"),
    [("exit 0", ""), ("digits: up to date", "digits: all is well")],
    ids=["nothing found", "summary"],
)
def test_a_snapshot_written_by_somebody_else_is_not_believed(npu, old, new):
    state = npu.folder / ".npudsl" / "digits.state"
    state.write_bytes(state.read_bytes().replace(old.encode(), new.encode()) + b" ")
    assert npu("build", PROGRAM).out.endswith("digits: up to date (11 steps)\n")


# --- disks ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(folder)]
    if os.getuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs root to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_under_the_cache_ends_no_build(tmp_path, small_disk, built):
    npu = Npu(digits_copy(tmp_path).folder, small_disk / "cache")
    outcome = npu("build", PROGRAM)
    assert outcome.err.count("No space left on device; what this build computes is not kept for the next one") == 1
    assert products(npu) == products(built)
    assert ran(npu) == {}


def test_a_read_only_cache_ends_no_build(tmp_path, small_disk, built):
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    npu = Npu(digits_copy(tmp_path).folder, small_disk / "cache")
    npu("build", PROGRAM, "-q", "--until", "quantize")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    outcome = npu("build", PROGRAM)
    assert outcome.err.count("is read-only; what this build computes is not kept for the next one") == 1
    assert products(npu) == products(built)
    assert ran(npu) == {}


def test_a_limit_on_the_size_of_files_ends_a_build_with_advice(tmp_path, built):
    npu = fresh(tmp_path, built)

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    done = subprocess.run(
        [sys.executable, "-m", "npudsl.cli", "build", PROGRAM, "-q"],
        cwd=npu.folder,
        env={**os.environ, "NPUDSL_CACHE": str(npu.cache), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "error[E0905]: there is no space left for results: File too large" in done.stderr
    npu("build", PROGRAM, "-q")
    assert products(npu) == products(built)


# --- clocks ---


@pytest.mark.parametrize("moment", [4_000_000_000, 1_000_000_000], ids=["in the future", "long ago"])
def test_an_edit_with_a_wrong_time_is_noticed(npu, moment):
    for name in (PROGRAM, "digits.onnx", "labels.txt"):
        os.utime(npu.folder / name, (moment, moment))
    assert ran(npu) == {}
    before = (npu.folder / PROGRAM).stat()
    text = (npu.folder / PROGRAM).read_text()
    assert "samples = 50" in text
    (npu.folder / PROGRAM).write_text(text.replace("samples = 50", "samples = 40"))
    os.utime(npu.folder / PROGRAM, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "calibrate:calibration" in ran(npu)


def test_a_clock_that_goes_back_makes_no_snapshot_stale(npu):
    from npudsl.engine import snapshot

    state = npu.folder / ".npudsl" / "digits.state"
    future = 4_000_000_000
    os.utime(npu.folder / "labels.txt", (future, future))
    npu("build", PROGRAM, "-q")
    line = next(line for line in state.read_text().split("\n") if line.endswith("labels.txt"))
    assert " ? " in line, "a time in the future is never believed"
    assert snapshot.up_to_date(str(npu.folder / PROGRAM), "", snapshot.identity()) is not None
