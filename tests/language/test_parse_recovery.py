"""Syntax: what is read, where it stands, and how the parse goes on after a mistake."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from npudsl.diagnostics import Source
from npudsl.language import syntax
from npudsl.language.parse import MOST_ERRORS, parse
from npudsl.language.tables import grammar_text

PROGRAM = """npu 1

let side = 2 * (3 + 1)

model net from base, other {
  format = onnx  # a comment
  mean = [1, -2.5, 1/3]
  sizes = [
    1x3x8x8,
    ?x16,
  ]
  layer "conv1" type=i16 min=-1 because "reason"
  layers re"a|b" skip
  require cosine >= 0.99 on="x"
}
"""


def parsed(text: str) -> syntax.Parsed:
    return parse(Source("test.npu", text))


def test_every_node_points_at_its_own_characters():
    result = parsed(PROGRAM)
    assert result.problems == ()
    block = result.items[2]
    assert isinstance(block, syntax.BlockNode)
    text = {PROGRAM[node.span.start : node.span.end] for node in block.statements}
    assert "mean = [1, -2.5, 1/3]" in text
    assert 'layer "conv1" type=i16 min=-1' in text
    assert [base.text for base in block.bases] == ["base", "other"]
    assert PROGRAM[block.span.start : block.span.end].startswith("model net")


def test_windows_line_ends_give_the_same_tree_with_shifted_places():
    unix, windows = parsed(PROGRAM), parsed(PROGRAM.replace("\n", "\r\n"))
    assert windows.problems == ()
    assert [type(item) for item in unix.items] == [type(item) for item in windows.items]
    assert windows.items[2].span.line == unix.items[2].span.line


def test_a_name_may_begin_with_a_reserved_word():
    block = parsed("npu 1\nmodel m {\n  useful = lettuce\n}\n").items[1]
    assert isinstance(block, syntax.BlockNode)
    assert isinstance(block.statements[0], syntax.SettingNode)
    assert block.statements[0].key.text == "useful"


def test_a_missing_line_end_at_the_end_is_no_error():
    assert parsed("npu 1\nmodel m {\n}").problems == ()


def test_a_block_with_a_lost_line_is_incomplete_and_the_others_are_complete():
    result = parsed("npu 1\na x {\n  b = \n}\nc y {\n  d = 1\n}\n")
    first, second = (item for item in result.items if isinstance(item, syntax.BlockNode))
    assert (first.complete, second.complete, result.complete) == (False, True, True)


def test_a_broken_first_line_keeps_the_body_of_its_block():
    result = parsed("npu 1\na 'x' {\n  b = 1\n}\n")
    assert [problem.code for problem in result.problems] == ["E0101"]
    block = result.items[1]
    assert isinstance(block, syntax.BlockNode)
    assert block.keyword.text == syntax.BROKEN
    assert len(block.statements) == 1


def test_an_unclosed_block_ends_where_the_indentation_says_so():
    result = parsed("npu 1\na x {\n  b = 1\n\nc y {\n  d = 1\n}\n")
    assert [problem.code for problem in result.problems] == ["E0103"]
    assert [item.keyword.text for item in result.items[1:] if isinstance(item, syntax.BlockNode)] == ["a", "c"]


def test_at_most_twenty_errors_are_reported():
    lines = "\n".join(f"  k{index} =" for index in range(60))
    assert len(parsed(f"npu 1\na x {{\n{lines}\n}}\n").problems) == MOST_ERRORS


def test_the_grammar_has_no_conflicts_and_is_found():
    assert "start:" in grammar_text()


def test_a_thousand_lines_parse_quickly():
    rules = "\n".join(f'  layer "block_{index}/conv" type=i16 because "cosine 0.9{index}"' for index in range(1000))
    parsed("npu 1\n")
    before = time.process_time()
    assert parsed(f"npu 1\nquantize a {{\n{rules}\n}}\n").problems == ()
    assert time.process_time() - before < 3.0


PIECES = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "=",
    '"',
    ",",
    "\n",
    "let",
    "npu",
    "from",
    're"',
    "x",
    "1",
    "-",
    "%",
    "$",
    " ",
    "\\",
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(PROGRAM)), st.sampled_from(PIECES)), min_size=1, max_size=5))
def test_any_damage_gives_diagnostics_in_source_order_and_never_an_exception(damage):
    text = PROGRAM
    for place, piece in damage:
        text = text[:place] + piece + text[place:]
    starts = [problem.labels[0].span.start for problem in parsed(text).problems]
    assert starts == sorted(starts)
    assert len(starts) <= MOST_ERRORS


MISTAKES = {
    120: ('  layer "block_118/conv" type=', "E0105", "`type=` needs a value"),
    333: ('  layer "block_331/conv" type=i16, min=0', "E0105", "no comma between the parts of a rule"),
    555: ('  layer "block_553/conv" algorithm=kl(bins=2048', "E0103", '"(" is never closed'),
    777: ('  layer "block_775/conv type=i16', "E0104", "the string that starts here has no closing quote on this line"),
    901: ("  = 20", "E0105", "the key before `=` is missing"),
}


def test_five_different_mistakes_in_a_thousand_lines_are_exactly_five_errors_and_soon():
    lines = ["npu 1", "quantize a {"]
    lines += [f'  layer "block_{index}/conv" type=i16 because "cosine 0.9{index}"' for index in range(1000)]
    lines.append("}")
    for number, (line, _, _) in MISTAKES.items():
        lines[number - 1] = line
    before = time.process_time()
    found = parsed("\n".join(lines) + "\n").problems
    seconds = time.process_time() - before
    assert [(problem.labels[0].span.line, problem.code, problem.message) for problem in found] == [
        (number, code, message) for number, (_, code, message) in MISTAKES.items()
    ]
    assert seconds < 3.0
