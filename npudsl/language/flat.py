"""The flat form: the evaluated program with one fact per line, each with the whole path of its block.

::

    npu 1
    input "image" mean = 128
    input "image" color = rgb  # default
    quantize hybrid layers "**/fc*" type=i16 because "0.96 at 8 bits"  # inherited
    target board export source kind = c-project

A line can be read, searched and compared alone. The order is that of ``evaluated.py``: blocks by kind, keys as in the
schema, then rules in the order in which they count. Behind its path a line is what stands in the block, so the lines
of a block put together are the block again: ``block_text`` does that, and ``read_flat`` reads the program back.
``# default`` marks a value that the tool chose, ``# inherited`` a rule from a base.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from npudsl.diagnostics import Diagnostic, Label, Source, Span, UserError
from npudsl.language.evaluated import Block, Rule, evaluated
from npudsl.language.lexer import Token, lex
from npudsl.language.literals import number_literal, percentage_literal, value_literal, word_literal
from npudsl.language.program import Program
from npudsl.language.reference import block_forms
from npudsl.language.schema import BLOCKS
from npudsl.language.schema.forms import BlockForm
from npudsl.language.schema.judge import PERCENT_METRICS
from npudsl.language.schema.types import String
from npudsl.language.strings import string_literal

VERSION_LINE = "npu 1"
DEFAULT = "  # default"
INHERITED = "  # inherited"

Header = tuple[str, ...]
"""The path of a block as words: ``("target board", "export source")``."""


def flat_lines(program: Program, *, only_defaults: bool = False) -> list[str]:
    """The facts of a program, a line each; ``only_defaults``: only values that the tool chose."""
    facts = [fact for block in evaluated(program) for fact in _facts(block, ())]
    if only_defaults:
        return [_line(fact) for fact in facts if fact[2] == DEFAULT]
    return [VERSION_LINE, *map(_line, facts)]


def program_text(program: Program) -> str:
    """The evaluated program as a program: one file, nothing taken from anywhere, everything written out."""
    return block_text(fact for block in evaluated(program) for fact in _facts(block, ()))


def read_flat(text: str, name: str = "flat") -> Program:
    """The program whose flat form is ``text``; paths are not looked up. Raises ``UserError``."""
    from npudsl.language.files import FileReader
    from npudsl.language.load import checked_program
    from npudsl.language.paths import Project

    source = Source(name, text)
    facts = [fact for fact in (_read_line(source, span) for span in _spans(source)) if fact is not None]
    reader = FileReader(Project(Path("/"), _AnyRoot()))
    return checked_program(reader.read(Path("/") / f"{name}.npu", name, block_text(facts)), reader)


# Facts

Fact = tuple[Header, str, str]
"""Path of the block, what stands in it (nothing for an empty block), and the mark behind it."""


def _facts(block: Block, outer: Header) -> Iterator[Fact]:
    header = (*outer, f"{block.keyword} {_label(block)}")
    form = block_forms()["target export" if outer else block.keyword]
    count = 0
    for key, value in block.values.items():
        mark = DEFAULT if key in block.defaults else ""
        yield header, f"{key} = {value_literal(value, form.keys[key].type)}", mark
        count += 1
    for rule in block.rules:
        yield header, _rule_text(rule, form), INHERITED if rule.inherited else ""
        count += 1
    for inner in block.blocks:
        yield from _facts(inner, header)
        count += 1
    if not count:
        yield header, "", ""


def _label(block: Block) -> str:
    return string_literal(block.label) if isinstance(_form(block.keyword).label, String) else block.label


def _form(keyword: str) -> BlockForm:
    return BLOCKS[keyword] if keyword in BLOCKS else block_forms()["target export"]


def _rule_text(rule: Rule, form: BlockForm) -> str:
    rule_form = form.rules[rule.keyword]
    parts = [rule.keyword]
    if rule.pattern == "regex":
        parts.append(f're"{rule.selector}"')
    elif rule.selector is not None:
        parts.append(word_literal(rule.selector) if rule.keyword == "op" else string_literal(rule.selector))
    if rule.condition is not None:
        metric, operator, limit = rule.condition
        number = percentage_literal(limit) if metric in PERCENT_METRICS else number_literal(limit)
        parts.append(f"{metric} {operator} {number}")
    parts += [f"{key}={value_literal(value, rule_form.keys[key].type)}" for key, value in rule.values.items()]
    parts += rule.flags
    if rule.because is not None:
        parts.append(f"because {string_literal(rule.because)}")
    return " ".join(parts)


def _line(fact: Fact) -> str:
    header, statement, mark = fact
    return " ".join([*header, *([statement] if statement else [])]) + mark


# Facts to blocks


def block_text(facts: Iterable[Fact]) -> str:
    """Facts as a program in the layout of ``npu fmt``; inherited rules stand in a preset that their block names."""
    top: dict[str, list[Fact]] = {}
    for header, statement, mark in facts:
        top.setdefault(header[0], []).append((header[1:], statement, mark))
    return "\n".join([f"{VERSION_LINE}\n", *(_block_lines(header, inner) for header, inner in top.items())])


def _block_lines(header: str, facts: list[Fact]) -> str:
    based = [statement for inner, statement, mark in facts if not inner and mark == INHERITED]
    own = [(inner, statement, mark) for inner, statement, mark in facts if inner or mark != INHERITED]
    lines: list[str] = []
    if based:
        keyword, _, label = header.partition(" ")
        preset = f"bases_of_{label}"
        lines += [f"preset {keyword} {preset} {{", *(f"  {statement}" for statement in based), "}\n"]
        header = f"{header} from {preset}"
    lines.append(f"{header} {{")
    inner_blocks: dict[str, list[str]] = {}
    for inner, statement, mark in own:
        if inner:
            inner_blocks.setdefault(inner[0], []).append(statement + mark)
        elif statement:
            lines.append(f"  {statement}{mark}")
    for inner_header, statements in inner_blocks.items():
        lines += [f"  {inner_header} {{", *(f"    {statement}" for statement in statements if statement), "  }"]
    return "\n".join([*lines, "}\n"])


# Lines to facts


class _AnyRoot(Mapping[str, Path]):
    """Every named root is there: nothing is looked up under it."""

    def __getitem__(self, name: str) -> Path:
        return Path("/")

    def get(self, name: str, default: object = None) -> Path:
        return Path("/")

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _spans(source: Source) -> Iterator[Span]:
    start = 0
    for line in source.text.split("\n"):
        if line.strip() and line != VERSION_LINE:
            yield Span(source, start, start + len(line))
        start += len(line) + 1


def _read_line(source: Source, span: Span) -> Fact | None:
    line = source.text[span.start : span.end]
    tokens = [token for token in lex(line) if token.type != "WS_INLINE"]
    comment = tokens.pop().text if tokens and tokens[-1].type == "COMMENT" else ""
    if not tokens:
        return None
    header: list[str] = []
    forms: Mapping[str, BlockForm] = BLOCKS
    while len(tokens) > 1 and tokens[0].text in forms and tokens[1].type in ("NAME", "STRING"):
        form = forms[tokens[0].text]
        header.append(f"{tokens[0].text} {tokens[1].text}")
        tokens, forms = tokens[2:], form.blocks
    if not header:
        message = "a line of the flat form begins with its block"
        raise UserError([Diagnostic("E0105", message, labels=(Label(span),), helps=("for example `dataset calib`",))])
    mark = {"# default": DEFAULT, "# inherited": INHERITED}.get(comment, "")
    return tuple(header), _text(line, tokens), mark


def _text(line: str, tokens: list[Token]) -> str:
    return line[tokens[0].start_pos : tokens[-1].end_pos] if tokens else ""
