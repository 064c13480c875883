"""Globs and regular expressions over names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from npudsl.language.patterns import BadPattern, has_wildcard, pattern_regex


def matches(glob: str, name: str) -> bool:
    return pattern_regex("glob", glob).search(name) is not None


@pytest.mark.parametrize(
    ("glob", "yes", "no"),
    [
        ("conv1", ["conv1"], ["conv10", "xconv1", "Conv1"]),
        ("conv*", ["conv", "conv1"], ["a/conv1", "conv/1"]),
        ("a/*", ["a/b", "a/"], ["a/b/c", "a"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab"]),
        ("**/conv", ["conv", "a/conv", "/a/b/conv"], ["aconv", "conv/x"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "ab"]),
        ("**", ["", "a", "a/b"], []),
        ("conv?", ["conv1", "convx"], ["conv", "conv12", "conv/"]),
        ("conv_1[45]/x", ["conv_14/x", "conv_15/x"], ["conv_16/x", "conv_1[45]/x"]),
        ("[!a-c]x", ["dx", "-x"], ["ax", "/x"]),
        ("{a,b/c}/d", ["a/d", "b/c/d"], ["c/d"]),
        ("{**/x,y}", ["x", "a/x", "y"], ["a/y"]),
        ("a[*]b", ["a*b"], ["axb"]),
        ("a.b+c", ["a.b+c"], ["axb+c", "a.bbc"]),
        ("a,b", ["a,b"], ["a"]),
    ],
)
def test_a_glob_matches_whole_names(glob, yes, no):
    assert [name for name in yes if not matches(glob, name)] == []
    assert [name for name in no if matches(glob, name)] == []


@pytest.mark.parametrize(
    ("kind", "text", "position"),
    [
        ("glob", "a[b", 1),
        ("glob", "{a", 0),
        ("glob", "a}", 1),
        ("glob", "a***", 1),
        ("glob", "[z-a]", 1),
        ("regex", "(x", 0),
    ],
)
def test_a_bad_pattern_knows_where(kind, text, position):
    with pytest.raises(BadPattern) as caught:
        pattern_regex(kind, text)
    assert caught.value.position == position


@pytest.mark.parametrize(("text", "expected"), [("a/b", False), ("a*", True), ("a[1]", True), ("{a,b}", True)])
def test_a_pattern_is_recognised_by_its_wildcards(text, expected):
    assert has_wildcard(text) is expected


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=20)


@given(NAMES)
def test_a_name_with_its_wildcards_in_brackets_matches_itself_alone(name):
    literal = "".join(f"[{character}]" if character in "*?[{}" else character for character in name)
    assert matches(literal, name)
    assert not matches(literal, name + "x")


@given(NAMES)
def test_two_stars_match_every_name_and_one_star_every_segment(name):
    assert matches("**", name)
    assert matches("*", name) == ("/" not in name)


@given(st.text("ab*?/[]{},!-", max_size=12))
def test_every_text_is_a_pattern_or_a_bad_pattern(text):
    assert -1 <= bad_position(text) < max(1, len(text))


def bad_position(text: str) -> int:
    """Where a glob cannot be read, or -1."""
    try:
        pattern_regex("glob", text)
    except BadPattern as bad:
        return bad.position
    return -1


@given(st.text("ab/", max_size=8), st.text("ab?*/", max_size=8).filter(lambda text: "**" not in text))
def test_a_simple_glob_is_the_regular_expression_it_stands_for(name, glob):
    pattern = "".join({"*": "[^/]*", "?": "[^/]"}.get(character, re.escape(character)) for character in glob)
    assert matches(glob, name) == (re.fullmatch(pattern, name) is not None)
