"""A little fuzzing in every run, a minute of it in the slow one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from language_fuzz import KINDS, examine, fuzz, inputs


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_text_ends_in_a_program_or_in_diagnostics(kind, tmp_path):
    for _, (_, data) in zip(range(60), inputs(kind, 10**6), strict=False):
        assert examine(data, tmp_path) in ("right", "refused")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_half_a_minute_of_damaged_text_ends_in_programs_or_in_diagnostics(kind):
    counts, failures = fuzz(kind, seconds=30, seed=2 * 10**6)
    assert failures == []
    assert sum(counts.values()) > 100
