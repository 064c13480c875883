"""Random networks: numpy machine, compiled machine and exported C give the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from c_project_cases import compiler, make, request_for, write_project
from random_graphs import Joined, joined, random_program

from npudsl.backends.c_project import export
from npudsl.machine.execute import Machine

pytestmark = pytest.mark.skipif(
    compiler() is None or shutil.which("make") is None, reason="needs gcc and make to build the exported project"
)

FEW = range(20)
MANY = range(1000, 1320)
AT_ONCE = 40
"""Networks in one project."""


def programs(seeds: range) -> Joined:
    """The networks of the seeds that a random variant accepts: nearly all."""
    found = {seed: program for seed in seeds if (program := random_program(seed)) is not None}
    assert len(found) >= 0.9 * len(seeds)
    return joined(found)


def assert_everybody_agrees(whole: Joined, folder: Path, *flags: str) -> None:
    """``whole.golden`` is what numpy says."""
    compiled = Machine(whole.model, whole.reader).run(whole.values, keep="all")
    assert [name for name, codes in compiled.items() if not np.array_equal(codes, whole.golden[name])] == []

    bundle = export(request_for(whole.model, whole.reader, whole.values, "random", golden=whole.golden))
    checked = make(write_project(bundle, folder), "check", *flags)
    assert checked.status == 0, checked.text
    assert f"ok   {len(whole.golden)} tensors, byte for byte" in checked.text


def test_a_few_random_networks_give_the_same_bytes_everywhere(tmp_path: Path) -> None:
    assert_everybody_agrees(programs(FEW), tmp_path, "CFLAGS=-O1")


@pytest.mark.slow
@pytest.mark.parametrize("first", range(MANY.start, MANY.stop, AT_ONCE))
def test_many_random_networks_give_the_same_bytes_everywhere(first: int, tmp_path: Path) -> None:
    assert_everybody_agrees(programs(range(first, first + AT_ONCE)), tmp_path)


@pytest.mark.slow
def test_random_networks_have_no_undefined_behaviour(tmp_path: Path) -> None:
    assert_everybody_agrees(programs(range(2000, 2040)), tmp_path, "SANITIZE=address,undefined", "CFLAGS=-O1 -g")
