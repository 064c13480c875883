"""Diagnostics as SARIF 2.1.0."""

from __future__ import annotations

import pytest

from npudsl.diagnostics import Diagnostic, Fix, Label, Place, Source, Span
from npudsl.diagnostics.sarif import to_sarif

SOURCE = Source("dir a/net.npu", 'npu 1\nlet a = "𝔸" b\n')


def span(text: str) -> Span:
    start = SOURCE.text.index(text)
    return Span(SOURCE, start, start + len(text))


def log(*found: Diagnostic) -> dict:
    return to_sarif(found, version="0.1.0")


def test_a_log_names_its_version_tool_and_rules():
    found = log(Diagnostic("E0105", "x"), Diagnostic("W0304", "y", severity="warning"), Diagnostic("E0105", "z"))
    (run,) = found["runs"]
    assert (found["version"], found["$schema"]) == ("2.1.0", "https://json.schemastore.org/sarif-2.1.0.json")
    assert run["tool"]["driver"]["name"] == "npudsl"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["E0105", "W0304"]
    assert [(result["ruleId"], result["ruleIndex"], result["level"]) for result in run["results"]] == [
        ("E0105", 0, "error"),
        ("W0304", 1, "warning"),
        ("E0105", 0, "error"),
    ]
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in run["tool"]["driver"]["rules"])


def test_places_count_utf16_units_and_names_are_uris():
    labels = (Label(span("b\n"), "here"), Label(span("let"), "there", primary=False))
    (result,) = log(Diagnostic("E0105", "too much", labels, notes=("n",), helps=("h",)))["runs"][0]["results"]
    assert result["message"]["text"] == "too much\nnote: n\nhelp: h"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "dir%20a/net.npu"},
                "region": {"startLine": 2, "startColumn": 14, "endLine": 3, "endColumn": 1},
            },
            "message": {"text": "here"},
        }
    ]
    assert result["relatedLocations"][0]["physicalLocation"]["region"]["startColumn"] == 1


def test_an_edit_is_a_fix():
    fix = Fix(span("b\n"), "", "remove it")
    (result,) = log(Diagnostic("E0105", "x", (Label(span("b\n")),), fixes=(fix,)))["runs"][0]["results"]
    (change,) = result["fixes"][0]["artifactChanges"]
    assert result["fixes"][0]["description"]["text"] == "remove it"
    assert change["replacements"][0]["insertedContent"] == {"text": ""}
    assert change["replacements"][0]["deletedRegion"]["startColumn"] == 14


@pytest.mark.parametrize(("place", "region"), [(Place("list.txt", 7), {"startLine": 7}), (Place("list.txt"), None)])
def test_a_place_in_another_file_has_a_line_at_most(place, region):
    (result,) = log(Diagnostic("E0501", "x", places=(place,)))["runs"][0]["results"]
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "list.txt"
    assert location["physicalLocation"].get("region") == region


def test_no_findings_are_an_empty_list():
    assert log()["runs"][0]["results"] == []
