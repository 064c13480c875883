"""Tests that run the machine do so twice: in numpy, which is the definition, and on the compiled kernels."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from npudsl.machine.compiled import library as libraries

sys.path.append(str(Path(__file__).parent.parent / "backends"))

BOTH = ("test_machine_", "test_onnxruntime_oracle", "test_vendor_facts", "test_input_codes")
"""Modules that run layers."""


def pytest_generate_tests(metafunc):
    if "arithmetic" in metafunc.fixturenames and metafunc.module.__name__.startswith(BOTH):
        metafunc.parametrize("arithmetic", ["numpy", "compiled"], indirect=True, scope="module")


@pytest.fixture(autouse=True, scope="module")
def arithmetic(request):
    """``numpy`` takes the compiled kernels away; otherwise the machine chooses."""
    chosen = getattr(request, "param", None)
    if chosen == "compiled" and libraries.kernel_library() is None:
        pytest.skip("there is no C compiler")
    with pytest.MonkeyPatch.context() as patch:
        if chosen == "numpy":
            patch.setattr(libraries, "kernel_library", lambda: None)
        yield
