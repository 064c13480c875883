"""Applying the edits that findings offer."""

from __future__ import annotations

from collections.abc import Iterable

from npudsl.diagnostics import Diagnostic, Fix, Source


def chosen_fixes(found: Iterable[Diagnostic], codes: frozenset[str] = frozenset()) -> list[Fix]:
    """The first edit of every finding (of these codes, if any are given), without edits that touch an earlier one.

    Edits that are left out because they touch come back when the text is checked again.
    """
    taken: list[Fix] = []
    for diagnostic in found:
        if not diagnostic.fixes or (codes and diagnostic.code not in codes):
            continue
        fix = diagnostic.fixes[0]
        if not any(_touch(fix, other) for other in taken):
            taken.append(fix)
    return taken


def with_fixes(source: Source, fixes: Iterable[Fix]) -> str:
    """The text of ``source`` after the edits that are its own; they must not touch each other."""
    text = source.text
    for fix in sorted(fixes, key=lambda fix: fix.span.start, reverse=True):
        if fix.span.source == source:
            text = text[: fix.span.start] + fix.replacement + text[fix.span.end :]
    return text


def _touch(fix: Fix, other: Fix) -> bool:
    same = fix.span.source == other.span.source
    return same and fix.span.start <= other.span.end and other.span.start <= fix.span.end
