"""The lock as text: golden lines, sticky metrics, and what the strict reader refuses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.artifacts.lock_file import (
    LockedDataset,
    LockedDefault,
    LockedFile,
    LockedMetric,
    LockedReason,
    LockedStep,
    LockFile,
    merge_sticky,
    metric_text,
    read_lock,
    render_lock,
)
from npudsl.diagnostics import UserError

DIGEST = "1f3a09c2" * 8

GOLDEN = f"""\
npu-lock 1 tool=0.1.0 language=1
default algorithm=minmax
default type=u8
file "models/a net.onnx" sha256={DIGEST} bytes=14191216
file models/a.txt sha256={DIGEST} bytes=0
dataset calib samples=500 sha256={DIGEST}
step calibrate:calib key=a90e77f1
step quantize:hybrid key=c83d20b4
metric accept cosine net/logits 0.99241
metric accept sqnr net/logits inf
metric accept top1_agreement * 98.9%
reason hybrid layer net/Conv_1/Conv2D "entropy 0.81, cosine \\"0.962\\" at u8"
"""

LOCK = LockFile(
    "0.1.0",
    1,
    (
        LockedReason("hybrid", "layer", "net/Conv_1/Conv2D", 'entropy 0.81, cosine "0.962" at u8'),
        LockedMetric("accept", "top1_agreement", "*", 0.989, percent=True),
        LockedMetric("accept", "sqnr", "net/logits", math.inf),
        LockedMetric("accept", "cosine", "net/logits", 0.9924149),
        LockedStep("quantize:hybrid", "c83d20b4"),
        LockedStep("calibrate:calib", "a90e77f1"),
        LockedDataset("calib", 500, DIGEST),
        LockedFile("models/a.txt", DIGEST, 0),
        LockedFile("models/a net.onnx", DIGEST, 14191216),
        LockedDefault("type", "u8"),
        LockedDefault("algorithm", "minmax"),
    ),
)


def test_lines_are_sorted_by_kind_and_name():
    assert render_lock(LOCK) == GOLDEN


def test_reading_a_lock_and_writing_it_gives_the_same_text():
    assert render_lock(read_lock(GOLDEN, "net.lock")) == GOLDEN


@pytest.mark.parametrize(
    ("value", "percent", "text"),
    [
        (0.5, False, "0.50000"),
        (-1e-9, False, "0.00000"),
        (1.0, True, "100%"),
        (0.98765, True, "98.765%"),
        (0.0, True, "0%"),
        (math.nan, False, "nan"),
    ],
)
def test_metrics_have_five_decimals(value, percent, text):
    assert metric_text(value, percent) == text


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (0.99241, "0.99241"),
        (0.992431, "0.99241"),
        (0.99239, "0.99241"),
        (0.99244, "0.99244"),
        (0.99238, "0.99238"),
        (math.nan, "nan"),
    ],
)
def test_a_metric_keeps_its_old_value_within_two_units_of_the_last_place(new, text):
    old = read_lock(GOLDEN, "net.lock")
    merged = merge_sticky(old, LockFile("0.2.0", 1, (LockedMetric("accept", "cosine", "net/logits", new),)))
    assert render_lock(merged) == f"npu-lock 1 tool=0.2.0 language=1\nmetric accept cosine net/logits {text}\n"


def test_a_percentage_is_sticky_too():
    old = read_lock(GOLDEN, "net.lock")
    merged = merge_sticky(old, LockFile("0.1.0", 1, (LockedMetric("accept", "top1_agreement", "*", 0.98902, True),)))
    assert render_lock(merged).endswith("metric accept top1_agreement * 98.9%\n")


def test_merging_never_brings_back_what_the_new_lock_does_not_say():
    assert merge_sticky(LOCK, LockFile("0.1.0", 1)).lines == ()
    assert merge_sticky(None, LOCK) is LOCK


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("metric accept cosine x 0.9", "the line is not written as npu writes it"),
        ("metric accept cosine x high", "high is not a metric"),
        ("metric accept cosine 0.90000", "a metric line has 4 fields"),
        ("step a key=12", "12 is not a digest"),
        ("file a bytes=1 sha256=" + DIGEST, "expected sha256=..., found bytes=1"),
        ("dataset d samples=x sha256=" + DIGEST, "x is not an integer"),
        ("default algorithm", "a default is written key=value"),
        ("chip x", "chip is not a kind of line"),
        ("", "an empty line is not a kind of line"),
        ('reason v layer x "open', "a reason line has 4 fields"),
        ('reason v layer x "a\\qb"', "is not an escape"),
    ],
)
def test_a_line_that_npu_did_not_write_is_refused_with_its_number(line, reason):
    with pytest.raises(UserError) as caught:
        read_lock(GOLDEN + line + "\n", "net.lock")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, str(diagnostic.places[0])) == ("E0802", "net.lock:13")
    assert reason in diagnostic.message or "was not written by npu" in diagnostic.message


def test_a_merge_conflict_is_named_as_one():
    with pytest.raises(UserError) as caught:
        read_lock(GOLDEN + "<<<<<<< HEAD\n", "net.lock")
    assert caught.value.diagnostics[0].message == "the lock holds the mark of a merge conflict in line 13"


def test_two_values_for_one_metric_name_both_lines():
    with pytest.raises(UserError) as caught:
        read_lock(GOLDEN + "metric accept cosine net/logits 0.50000\n", "net.lock")
    assert caught.value.diagnostics[0].message == "line 13 of the lock says what line 9 already says"


@settings(max_examples=100, deadline=None)
@given(
    value=st.floats(-1e6, 1e6),
    percent=st.booleans(),
    on=st.text(min_size=1),
    because=st.text(),
)
def test_any_metric_and_reason_survive_the_text(value, percent, on, because):
    lock = LockFile("0.1.0", 1, (LockedMetric("a", "m", on, value, percent), LockedReason("v", "tensor", on, because)))
    text = render_lock(lock)
    assert render_lock(read_lock(text, "x.lock")) == text
    assert text.count("\n") == 3
