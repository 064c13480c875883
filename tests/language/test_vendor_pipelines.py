"""Pipelines for three vendors' chips: all of their words are known; what cannot be done yet is refused by name."""

from __future__ import annotations

import pytest

from npudsl.diagnostics import Source, UserError
from npudsl.language.load import load_program
from npudsl.language.parse import parse

PIPELINES = ("lenet_v853", "mobilenet_v2_a311d", "gru_t40")


@pytest.mark.parametrize("name", PIPELINES)
def test_a_vendor_pipeline_has_no_syntax_errors(name, shared):
    path = shared / "language" / f"{name}.npu"
    assert parse(Source(path.name, path.read_text(encoding="utf-8"))).problems == ()


@pytest.mark.parametrize("name", PIPELINES)
def test_a_vendor_pipeline_is_refused_only_for_what_is_not_available_yet(name, shared):
    with pytest.raises(UserError) as caught:
        load_program(shared / "language" / f"{name}.npu")
    assert {problem.code for problem in caught.value.diagnostics} == {"E0208"}
    assert all(problem.helps for problem in caught.value.diagnostics)
