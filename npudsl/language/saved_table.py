"""Makes ``npu.table`` from the grammar, by Lark: ``python -m npudsl.language.saved_table`` after a change of
``grammar/npu.lark``.

The text is canonical: states are numbered in the order in which a walk from the start meets them, rules and actions are
sorted. So a change of the grammar shows as a small difference, and another release of the library as none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from npudsl.language.tables import TABLE_FILE, grammar_text, header


def table_text(grammar: str) -> str:
    """The table of a grammar, as ``tables.py`` describes it."""
    from lark import Lark

    library = Lark(grammar, parser="lalr", lexer="basic", maybe_placeholders=True, propagate_positions=False)
    return "\n".join([header(grammar), *_token_lines(library), *_parser_lines(library)]) + "\n"


def _token_lines(library: Any) -> Iterator[str]:
    """The terminals in the library's order; strings that a regular expression finds too are words of it."""
    scanner = library.parser.lexer.scanner
    tried = [terminal.name for terminal in scanner.terminals]
    for terminal in scanner.terminals:
        yield f"token {terminal.name} {_pattern(terminal.pattern.to_regexp())}"
    for name in sorted(library.parser.lexer.ignore_types):
        yield f"ignore {name}"
    for terminal in sorted(library.terminals, key=lambda terminal: terminal.name):
        if terminal.name not in tried:
            yield f"word {terminal.name} {terminal.pattern.value}"


def _pattern(pattern: str) -> str:
    """On one line, and without groups of its own: the lexer asks only which token matched."""
    for character, escape in (("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t")):
        pattern = pattern.replace(character, escape)
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)


def _parser_lines(library: Any) -> Iterator[str]:
    table = library.parser.parser._parse_table
    reduced = {argument for row in table.states.values() for _, argument in row.values() if _reduces(argument)}
    rules = sorted({_rule_line(rule) for rule in reduced})
    numbers = {rule: rules.index(_rule_line(rule)) for rule in reduced}
    order = _walk(table)
    yield from rules
    for state in order:
        entries = [
            f"{symbol}=~{numbers[argument]}" if _reduces(argument) else f"{symbol}={order[argument]}"
            for symbol, (_, argument) in sorted(table.states[state].items())
        ]
        yield " ".join(["state", *entries])
    yield f"final {order[table.end_states['start']]}"


def _reduces(argument: object) -> bool:
    return not isinstance(argument, int)


def _walk(table: Any) -> dict[int, int]:
    """State -> number, breadth first from the start."""
    order = {table.start_states["start"]: 0}
    for state in (queue := list(order)):
        for _, (_, argument) in sorted(table.states[state].items()):
            if not _reduces(argument) and argument not in order:
                order[argument] = len(order)
                queue.append(argument)
    return order


def _rule_line(rule: Any) -> str:
    """Which symbols become children, as the library's tree builder decides it."""
    absent = "".join(str(int(empty)) for empty in rule.options.empty_indices)
    before = [len(ones) for ones in absent.split("0")] if absent else [0] * (len(rule.expansion) + 1)
    children: list[str] = []
    for index, symbol in enumerate(rule.expansion):
        children += ["."] * before[index]
        if not (symbol.is_term and symbol.filter_out):
            inlined = not symbol.is_term and symbol.name.startswith("_")
            children.append(f"{index}{'*' * inlined}")
    children += ["."] * before[-1]
    shape = "lift" if rule.options.expand1 and not rule.alias else "keep"
    name = rule.origin.name
    return " ".join(["rule", name, str(len(rule.expansion)), rule.alias or name, shape, *children])


if __name__ == "__main__":
    TABLE_FILE.write_text(table_text(grammar_text()), encoding="utf-8")
