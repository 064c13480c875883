"""A comment for a pull request: short enough, well-formed, and inert whatever layers are called."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.api.diff import Difference, ProgramDifference
from npudsl.api.review.markdown import render_markdown
from npudsl.api.review.program_diff import SourceChange
from npudsl.artifacts.quant_table import QuantTable, TableHeader, TableLine
from npudsl.artifacts.table_diff import diff_tables

HEADER = TableHeader("u8", "1f3a09c2", "77b0e41d", "5c02aa17")


def difference(names: list[str], reasons: list[str], title: str = "HEAD") -> Difference:
    lines = tuple(TableLine("act", name, "u8", "asym", 0.0, 1.0, 0.00392157, 0) for name in names)
    table = diff_tables("u8", None, QuantTable(HEADER, lines))
    source = tuple(SourceChange("+", "quantize u8", f'layer "{name}" type=i16', name) for name in reasons)
    program = ProgramDifference("net.npu", "changed", source, tables=(table,), notes=tuple(reasons[:1]))
    return Difference(title, "working tree", (program,))


NAMES = st.lists(st.text(min_size=1, max_size=30), max_size=40, unique=True)


@settings(max_examples=100, deadline=None)
@given(NAMES, st.integers(1200, 5000))
def test_it_is_never_longer_than_allowed_and_its_folds_are_closed(names, most):
    text = render_markdown(difference(names, []), most)

    assert len(text.encode()) <= most
    assert text.count("<details") == text.count("</details>")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="`<>@*_[]()!#|\\ab", min_size=1, max_size=12), min_size=1, max_size=5, unique=True))
def test_names_and_reasons_cannot_become_markup(names):
    text = render_markdown(difference(names, names, title=names[0]))

    fences = re.findall(r"^(`{3,})(?:diff|text)$", text, re.MULTILINE)
    outside = text
    for fence in fences:
        outside = re.sub(rf"^{fence}(?:diff|text)$.*?^{fence}$", "", outside, count=1, flags=re.MULTILINE | re.DOTALL)
    below_title = outside.partition("\n")[2]
    tags = set(re.findall(r"<[^>\n]*>?", below_title))
    assert fences
    assert tags <= {"<details>", "<details open>", "</details>", "<summary>", "</summary>"}
    assert not re.search(r"@\w", below_title)


def test_what_is_cut_is_counted_and_the_ends_stay():
    text = render_markdown(difference([f"layer_{number}" for number in range(400)], []), 4000)

    left_out = sum(map(int, re.findall(r"\.\.\. (\d+) lines left out \.\.\.", text)))
    shown = len(re.findall(r"^\+ +act layer_\d+", text, re.MULTILINE))
    assert left_out + shown == 400
    assert "layer_0 " in text
    assert "layer_399 " in text


def test_even_a_summary_alone_is_cut_when_it_must_be():
    programs = tuple(ProgramDifference(f"net_{number}.npu", "removed") for number in range(200))

    text = render_markdown(Difference("a", "b", programs), 500)

    assert len(text.encode()) <= 500
    assert text.startswith("### npu diff: `a` → `b`")
    assert text.endswith("... cut ...\n")
