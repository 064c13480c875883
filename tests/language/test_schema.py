"""The schema as data: complete, and consistent with itself and with the other rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from npudsl.artifacts.comparison import CLASS_METRICS
from npudsl.artifacts.comparison import LABEL_METRICS as LABELLED
from npudsl.artifacts.comparison import METRICS as COMPARED
from npudsl.data.preprocess import FILTERS
from npudsl.language.load import load_program
from npudsl.language.schema import BLOCK_ALIASES, BLOCKS
from npudsl.language.schema.forms import BlockForm
from npudsl.language.schema.judge import LABEL_METRICS, METRICS, PERCENT_METRICS
from npudsl.language.schema.network import RESIZE
from npudsl.language.schema.quantize import COMBINATIONS, SCHEME_OF_TYPE, SCHEMES, TYPES
from npudsl.numerics.types import ELEMENT_TYPES


def all_forms() -> list[BlockForm]:
    forms = list(BLOCKS.values())
    return forms + [inner for form in forms for inner in form.blocks.values()]


@pytest.mark.parametrize("form", all_forms(), ids=lambda form: form.name)
def test_everything_has_a_line_of_help(form):
    assert form.help.endswith(".")
    for key in form.keys.values():
        assert key.help.endswith((".", "none.", ")."))
    for rule in form.rules.values():
        assert rule.help.endswith(".")
        assert rule.example.startswith(rule.name)
        assert all(key.help.endswith(".") for key in rule.keys.values())


@pytest.mark.parametrize("form", all_forms(), ids=lambda form: form.name)
def test_aliases_lead_to_keys_or_are_sentences_and_never_hide_a_key(form):
    for alias, meant in form.aliases.items():
        assert " " in meant or meant in form.keys
        assert alias not in form.keys
        assert alias not in form.rules


@pytest.mark.parametrize("form", all_forms(), ids=lambda form: form.name)
def test_exclusions_are_mutual_and_groups_name_what_exists(form):
    for key in form.keys.values():
        for other in key.excludes:
            assert key.name in form.keys[other].excludes
    for group in form.one_of:
        assert set(group) <= set(form.keys) | set(form.rules)


def test_block_aliases_lead_to_blocks():
    assert set(BLOCK_ALIASES.values()) <= set(BLOCKS)
    assert not set(BLOCK_ALIASES) & set(BLOCKS)


def test_types_and_schemes_are_those_of_the_arithmetic():
    assert set(TYPES.words) == set(ELEMENT_TYPES)
    assert set(COMBINATIONS) == set(SCHEMES.words)
    integers = {name for name, element in ELEMENT_TYPES.items() if element.is_integer}
    assert {name for names in COMBINATIONS.values() for name in names} == integers == set(SCHEME_OF_TYPE)
    assert all(name in COMBINATIONS[scheme] for name, scheme in SCHEME_OF_TYPE.items())


def test_metrics_are_those_of_the_comparison():
    assert set(METRICS.words) == set(COMPARED)
    assert set(CLASS_METRICS) == PERCENT_METRICS
    assert set(LABELLED) == LABEL_METRICS


def test_resize_filters_are_those_of_the_preprocessing():
    (filters,) = {
        tuple(parameter.type.words)
        for signature in RESIZE.signatures.values()
        for parameter in signature.parameters
        if parameter.name == "filter"
    }
    assert set(filters) == set(FILTERS)


def test_the_examples_of_the_blocks_make_a_program():
    parts = [form.example for form in BLOCKS.values()]
    extra = 'dataset calib2 {\n  list = "x.txt"\n}'
    program = load_program(Path("test.npu"), text="\n\n".join(["npu 1", *parts, extra]) + "\n")
    assert program.model.name == "net"
    assert list(program.variants) == ["u8"]
    assert program.targets["vim3"].exports[0].kind == "c-project"
