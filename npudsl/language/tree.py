"""From the parser's trees to ``syntax`` nodes. Positions are read from tokens: every node begins and ends with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from npudsl.diagnostics import Source, Span
from npudsl.language import syntax


class TreeReader:
    """Turns the trees of one source into nodes; ``dropped`` holds the offsets of lines that recovery left out."""

    def __init__(self, source: Source, dropped: Sequence[int]) -> None:
        self.source = source
        self.dropped = dropped

    def items(self, tree: Any) -> tuple[syntax.ItemNode, ...]:
        return tuple(getattr(self, child.data)(child) for child in tree.children)

    # Statements

    def version(self, tree: Any) -> syntax.VersionNode:
        keyword, number = tree.children
        return syntax.VersionNode(str(number), self._span(keyword, number))

    def use(self, tree: Any) -> syntax.UseNode:
        keyword, path, as_token, prefix = tree.children
        name = self._word(prefix) if as_token is not None else None
        node = syntax.StringNode(str(path), self._span(path, path))
        return syntax.UseNode(node, name, self._span(keyword, prefix if name else path))

    def let(self, tree: Any) -> syntax.LetNode:
        keyword, name, value = tree.children
        expression = self._expression(value)
        return syntax.LetNode(self._word(name), expression, self._over(keyword, expression.span))

    def preset(self, tree: Any) -> syntax.PresetNode:
        keyword, kind, name, base, body = tree.children
        block = self._block(self._word(kind), (), base, body)
        return syntax.PresetNode(self._word(kind), self._word(name), block, self._over(keyword, block.span))

    def block(self, tree: Any) -> syntax.BlockNode:
        keyword, *operands, base, body = tree.children
        return self._block(self._word(keyword), tuple(self._operand(part) for part in operands), base, body)

    def setting(self, tree: Any) -> syntax.SettingNode:
        key, value = tree.children
        expression = self._expression(value)
        return syntax.SettingNode(self._word(key), expression, self._over(key, expression.span))

    def rule(self, tree: Any) -> syntax.RuleNode:
        keyword, *parts, reason = tree.children
        operands = tuple(self._operand(part) for part in parts)
        because = None
        if reason is not None:
            text = reason.children[1]
            because = syntax.StringNode(str(text), self._span(text, text))
        return syntax.RuleNode(self._word(keyword), operands, because, self._over(keyword, operands[-1].span))

    def _block(
        self,
        keyword: syntax.WordNode,
        operands: tuple[syntax.Expression | syntax.KeywordNode | syntax.ConditionNode, ...],
        base: Any,
        body: Any,
    ) -> syntax.BlockNode:
        opening, *statements, closing = body.children
        bases = tuple(self._word(token) for token in base.children[1:]) if base is not None else ()
        span = Span(self.source, keyword.span.start, closing.end_pos)
        complete = not any(opening.start_pos <= offset <= closing.end_pos for offset in self.dropped)
        nodes = tuple(getattr(self, child.data)(child) for child in statements)
        return syntax.BlockNode(keyword, operands, bases, nodes, span, complete)

    # Expressions

    def _operand(self, tree: Any) -> Any:
        if tree.data == "argument":
            return self._keyword(tree)
        if tree.data == "condition":
            name, operator, value = tree.children
            expression = self._expression(value)
            span = self._over(name, expression.span)
            return syntax.ConditionNode(self._word(name), str(operator), expression, span)
        return self._expression(tree)

    def _keyword(self, tree: Any) -> syntax.KeywordNode:
        name, value = tree.children
        expression = self._expression(value)
        return syntax.KeywordNode(self._word(name), expression, self._over(name, expression.span))

    def _expression(self, tree: Any) -> syntax.Expression:
        expression: syntax.Expression = _EXPRESSIONS[tree.data](self, tree.children)
        return expression

    def _string(self, children: list[Any]) -> syntax.Expression:
        return syntax.StringNode(str(children[0]), self._span(children[0], children[0]))

    def _regex(self, children: list[Any]) -> syntax.Expression:
        return syntax.RegexNode(str(children[0])[3:-1], self._span(children[0], children[0]))

    def _number(self, children: list[Any]) -> syntax.Expression:
        return syntax.NumberNode(str(children[0]), self._span(children[0], children[0]))

    def _signed_number(self, children: list[Any]) -> syntax.Expression:
        minus, number = children
        return syntax.NumberNode(f"-{number}", self._span(minus, number))

    def _size(self, children: list[Any]) -> syntax.Expression:
        return syntax.SizeNode(str(children[0]), self._span(children[0], children[0]))

    def _plain_word(self, children: list[Any]) -> syntax.Expression:
        return self._word(children[0])

    def _bool(self, children: list[Any]) -> syntax.Expression:
        return syntax.BoolNode(str(children[0]) == "true", self._span(children[0], children[0]))

    def _call(self, children: list[Any]) -> syntax.Expression:
        name, _, *arguments, closing = children
        values = tuple(self._keyword(part) if part.data == "keyword" else self._expression(part) for part in arguments)
        return syntax.CallNode(self._word(name), values, self._span(name, closing))

    def _list(self, children: list[Any]) -> syntax.Expression:
        opening, *items, closing = children
        return syntax.ListNode(tuple(self._expression(item) for item in items), self._span(opening, closing))

    def _binary(self, children: list[Any]) -> syntax.Expression:
        left, operator, right = self._expression(children[0]), str(children[1]), self._expression(children[2])
        return syntax.BinaryNode(operator, left, right, Span(self.source, left.span.start, right.span.end))

    def _negative(self, children: list[Any]) -> syntax.Expression:
        operand = self._expression(children[1])
        return syntax.NegativeNode(operand, self._over(children[0], operand.span))

    def _group(self, children: list[Any]) -> syntax.Expression:
        return self._expression(children[1])

    # Places

    def _word(self, token: Any) -> syntax.WordNode:
        return syntax.WordNode(str(token), self._span(token, token))

    def _span(self, first: Any, last: Any) -> Span:
        return Span(self.source, first.start_pos, last.end_pos)

    def _over(self, first: Any, last: Span) -> Span:
        return Span(self.source, first.start_pos, last.end)


_EXPRESSIONS: dict[str, Any] = {
    "string": TreeReader._string,
    "regex": TreeReader._regex,
    "number": TreeReader._number,
    "negative": TreeReader._signed_number,
    "size": TreeReader._size,
    "word": TreeReader._plain_word,
    "bool": TreeReader._bool,
    "call": TreeReader._call,
    "list": TreeReader._list,
    "binary": TreeReader._binary,
    "unary": TreeReader._negative,
    "group": TreeReader._group,
}
