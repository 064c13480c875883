"""The table of codes."""

from __future__ import annotations

import re

import pytest

from npudsl.diagnostics.codes import CODES, explain


def test_every_code_that_the_source_uses_has_a_page(repository):
    used = set()
    for path in (repository / "npudsl").rglob("*.py"):
        if path.name != "codes.py":
            used |= set(re.findall(r'"([EW]0\d{3})"', path.read_text(encoding="utf-8")))
    assert used - set(CODES) == set()


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_page_is_readable(code):
    page = CODES[code]
    assert re.fullmatch(r"[EW]\d{4}", code)
    assert not page.title.endswith(".")
    assert page.text.endswith((".", "`."))
    assert explain(code).startswith(f"{code}: ")


def test_codes_are_found_in_any_case_and_unknown_ones_are_refused():
    assert explain("e0301") == explain("E0301")
    with pytest.raises(KeyError):
        explain("E9999")
