"""The kernels compiled for other processors than this one, and layers run with and without them."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from npudsl.machine.compiled import library as libraries
from npudsl.machine.execute import Machine
from npudsl.native.compiler import FLAGS
from npudsl.runtime_c import simulation_sources

PROCESSORS = {
    "no vectors we know": ("-march=x86-64", ()),
    "AVX2": ("-march=x86-64-v3", ("avx2",)),
    "AVX-512": ("-march=skylake-avx512", ("avx512bw", "avx512dq", "avx512vl")),
    "AVX-512 with dot products of bytes": ("-march=cascadelake", ("avx512bw", "avx512_vnni")),
}
"""``-march`` and the features that the processor must have to run it."""


def library_for(march, features, folder, *flags):
    """The kernels for some processor; skips the test where they cannot be compiled or run."""
    described = Path("/proc/cpuinfo")
    known = described.read_text().split() if described.exists() else []
    compiler = shutil.which("gcc")
    if compiler is None or not {"lm", *features} <= set(known):
        pytest.skip("needs gcc on a processor that runs its code")
    for name, text in simulation_sources().items():
        (folder / name).write_bytes(text)
    units = sorted(path.name for path in folder.glob("*.c"))
    common = [flag for flag in FLAGS if not flag.startswith("-march")]
    subprocess.run([compiler, *common, march, *flags, "-o", "kernels.so", *units], cwd=folder, check=True)
    return libraries.with_signatures(ctypes.CDLL(str(folder / "kernels.so")))


@contextmanager
def running_on(library):
    """Machines use ``library``; None: numpy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libraries, "kernel_library", lambda: library)
        yield


def assert_same_bytes(found, expected, what=""):
    assert found.keys() == expected.keys()
    for name, codes in expected.items():
        assert (found[name].dtype, found[name].shape) == (codes.dtype, codes.shape), f"{what} {name}"
        differing = np.count_nonzero(found[name] != codes)
        assert differing == 0, f"{what} {name}: {differing} of {codes.size} differ"


def assert_machines_agree(model, blobs, values, what=""):
    """Every value of the program, on the kernels at hand and in numpy."""
    expected = Machine(model, blobs, compiled=False).run(values, keep="all")
    assert_same_bytes(Machine(model, blobs).run(values, keep="all"), expected, what)
