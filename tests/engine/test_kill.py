"""kill -9 at any moment: nothing torn, nothing lost, and the next build is right without cleaning up first."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from toy_build import expected

from npudsl.store.cache import Cache
from npudsl.store.results import read_result

SCRIPT = Path(__file__).with_name("toy_build.py")


def start(cache: Path, seed: int) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(cache), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def check_everything(folder: Path) -> int:
    """Every result that is there can be read, and so can everything it names; returns how many there are."""
    cache = Cache(folder)
    paths = list((folder / "ac").glob("*/*"))
    for path in paths:
        if path.name.startswith("."):
            continue
        result = read_result(path)
        assert result is not None, path
        for blob in result.tree.values():
            assert len(cache.content.read_bytes(blob)) == blob.size
    verified = cache.verify()
    assert verified.damaged == ()
    cache.close()
    return len(paths)


def kill_many(folder: Path, rounds: int) -> None:
    began = time.monotonic()
    process = start(folder, 0)
    assert process.communicate()[0].strip() == expected(0)
    whole = time.monotonic() - began
    chance = random.Random(7)
    for seed in range(1, rounds + 1):
        process = start(folder, seed)
        time.sleep(chance.uniform(0.3, 1.0) * whole)
        process.kill()
        process.communicate()
        check_everything(folder)
        if seed % 5 == 0:
            out, errors = start(folder, seed).communicate()
            assert (out.strip(), errors) == (expected(seed), "")
    out, errors = start(folder, rounds).communicate()
    assert (out.strip(), errors) == (expected(rounds), "")


def test_ten_kills(tmp_path):
    kill_many(tmp_path / "cache", 10)


@pytest.mark.slow
def test_two_hundred_kills(tmp_path):
    kill_many(tmp_path / "cache", 200)


@pytest.mark.parametrize("builds", [2, 4])
def test_builds_at_once_compute_each_part_once(tmp_path, builds):
    processes = [start(tmp_path / "cache", 1) for _ in range(builds)]
    outcomes = [process.communicate() for process in processes]
    assert [(out.strip(), errors) for out, errors in outcomes] == [(expected(1), "")] * builds
    check_everything(tmp_path / "cache")
    assert list((tmp_path / "cache" / "locks").iterdir()) == []
    assert list((tmp_path / "cache" / "roots").iterdir()) == []
