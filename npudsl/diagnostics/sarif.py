"""Diagnostics as SARIF 2.1.0, the form that code scanning services and editors read.

One run; a rule per code that occurs; columns count UTF-16 units from 1, as the format has it by default. A fix becomes
a ``fix`` with its replacement. Places outside of program text (a list file) become locations without a column.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from npudsl.diagnostics.codes import CODES
from npudsl.diagnostics.diagnostic import Diagnostic, Fix, Label, Place, Source, Span

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def to_sarif(diagnostics: Iterable[Diagnostic], *, version: str) -> dict[str, Any]:
    """The SARIF log of one run of npudsl ``version``."""
    found = list(diagnostics)
    codes = sorted({diagnostic.code for diagnostic in found})
    driver = {"name": "npudsl", "semanticVersion": version, "rules": [_rule(code) for code in codes]}
    results = [_result(diagnostic, codes.index(diagnostic.code)) for diagnostic in found]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(code: str) -> dict[str, Any]:
    page = CODES[code]
    return {
        "id": code,
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": page.text},
        "help": {"text": page.page()},
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    primary = [label for label in diagnostic.labels if label.primary]
    others = [label for label in diagnostic.labels if not label.primary]
    remarks = [*(f"note: {note}" for note in diagnostic.notes), *(f"help: {text}" for text in diagnostic.helps)]
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity,
        "message": {"text": "\n".join([diagnostic.message, *remarks])},
        "locations": [_label(label) for label in primary] or [_place(place) for place in diagnostic.places],
    }
    if others:
        result["relatedLocations"] = [_label(label) for label in others]
    if diagnostic.fixes:
        result["fixes"] = [_fix(fix) for fix in diagnostic.fixes]
    return result


def _label(label: Label) -> dict[str, Any]:
    location = {
        "physicalLocation": {"artifactLocation": {"uri": _uri(label.span.source.name)}, "region": _region(label.span)}
    }
    return {**location, "message": {"text": label.text}} if label.text else location


def _place(place: Place) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(place.path)}}
    if place.line:
        physical["region"] = {"startLine": place.line}
    return {"physicalLocation": physical}


def _fix(fix: Fix) -> dict[str, Any]:
    replacement = {"deletedRegion": _region(fix.span), "insertedContent": {"text": fix.replacement}}
    change = {"artifactLocation": {"uri": _uri(fix.span.source.name)}, "replacements": [replacement]}
    return {"description": {"text": fix.title or "change the text"}, "artifactChanges": [change]}


def _region(span: Span) -> dict[str, int]:
    line, column = _utf16(span.source, span.start)
    end_line, end_column = _utf16(span.source, min(span.end, len(span.source.text)))
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": max(end_column, 1)}


def _utf16(source: Source, offset: int) -> tuple[int, int]:
    line, column = source.line_column(offset)
    before = source.text[offset - column + 1 : offset]
    return line, column + sum(ord(character) > 0xFFFF for character in before)


def _uri(name: str) -> str:
    """A path as a relative (or, for an absolute path, a file) URI."""
    path = PurePath(name)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
