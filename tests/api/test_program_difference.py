"""Differences of meaning between two programs: what counts, what does not, and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from review_bench import PROGRAM

from npudsl.api.review.program_diff import diff_programs
from npudsl.api.review.text_diff import diff_texts, statements
from npudsl.language.load import load_program


def lines(old: str, new: str) -> list[str]:
    programs = [load_program(Path("net.npu"), text=text) for text in (old, new)]
    return [change.line for change in diff_programs(*programs)]


def edited(old: str, new: str, text: str = PROGRAM) -> str:
    assert old in text
    return text.replace(old, new)


RULES = edited(
    "quantize hybrid from u8 {\n",
    "quantize hybrid from u8 {\n"
    '  layers "a*" type=i16 because "first"\n'
    '  layers "*b" type=i8\n'
    '  layer "c" min=-1 max=1\n',
)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (edited("mean = 127.5", "mean = 128"), ['~ input "input" mean = 127.5 -> 128']),
        (edited("  scale = 1/128\n", ""), ['~ input "input" scale = 0.0078125 -> 1']),
        (edited("  soc = A311D\n", "  soc = A311D\n  types = [u8]\n"), ["+ target a311d types = u8"]),
        (edited('"net.onnx"', '"other.onnx"'), ['~ model net file = "net.onnx" -> "other.onnx"']),
        (edited('  list = "calib.txt"\n', '  list = "calib.txt"\n  samples = 50\n'), ["+ dataset calib samples = 50"]),
        (edited("cosine >= 0.99", "cosine >= 0.98"), ["~ compare accept require cosine >= 0.99 -> >= 0.98"]),
        (
            edited("  require cosine >= 0.99\n", '  require cosine >= 0.99 on="logits"\n'),
            ['+ compare accept require cosine >= 0.99 on="logits"', "- compare accept require cosine >= 0.99"],
        ),
        (edited("98.5%", "99%"), ["~ compare accept require top1_agreement >= 98.5% -> >= 99%"]),
        (PROGRAM + '\ndataset test {\n  dir = "more"\n  skip = 3\n}\n', None),
    ],
)
def test_a_changed_value_is_one_line(new, said):
    if said is None:
        said = ["+ dataset test", '+ dataset test dir = "more"', "+ dataset test skip = 3"]
    assert lines(PROGRAM, new) == said


@pytest.mark.parametrize(
    "new",
    [
        PROGRAM.replace("  ", "      "),
        "# A remark.\n" + PROGRAM,
        edited("1/128", "0.0078125"),
        edited('let net = "MobilenetV2"\n', 'let net = "Other"\n'),
        edited("  algorithm = kl\n", "  algorithm = kl(bins=2048)\n"),
        edited("  color", "  color", PROGRAM.replace("  mean = 127.5\n", "  mean = 127.5\n  color = rgb\n")),
    ],
    ids=["layout", "comment", "same number", "unused constant", "default argument", "written default"],
)
def test_another_way_to_write_the_same_is_no_difference(new):
    assert lines(PROGRAM, new) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('  layer "c" min=-1 max=1\n', "", ['- quantize hybrid layer "c" min=-1 max=1']),
        ("min=-1", "min=-2", ['~ quantize hybrid layer "c" min=-1 max=1 -> min=-2 max=1']),
        ('because "first"', 'because "second"', ['~ quantize hybrid layers "a*" type=i16: another reason']),
        (
            'layers "a*"',
            'layers "a?"',
            ['+ quantize hybrid layers "a?" type=i16', '- quantize hybrid layers "a*" type=i16'],
        ),
        (
            '  layers "a*" type=i16 because "first"\n  layers "*b" type=i8\n',
            '  layers "*b" type=i8\n  layers "a*" type=i16 because "first"\n',
            ["~ quantize hybrid the order of its `layers` rules: of two that cover one tensor the later wins"],
        ),
    ],
)
def test_rules_are_paired_by_what_they_are_about(old, new, said):
    assert lines(RULES, edited(old, new, RULES)) == said


def test_a_removed_block_is_one_line():
    old = PROGRAM + '\ndataset test {\n  dir = "more"\n}\n'

    assert lines(old, PROGRAM) == ["- dataset test"]


def test_a_rule_that_two_variants_get_is_told_once():
    new = edited("  algorithm = kl\n", '  algorithm = kl\n  op Softmax type=f32 because "exp"\n')

    assert lines(PROGRAM, new) == ["+ quantize hybrid, u8 op Softmax type=f32"]


def test_texts_are_compared_statement_by_statement():
    old = 'quantize u8 {\n  type = u8 # usual\n\n  layer "a # b"   type=i16\n}\n'
    new = 'quantize u8 {\n# other\n  type  =  i8\n  layer "a # b" type=i16\n'

    assert [change.line for change in diff_texts(old, new)] == ["- quantize u8 type = u8", "+ quantize u8 type = i8"]


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet='ab={}"# \n\\', max_size=60))
def test_any_text_has_statements_and_none_differs_from_itself(text):
    assert all(statement for _, statement in statements(text))
    assert diff_texts(text, text) == ()
