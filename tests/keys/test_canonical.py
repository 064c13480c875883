"""Canonical records: what is different has another digest, what is the same has the same."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npudsl.keys import canonical_bytes, digest_record

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("other", ["1", 1.0, True, [1], {"": 1}, None])
def test_types_that_look_alike_differ(other):
    assert digest_record(1) != digest_record(other)


def test_a_map_that_looks_like_a_tagged_float_differs_from_the_float():
    assert digest_record({"f": (1.5).hex()}) != digest_record(1.5)


def test_order_of_map_keys_never_counts_and_order_of_lists_does():
    assert digest_record({"a": 1, "b": 2}) == digest_record({"b": 2, "a": 1})
    assert digest_record([1, 2]) != digest_record([2, 1])


def test_negative_zero_and_infinities_are_told_apart():
    assert len({digest_record(value) for value in (0.0, -0.0, math.inf, -math.inf, math.nan)}) == 5


@pytest.mark.parametrize("value", [b"bytes", {1: 2}, object(), {1, 2}])
def test_a_value_without_canonical_form_is_refused(value):
    with pytest.raises(TypeError):
        canonical_bytes(value)


@given(VALUES)
def test_a_digest_is_a_function_of_the_value(value):
    assert digest_record(value) == digest_record(value)
    assert digest_record([value]) != digest_record(value)


def test_the_digest_of_a_known_record_never_changes():
    record = {"kind": "quantize", "version": 1, "values": [1, 2.5, None, True, "ü"]}
    assert digest_record(record) == "bad1a02d5a0d1161ec6d2f9aba0e32ee924d95f263b1233eb672049b96444860"
