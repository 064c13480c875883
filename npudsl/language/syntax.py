"""The syntax tree: what was written, with its place, before anything is evaluated or looked up.

Own dataclasses instead of the parser library's trees, so that evaluation and checks can be read, typed and tested
without knowing the grammar.
"""

from __future__ import annotations

from npudsl.diagnostics import Diagnostic, Source, Span
from npudsl.language.frozen import frozen


@frozen
class WordNode:
    """A bare word: a name, an enum word, a constant."""

    text: str
    span: Span


@frozen
class StringNode:
    """A string with its quotes and escapes as written."""

    text: str
    span: Span


@frozen
class RegexNode:
    """``re"..."``; ``text`` is what stands between the quotes."""

    text: str
    span: Span


@frozen
class NumberNode:
    """A number with its unit as written; ``text`` may begin with ``-`` in a rule."""

    text: str
    span: Span


@frozen
class SizeNode:
    text: str
    span: Span


@frozen
class BoolNode:
    value: bool
    span: Span


@frozen
class KeywordNode:
    """``name=value`` between the parentheses of a call, or as a part of a rule."""

    name: WordNode
    value: Expression
    span: Span


@frozen
class CallNode:
    name: WordNode
    arguments: tuple[Expression | KeywordNode, ...]
    span: Span


@frozen
class ListNode:
    items: tuple[Expression, ...]
    span: Span


@frozen
class NegativeNode:
    operand: Expression
    span: Span


@frozen
class BinaryNode:
    """``operator`` is one of ``+ - * /``."""

    operator: str
    left: Expression
    right: Expression
    span: Span


Expression = (
    WordNode
    | StringNode
    | RegexNode
    | NumberNode
    | SizeNode
    | BoolNode
    | CallNode
    | ListNode
    | NegativeNode
    | BinaryNode
)


@frozen
class ConditionNode:
    """``cosine >= 0.99`` in a rule."""

    name: WordNode
    operator: str
    value: Expression
    span: Span


@frozen
class SettingNode:
    key: WordNode
    value: Expression
    span: Span


@frozen
class RuleNode:
    keyword: WordNode
    operands: tuple[Expression | KeywordNode | ConditionNode, ...]
    because: StringNode | None
    span: Span


@frozen
class BlockNode:
    """``keyword operands from bases { statements }``. ``complete``: no line inside was dropped by error recovery."""

    keyword: WordNode
    operands: tuple[Expression | KeywordNode | ConditionNode, ...]
    bases: tuple[WordNode, ...]
    statements: tuple[StatementNode, ...]
    span: Span
    complete: bool = True


StatementNode = SettingNode | RuleNode | BlockNode


@frozen
class VersionNode:
    text: str
    span: Span


@frozen
class UseNode:
    path: StringNode
    prefix: WordNode | None
    span: Span


@frozen
class LetNode:
    name: WordNode
    value: Expression
    span: Span


@frozen
class PresetNode:
    """``preset kind name from bases { ... }``; ``body`` is the block it stands for (keyword ``kind``, no operands)."""

    kind: WordNode
    name: WordNode
    body: BlockNode
    span: Span


ItemNode = VersionNode | UseNode | LetNode | PresetNode | BlockNode

BROKEN = "_"
"""Keyword of a block whose first line could not be read; its body is kept so that its lines can still be checked."""


@frozen
class Parsed:
    """A file's items and its syntax errors. ``complete``: no line outside of blocks was dropped."""

    source: Source
    items: tuple[ItemNode, ...]
    problems: tuple[Diagnostic, ...]
    complete: bool = True
