"""Settings read without the YAML library mean what they mean to the library."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from npudsl.language.plain_yaml import plain_settings

PIECES = [
    *("roots", "cache", "zoo", ":", ": ", " ", "  ", "\n", "\n  ", "../models", "./a", "a/b-c_d.e", "#", " # x", "yes"),
    *(
        "null",
        "~",
        "1",
        "1.5",
        ".5",
        "-",
        "- a",
        "{",
        "'a'",
        '"',
        "no",
        "On",
        "e3",
        "0x1",
        "=",
        "<<",
        "\t",
        ".inf",
        "é",
    ),
]


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("# nothing\n\n", {}),
        ("cache: .cache\n", None),
        ("cache: ./cache\n", {"cache": "./cache"}),
        (
            "roots:\n  zoo: ../models\n  data: /data/x  # here\ncache: a/b\n",
            {"roots": {"zoo": "../models", "data": "/data/x"}, "cache": "a/b"},
        ),
        ("roots: {zoo: a}\n", None),
        ("roots:\n  zoo: yes\n", None),
        ("a: 1\n", None),
        ("a: b\na: c\n", None),
        ("roots:\n", None),
        ("a:\n  b: c\n   d: e\n", None),
    ],
)
def test_plain_settings_are_read_and_others_are_left_to_the_library(text, settings):
    assert plain_settings(text) == settings


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_what_is_read_is_read_as_yaml_reads_it(pieces):
    text = "".join(pieces)
    found = plain_settings(text)
    if found is not None:
        assert (yaml.safe_load(text) or {}) == found
