"""The layout of program text: what it looks like, and what it never changes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from language_corpus import comments_of, program_files, rewritten, right_texts, shape, syntax_of

from npudsl.diagnostics import Source, UserError
from npudsl.language.fmt import formatted


def layout(text: str) -> str:
    return formatted(Source("test.npu", text))


def body(lines: str) -> str:
    """Lines of a block in their layout, without the block."""
    text = layout(f"model m {{\n{lines}\n}}\n")
    assert text.startswith("model m {\n")
    assert text.endswith("}\n")
    return text[len("model m {\n") : -len("}\n")]


@pytest.mark.parametrize(
    ("written", "laid_out"),
    [
        ("a=1", "  a = 1\n"),
        ("\t\ta   =\t1  ", "  a = 1\n"),
        ("a = - 3", "  a = -3\n"),
        ("a = -x", "  a = -x\n"),
        ("a = 1+2 - 3", "  a = 1 + 2 - 3\n"),
        ("a = 1 / 128 * 2", "  a = 1/128*2\n"),
        ("a = 2 * - 3", "  a = 2*-3\n"),
        ("a = ( 1+ 2 ) *3", "  a = (1 + 2)*3\n"),
        ("a = side - 3", "  a = side - 3\n"),
        ("a = side-3", "  a = side-3\n"),
        ("a = [ 1,2 ,3 ]", "  a = [1, 2, 3]\n"),
        ("a = [1, 2,]", "  a = [1, 2]\n"),
        ("a = kl( bins = 2048 , )", "  a = kl(bins=2048)\n"),
        ("a = kl (bins=1)", "  a = kl(bins=1)\n"),
        ("a = [\n\n]", "  a = []\n"),
        ("a = [1,\n2]", "  a = [\n    1,\n    2,\n  ]\n"),
        ("a = [1, [2,\n3], 4]", "  a = [\n    1,\n    [\n      2,\n      3,\n    ],\n    4,\n  ]\n"),
        ("a = [\n1, # one\n2 # two\n]", "  a = [\n    1,  # one\n    2,  # two\n  ]\n"),
        ("a = [ # open\n1\n# last\n]", "  a = [  # open\n    1,\n    # last\n  ]\n"),
        ("a = [\n\n\n1,\n\n\n2,\n\n]", "  a = [\n    1,\n\n    2,\n  ]\n"),
        ("a = (kl(1,\n2))", "  a = (kl(\n    1,\n    2,\n  ))\n"),
        ("a = 0X88", "  a = 0x88\n"),
        ("a = 1E-3", "  a = 1e-3\n"),
        ("a = 1E6KiB", "  a = 1e6KiB\n"),
        ('layer   "x"   type = i16   min= - 1', '  layer "x" type=i16 min=-1\n'),
        ('layer re"a  b" skip optional', '  layer re"a  b" skip optional\n'),
        ('require cosine>=0.99 on = all because   "x"', '  require cosine >= 0.99 on=all because "x"\n'),
        ("require a<- 3", "  require a < -3\n"),
        ("a = 1 # why", "  a = 1  # why\n"),
        ("a = 1# why\t# tab ", "  a = 1  # why\t# tab\n"),
        ("# alone\na = 1", "  # alone\n  a = 1\n"),
        ("\n\n\na = 1\n\n\n\nb = 2\n\n\n", "  a = 1\n\n  b = 2\n"),
        ("export x {\na = 1\n}\nexport y{ }", "  export x {\n    a = 1\n  }\n  export y {}\n"),
        ("export x {\n}", "  export x {\n  }\n"),
    ],
)
def test_a_line_has_one_layout(written, laid_out):
    assert body(written) == laid_out


def test_statements_outside_of_blocks():
    text = '\n\nnpu   1\nuse"x.npu"  as x\n\n\nlet a=1\npreset  input p from a ,b{\n}\ninput"d"from p{\n}\n\n\n'
    assert (
        layout(text) == 'npu 1\nuse "x.npu" as x\n\nlet a = 1\npreset input p from a, b {\n}\ninput "d" from p {\n}\n'
    )


def test_windows_line_ends_become_plain_ones():
    assert layout("npu 1\r\n# x \r\n\r\n\r\nlet a = 1\r\n") == "npu 1\n# x\n\nlet a = 1\n"


def test_an_empty_text_stays_empty_and_a_last_line_gets_its_end():
    assert [layout(text) for text in ("", "\n\n", "# x", "npu 1")] == ["", "", "# x\n", "npu 1\n"]


@pytest.mark.parametrize("text", ["let a =\n", "a {\n", "let a = 'x'\n", "\ufeffnpu 1\n"])
def test_a_text_with_syntax_errors_is_refused(text):
    with pytest.raises(UserError) as caught:
        layout(text)
    assert caught.value.diagnostics


@pytest.mark.parametrize("file", program_files(), ids=lambda file: file.name)
def test_the_programs_of_the_repository_are_in_their_layout(file):
    text = file.read_text(encoding="utf-8")
    assert layout(text) == text


def assert_kept(text: str) -> None:
    once = layout(text)
    assert layout(once) == once
    assert comments_of(once) == comments_of(text)
    assert shape(without_commas(once)) == shape(without_commas(text))
    assert not any(line != line.rstrip() for line in once.splitlines())
    assert "\r" not in once
    assert "\n\n\n" not in once


def without_commas(text: str):
    """The syntax; ``0X`` and ``1E`` in small letters, as the layout writes them."""
    tree = syntax_of(text)
    assert not isinstance(tree, int)
    small(tree)
    return tree


def small(tree) -> None:
    for child in tree.children:
        if hasattr(child, "children"):
            small(child)
        elif child is not None and child.type == "NUMBER":
            child.text = child.text.replace("E", "e")
        elif child is not None and child.type == "HEX":
            child.text = child.text.replace("X", "x")
        elif child is not None and child.type == "_NL":
            child.text = "\n"


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 10**9))
def test_the_layout_of_any_spelling_keeps_program_and_comments_and_is_stable(seed):
    texts = right_texts()
    assert_kept(rewritten(texts[seed % len(texts)], seed))


@pytest.mark.slow
def test_the_layout_holds_for_thousands_of_spellings():
    ends = time.monotonic() + 120
    texts = right_texts()
    count = 0
    for seed in range(2400):
        assert_kept(rewritten(texts[seed % len(texts)], seed))
        count += 1
        if time.monotonic() > ends:
            break
    assert count >= 2000
