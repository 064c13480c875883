"""The tables of lexer and parser: ``npu.lark`` as the parser library sees it, saved as text beside this module.

Building them takes the library 100 ms and importing it another 50, five times what Python needs to start, and every
command pays. Its own saved form is no way out: it is read by unpickling, and nothing here reads a format that can run
code. So the tables are lines of words, and ``lexer.py`` and ``lalr.py`` are the few loops that use them.

The grammar stays the truth: ``npu.table`` carries its checksum, and where the two do not fit (a checkout with an edited
grammar) the tables are made anew by ``saved_table.py``, with the library. Format, one fact per line::

    npu-table 1 crc=89ab12cd
    token NUMBER (0|[1-9][0-9]*)...         in the order in which they are tried
    ignore COMMENT
    word BECAUSE because                    a NAME of exactly these letters is this token
    rule block 6 block keep 1 2* . 3        name, symbols, node, keep or lift; children (* inlined, . absent)
    state NAME=4 _NL=~12 block=7            shift to a state, reduce by a rule (~); the n-th line is state n
    final 3
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

VERSION = "npu-table 1"
TABLE_FILE = Path(__file__).with_name("npu.table")

Child = tuple[int, bool]
"""Index of a symbol and whether its children stand in its place; index -1: an optional part that is absent."""


class Rule:
    """A production: what is reduced to ``name``, and the node it makes.

    ``lift``: a node with one child is replaced by the child. ``plain``: all symbols are children as they are.
    """

    __slots__ = ("children", "lift", "name", "node", "plain", "size")

    def __init__(self, name: str, size: int, node: str, lift: bool, children: tuple[Child, ...]) -> None:
        self.name = name
        self.size = size
        self.node = node
        self.lift = lift
        self.children = children
        self.plain = children == tuple((index, False) for index in range(size))


class Tables:
    """Tokens in the order they are tried, reserved words, rules, and per state what a token or node leads to.

    An action is a state to go to (0 and up) or ``~rule`` (below 0).
    """

    __slots__ = ("final", "ignored", "rules", "states", "tokens", "words")

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.ignored: set[str] = set()
        self.words: dict[str, str] = {}
        self.rules: list[Rule] = []
        self.states: list[dict[str, int]] = []
        self.final = 0
        for line in text.splitlines()[1:]:
            kind, _, rest = line.partition(" ")
            if kind == "state":
                self.states.append(_actions(rest))
            elif kind == "rule":
                self.rules.append(_rule(rest))
            elif kind == "token":
                name, _, pattern = rest.partition(" ")
                self.tokens.append((name, pattern))
            elif kind == "word":
                name, _, word = rest.partition(" ")
                self.words[word] = name
            elif kind == "ignore":
                self.ignored.add(rest)
            else:
                self.final = int(rest)


def header(grammar: str) -> str:
    """The first line of the table of ``grammar``."""
    return f"{VERSION} crc={zlib.crc32(grammar.encode()):08x}"


def grammar_text() -> str:
    """The grammar: packaged beside this module, or in ``grammar/`` of a checkout."""
    here = Path(__file__).resolve().parent
    for path in (here / "npu.lark", here.parent.parent / "grammar" / "npu.lark"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError("npu.lark is neither beside npudsl.language nor in the checkout's grammar folder")


@cache
def tables() -> Tables:
    """The tables of the grammar."""
    grammar = grammar_text()
    text = TABLE_FILE.read_text(encoding="utf-8") if TABLE_FILE.is_file() else ""
    if text.partition("\n")[0] != header(grammar):
        from npudsl.language.saved_table import table_text

        text = table_text(grammar)
    return Tables(text)


def _actions(text: str) -> dict[str, int]:
    actions = {}
    for entry in text.split():
        symbol, _, action = entry.partition("=")
        actions[symbol] = ~int(action[1:]) if action[0] == "~" else int(action)
    return actions


def _rule(text: str) -> Rule:
    name, size, node, shape, *children = text.split(" ")
    return Rule(name, int(size), node, shape == "lift", tuple(_child(child) for child in children))


def _child(text: str) -> Child:
    if text == ".":
        return (-1, False)
    return (int(text.removesuffix("*")), text.endswith("*"))
