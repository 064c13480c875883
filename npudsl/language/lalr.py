"""The parser: a table-driven LALR(1) loop that makes trees of the shape that Lark makes of the same grammar."""

from __future__ import annotations

from collections.abc import Sequence

from npudsl.language.lexer import Token
from npudsl.language.tables import Rule, tables

END = "$END"


class Tree:
    """A node: the name of a rule of the grammar (or its alias), and trees, tokens or None as children."""

    __slots__ = ("children", "data")

    def __init__(self, data: str, children: list[Node]) -> None:
        self.data = data
        self.children = children


Node = Tree | Token | None


def parse_tokens(tokens: Sequence[Token]) -> Tree | int:
    """The tree, or the index of the first token that does not fit (the number of tokens for the end)."""
    table = tables()
    states, rules = table.states, table.rules
    reached = [0]
    nodes: list[Node] = []
    for index, token in enumerate(tokens):
        kind = token.type
        action = states[reached[-1]].get(kind)
        while action is not None and action < 0:
            _reduce(rules[~action], states, reached, nodes)
            action = states[reached[-1]].get(kind)
        if action is None:
            return index
        reached.append(action)
        nodes.append(token)
    while reached[-1] != table.final:
        action = states[reached[-1]].get(END)
        if action is None:
            return len(tokens)
        _reduce(rules[~action], states, reached, nodes)
    tree = nodes[-1]
    assert isinstance(tree, Tree)
    return tree


def _reduce(rule: Rule, states: list[dict[str, int]], reached: list[int], nodes: list[Node]) -> None:
    """Replace the symbols of ``rule`` by its node."""
    size = rule.size
    parts: list[Node] = []
    if size:
        parts = nodes[-size:]
        del nodes[-size:]
        del reached[-size:]
    children = parts if rule.plain else _children(rule, parts)
    nodes.append(children[0] if rule.lift and len(children) == 1 else Tree(rule.node, children))
    reached.append(states[reached[-1]][rule.name])


def _children(rule: Rule, parts: list[Node]) -> list[Node]:
    children: list[Node] = []
    for index, inlined in rule.children:
        if index < 0:
            children.append(None)
        elif not inlined:
            children.append(parts[index])
        else:
            part = parts[index]
            assert isinstance(part, Tree)
            if children:
                children += part.children
            else:  # the list of a repetition grows in place; a copy per item would take quadratic time
                children = part.children
    return children
