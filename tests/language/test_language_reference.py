"""``grammar/LANGUAGE.md``: every example loads, and its tables are those of the schema.

To write the tables anew: ``NPUDSL_UPDATE_GOLDEN=1 pytest tests/language/test_language_reference.py``.
"""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path

import pytest

from npudsl.diagnostics import Source
from npudsl.language import syntax
from npudsl.language.load import load_program
from npudsl.language.parse import parse
from npudsl.language.reference import block_forms, key_table

PAGE = Path(__file__).resolve().parents[2] / "grammar" / "LANGUAGE.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```npu(-part)?(?: (\w+))?\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)

SCAFFOLD = {
    ("model", "net"): 'model net {\n  format = onnx\n  file = "net.onnx"\n}',
    ("dataset", "calib"): 'dataset calib {\n  list = "calib.txt"\n}',
    ("quantize", "u8"): "quantize u8 {\n  calibrate = calib\n}",
}
"""Blocks that stand around a part where it does not have them itself."""


def labelled(block: syntax.BlockNode) -> tuple[str, str]:
    return block.keyword.text, getattr(block.operands[0], "text", "") if block.operands else ""


def wrapped(part: str, kind: str) -> str:
    """A part as a program: top-level statements, or the lines of a block of ``kind``."""
    if kind:
        part = f"{kind} part from u8 {{\n{textwrap.indent(part, '  ')}}}\n"
        return "npu 1\n" + "\n".join(SCAFFOLD.values()) + "\n" + part
    blocks = [item for item in parse(Source("part", part)).items if isinstance(item, syntax.BlockNode)]
    own = {labelled(block) for block in blocks}
    around = [text for key, text in SCAFFOLD.items() if key not in own]
    return "npu 1\n" + "\n".join(around) + "\n" + part


@pytest.mark.parametrize(("part", "kind", "text"), EXAMPLES)
def test_every_example_of_the_reference_loads(part, kind, text, tmp_path):
    program = load_program(tmp_path / "example.npu", text=wrapped(text, kind) if part else text)
    assert program.warnings == ()


def tables() -> dict[str, str]:
    """Marker of the page -> the table it holds."""
    forms = block_forms()
    found = {f"keys: {name}": key_table(form.keys.values()) for name, form in forms.items()}
    for name, form in forms.items():
        found.update({f"parts: {name} {rule.name}": key_table(rule.keys.values()) for rule in form.rules.values()})
    return found


def with_tables(text: str) -> str:
    known = tables()

    def table(match: re.Match[str]) -> str:
        body = known[match.group(1)]
        return f"<!-- {match.group(1)} -->\n{body}\n<!-- end -->" if body else match.group(0)

    return re.sub(r"<!-- ((?:keys|parts): [\w ]+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def test_the_tables_of_the_reference_are_those_of_the_schema():
    if os.environ.get("NPUDSL_UPDATE_GOLDEN"):
        PAGE.write_text(with_tables(TEXT), encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_every_block_has_a_table_in_the_reference():
    assert {f"keys: {name}" for name in block_forms()} <= set(re.findall(r"<!-- (keys: [\w ]+) -->", TEXT))


def test_every_rule_is_described():
    names = {rule.name for form in block_forms().values() for rule in form.rules.values() if not rule.unavailable}
    assert {name for name in names if f"`{name} " not in TEXT} == set()
