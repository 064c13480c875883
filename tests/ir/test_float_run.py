"""Float runs give the numbers of the operators as written, whatever the runtime likes to rewrite."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx_models import parse

from npudsl.ir.float_run import run, session

STEM = """net (float[1,1,5,5] x) => (float[1,1,3,3] y) {
  p = Pad(x, n) y = MaxPool<kernel_shape=[3,3], strides=[2,2]>(p)
}"""


def stem() -> bytes:
    return parse(STEM, n=np.array([0, 0, 1, 1, 0, 0, 1, 1]))


@pytest.mark.parametrize("optimize", [True, False])
def test_a_zero_pad_in_front_of_max_pool_counts_as_zero(optimize: bool) -> None:
    negative = np.full((1, 1, 5, 5), -2, np.float32)
    found = run(session(stem(), optimize=optimize), {"x": negative})["y"][0, 0]
    np.testing.assert_array_equal(found, [[0, 0, 0], [0, -2, 0], [0, 0, 0]])


def test_without_the_switch_the_runtime_gives_other_numbers() -> None:
    """The reason for the switch; when this fails with a newer runtime, the switch may go."""
    negative = np.full((1, 1, 5, 5), -2, np.float32)
    plain = onnxruntime.InferenceSession(stem(), providers=["CPUExecutionProvider"])
    assert (plain.run(None, {"x": negative})[0] == -2).all()


def test_threads_do_not_change_a_result() -> None:
    sample = {"x": np.random.default_rng(0).standard_normal((1, 1, 5, 5)).astype(np.float32)}
    np.testing.assert_array_equal(run(session(stem(), threads=2), sample)["y"], run(session(stem()), sample)["y"])
