"""Explanations name the field that changed, with both values."""

from __future__ import annotations

import pytest

from npudsl.plan.difference import differences


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"type": "u8"}, {"type": "i16"}, ['type: "u8" -> "i16"']),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, ["a.b[1]: 2 -> 3"]),
        ({"a": 1}, {}, ["a: 1 -> (gone)"]),
        ({}, {"a": 1}, ["a: (none) -> 1"]),
        ([1], [1, 2], [": 1 -> 2 entries"]),
        ({"n": 1}, {"n": 1.0}, ["n: 1 -> 1.0"]),
        ({"d": "a" * 64}, {"d": "b" * 64}, ["d: aaaaaaaa -> bbbbbbbb"]),
        ({"same": 1}, {"same": 1}, []),
    ],
)
def test_changed_fields(old, new, said):
    assert differences(old, new) == said


def test_many_changes_are_counted():
    old = {str(index): 0 for index in range(9)}
    new = {str(index): 1 for index in range(9)}
    assert differences(old, new)[-1] == "6 more"
