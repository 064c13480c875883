"""Placement of activations in the arena, and names that are safe for C."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.backends.c_project.memory import ALIGNMENT, Lifetime, aligned, plan_memory
from npudsl.backends.c_project.names import (
    KEYWORDS,
    FileNames,
    Identifiers,
    comment_text,
    model_identifier,
    string_literal,
)

LIFETIMES = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 12), st.integers(0, 12)), max_size=25).map(
    lambda rows: [
        Lifetime(str(index), size, min(first, last), max(first, last)) for index, (size, first, last) in enumerate(rows)
    ]
)


@settings(max_examples=150, deadline=None)
@given(LIFETIMES)
def test_buffers_that_live_together_never_overlap(buffers):
    plan = plan_memory(buffers)
    for buffer in buffers:
        assert plan.offsets[buffer.name] % ALIGNMENT == 0
        assert plan.offsets[buffer.name] + aligned(buffer.size) <= plan.size
    for one, other in combinations(buffers, 2):
        if one.overlaps(other):
            start, second = plan.offsets[one.name], plan.offsets[other.name]
            assert start + aligned(one.size) <= second or second + aligned(other.size) <= start
    assert plan.bound <= plan.size


def test_a_chain_needs_its_two_largest_neighbours():
    sizes = [100, 1600, 800, 3200, 160]
    plan = plan_memory([Lifetime(str(index), size, index, index + 1) for index, size in enumerate(sizes)])

    assert plan.size == plan.bound == 4000


def test_nothing_needs_nothing():
    assert plan_memory([]).size == 0


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_every_model_name_gives_an_identifier(name):
    word = model_identifier(name)

    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", word)
    assert word.lower() not in KEYWORDS
    assert not word.lower().startswith("npu_")


@given(st.lists(st.text(max_size=8), max_size=20))
@settings(max_examples=100, deadline=None)
def test_identifiers_and_file_names_are_distinct_in_any_case(names):
    identifiers, files = Identifiers(), FileNames()
    words = [identifiers.new(name) for name in names]
    paths = [files.new(name, ".dat") for name in names]

    assert all(re.fullmatch(r"[A-Za-z0-9_]+", word) for word in words)
    assert all(re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.dat", path) for path in paths)
    assert len({word.lower() for word in words}) == len({path.lower() for path in paths}) == len(names)


@pytest.mark.parametrize("text", ["a*/b", "/* x", "??/", "line\nbreak", "ends in \\"])
def test_comments_stay_comments(text):
    safe = comment_text(text)

    assert not re.search(r"\*/|/\*|\?\?|\n|\\$", safe)


def test_string_literals_hold_any_text():
    assert string_literal('a"b\\??/\né') == r'"a\"b\\\?\?/\012\303\251"'
