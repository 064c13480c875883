"""Advice on the number of calibration samples."""

from __future__ import annotations

import subprocess
import sys

import pytest

from npudsl.data.advice import dataset_advice


@pytest.mark.parametrize(
    ("samples", "algorithms", "warned"),
    [
        (1, ["minmax"], True),
        (9, ["minmax"], True),
        (10, ["minmax"], False),
        (99, ["minmax", "kl"], True),
        (100, ["kl"], False),
        (99, ["percentile"], False),
        (5, ["kl"], True),
    ],
)
def test_few_samples_are_a_warning(samples: int, algorithms: list[str], warned: bool) -> None:
    found = dataset_advice("calib", samples, algorithms)
    assert [diagnostic.code for diagnostic in found] == (["W0510"] if warned else [])
    for diagnostic in found:
        assert diagnostic.severity == "warning"
        assert diagnostic.subject == "dataset[calib]"
        assert f"with {samples} sample" in diagnostic.message


def test_planning_needs_no_array_library() -> None:
    modules = "npudsl.data.resolve, npudsl.data.preprocess, npudsl.data.advice, npudsl.steps.calibrate.kind"
    code = f"import sys, {modules}; assert not {{'numpy', 'PIL', 'onnx', 'onnxruntime'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
