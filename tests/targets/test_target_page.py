"""docs/targets.md says what the data says."""

from __future__ import annotations

import pytest

from npudsl.targets.constraints import CONSTRAINTS
from npudsl.targets.load import all_targets
from npudsl.targets.target import LABELS, Target


def row(target: Target) -> str:
    """The row of the page for one target: copy it when the data changed."""
    profile = target.figures.get("profile")
    cells = (
        f"`{target.id}`",
        ", ".join(target.socs) or "unnamed",
        f"0x{target.pid:X}" if target.pid is not None else "",
        ", ".join(str(pair) for pair in target.types) if target.types is not None else "unpublished",
        {True: "yes", False: "no", None: "unpublished"}[target.per_channel_weights],
        f"{profile.value} ({profile.label})" if profile else "unpublished",
        "; ".join(
            f"{peak.tops:g} {peak.type}{f' {peak.part}' if peak.part else ''} ({peak.label})" for peak in target.peak
        ),
    )
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("target", all_targets(), ids=str)
def test_the_page_has_the_row_of_every_target(target, repository):
    page = (repository / "docs" / "targets.md").read_text(encoding="utf-8")

    assert row(target) in page.splitlines()


def test_the_page_explains_every_constraint_and_label(repository):
    page = (repository / "docs" / "targets.md").read_text(encoding="utf-8")

    for code, constraint in CONSTRAINTS:
        assert f"| {code} | {constraint.__doc__} |" in page
    for label in LABELS:
        assert f"| {label} |" in page
