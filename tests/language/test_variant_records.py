"""A variant as a record: what enters a key, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from npudsl.keys import canonical_bytes, digest_record
from npudsl.language.load import load_program
from npudsl.language.program import PathValue, Quantize, Selector, Size
from npudsl.language.records import value_from_record, value_record
from npudsl.language.resolve import quantize_from_record, quantize_record

TEXT = """npu 1
model net {
  format = onnx
  file = "net.onnx"
}
dataset calib {
  list = "calib.txt"
}
preset quantize heads {
  op Softmax skip
}
quantize q from heads {
  calibrate = calib
  algorithm = kl(bins=1024)
  profile = tflite
  weights.algorithm = percentile(99.9%)
  layer "conv1" type=i16 because "drifts"
  layers re"x[12]" weights.type=i8 matches=2
  tensor "logits" min=-12 max=18.5
  op Conv algorithm=moving_average
}
"""


def variant(text: str = TEXT) -> Quantize:
    return load_program(Path("test.npu"), text=text).variants["q"]


def test_a_record_is_canonical_and_reads_back_as_the_same_variant():
    record = quantize_record(variant())
    canonical_bytes(record)
    assert quantize_from_record(record) == variant()


def test_reasons_comments_and_layout_do_not_change_the_record():
    other = TEXT.replace('because "drifts"', "").replace("  profile", "\n  # a comment\n  profile")
    assert quantize_record(variant(other)) == quantize_record(variant())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"calibrate": None},
        {"settings": {"type": "i8"}},
        {"rules": ()},
    ],
)
def test_every_field_of_a_variant_changes_the_digest(change):
    assert digest_record(quantize_record(replace(variant(), **change))) != digest_record(quantize_record(variant()))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "layers"},
        {"selector": Selector("glob", "conv1")},
        {"sets": {}},
        {"optional": True},
        {"matches": 1},
        {"inherited": True},
    ],
)
def test_every_field_of_a_rule_but_its_reason_changes_the_digest(change):
    rules = variant().rules
    changed = replace(variant(), rules=(rules[0], replace(rules[1], **change), *rules[2:]))
    assert digest_record(quantize_record(changed)) != digest_record(quantize_record(variant()))


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "x", (1, (2.0, "y")), Size((0, 3)), PathValue("a/b")])
def test_every_program_value_reads_back(value):
    assert value_from_record(value_record(value)) == value


def test_another_object_is_refused():
    with pytest.raises(TypeError):
        value_record(object())
