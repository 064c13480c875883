"""What two locks say differently."""

from __future__ import annotations

from npudsl.artifacts.lock_diff import InputChange, input_changes, metric_pairs
from npudsl.artifacts.lock_file import LockFile, read_lock

OLD = """\
npu-lock 1 tool=0.1.0 language=1
default quantize.u8.algorithm=minmax
file net.onnx sha256=1f3a09c2 bytes=100
dataset calib samples=50 sha256=77b0e41d
metric accept cosine logits 0.98000
metric accept sqnr a 30.00000
metric accept sqnr b 31.00000
metric accept top1 logits 98%
"""

NEW = """\
npu-lock 1 tool=0.2.0 language=1
default quantize.u8.algorithm=kl(bins=2048)
file net.onnx sha256=2f3a09c2 bytes=120
dataset calib samples=50 sha256=77b0e41d
dataset test samples=10 sha256=87b0e41d
metric accept cosine boxes 0.99000
metric accept sqnr b 33.00000
metric accept sqnr c 32.00000
metric accept top1 logits 98%
"""


def lock(text: str) -> LockFile:
    return read_lock(text, "net.lock")


def test_files_data_defaults_and_the_tool_are_compared():
    assert input_changes(lock(OLD), lock(NEW)) == [
        InputChange("tool", "npudsl", "0.1.0", "0.2.0"),
        InputChange("file", "net.onnx", "100 bytes, sha256 1f3a09c2", "120 bytes, sha256 2f3a09c2"),
        InputChange("dataset", "test", "", "10 samples, sha256 87b0e41d"),
        InputChange("default", "quantize.u8.algorithm", "minmax", "kl(bins=2048)"),
    ]


def test_equal_locks_and_a_missing_one_have_no_changes():
    assert input_changes(lock(OLD), lock(OLD)) == []
    assert input_changes(None, lock(OLD)) == []


def test_a_metric_that_stands_once_is_one_question_whichever_output_was_the_worst():
    pairs = {(pair.metric, pair.on): (pair.old, pair.new) for pair in metric_pairs(lock(OLD), lock(NEW))}

    assert pairs == {
        ("cosine", "boxes"): (0.98, 0.99),
        ("sqnr", "b"): (31.0, 33.0),
        ("sqnr", "c"): (None, 32.0),
        ("sqnr", "a"): (30.0, None),
        ("top1", "logits"): (0.98, 0.98),
    }


def test_only_other_values_are_changes():
    changed = {pair.metric for pair in metric_pairs(lock(OLD), lock(NEW)) if pair.changed}

    assert changed == {"cosine", "sqnr"}
