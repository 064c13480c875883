"""Blocks against the schema: unknown words, wrong types, missing and contradicting keys; all, not the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from npudsl.diagnostics import Diagnostic, Label, Span
from npudsl.language import syntax
from npudsl.language.bodies import Body, Condition, Entry, RuleLine, merged
from npudsl.language.check_words import (
    finding,
    misplaced_block,
    not_available,
    setting_example,
    unknown_block,
    unknown_key,
    unknown_part,
    unknown_rule,
    wrong_label,
)
from npudsl.language.evaluate import Silent, evaluate, string_text
from npudsl.language.files import PresetSource, ProgramFile, visible_presets
from npudsl.language.names import listed, meant
from npudsl.language.schema import BLOCKS
from npudsl.language.schema.forms import REQUIRED, BlockForm, Key, RuleForm
from npudsl.language.schema.types import Reference, String, Use
from npudsl.language.values import Located, Refused, Word, refuse

_Result = TypeVar("_Result")


class BlockChecker:
    """Checks the blocks of one program; what it finds is in ``problems``, what must be looked up in ``references``."""

    def __init__(self, file: ProgramFile) -> None:
        self.file = file
        self.problems: list[Diagnostic] = []
        self.references: list[Reference] = []
        self.bodies: dict[tuple[str, str], Body] = {}
        self._presets: dict[Span, Body | None] = {}

    def check(self) -> dict[tuple[str, str], Body]:
        """Every block of the file by keyword and label, in source order."""
        for node in self.file.blocks:
            form = self._form(node, self.file)
            if form is None:
                continue
            body = self._guard(self._labelled, node, form, self.file)
            if body is not None:
                self._add(body, node)
        for preset in list(self.file.presets.values()):
            if preset.file.source == self.file.source or preset.span not in self._presets:
                self._preset(preset)
        return self.bodies

    # Blocks

    def _form(self, node: syntax.BlockNode, file: ProgramFile) -> BlockForm | None:
        word = node.keyword.text
        if word in BLOCKS:
            return BLOCKS[word]
        if word == syntax.BROKEN:
            file.complete = False
            return None
        self._report(unknown_block(node.keyword))
        file.complete = False
        return None

    def _labelled(self, node: syntax.BlockNode, form: BlockForm, file: ProgramFile) -> Body:
        label, span = self._label(node, form, file)
        own = self._body(node, form, label, span, file)
        body = merged(self._bases(node, form, file), own)
        self._check_whole(body)
        return body

    def _add(self, body: Body, node: syntax.BlockNode) -> None:
        key = (node.keyword.text, body.label)
        known = self.bodies.get(key)
        if known is not None:
            labels = (Label(body.span), Label(known.span, "first written here", primary=False))
            self._report(Diagnostic("E0204", f"{key[0]} `{key[1]}` is written twice", labels=labels))
            return
        self.bodies[key] = body

    def _label(self, node: syntax.BlockNode, form: BlockForm, file: ProgramFile) -> tuple[str, Span]:
        operands = node.operands
        if form.label is None:
            if operands:
                raise refuse("E0105", f"`{form.name}` takes no name", operands[0].span)
            return "", node.keyword.span
        quoted = isinstance(form.label, String)
        example = f'write `{form.name} "name" {{`' if quoted else f"write `{form.name} name {{`"
        if not operands:
            raise refuse("E0205", f"`{form.name}` needs a name", node.keyword.span, example)
        if len(operands) > 1:
            raise refuse("E0105", f"`{form.name}` takes one name", operands[1].span, example)
        operand = operands[0]
        if quoted and isinstance(operand, syntax.StringNode):
            text = string_text(operand, file.scope)
            if not text:
                raise refuse("E0210", f"the name of this {form.name} is empty", operand.span)
            return text, operand.span
        if not quoted and isinstance(operand, syntax.WordNode):
            if "." in operand.text:
                raise refuse("E0210", "names of blocks have no `.`", operand.span)
            return operand.text, operand.span
        problem, name = wrong_label(operand, form, quoted, example)
        self._report(problem)
        return name, operand.span

    def _body(self, node: syntax.BlockNode, form: BlockForm, label: str, span: Span, file: ProgramFile) -> Body:
        body = Body(form, label, span, complete=node.complete)
        places: dict[str, Span] = {}
        for statement in node.statements:
            if isinstance(statement, syntax.SettingNode):
                self._guard(self._setting, statement, body, places, file)
            elif isinstance(statement, syntax.RuleNode):
                rule = self._guard(self._rule, statement, body, file)
                if rule is not None:
                    body.rules.append(rule)
                else:
                    body.refused.add(statement.keyword.text)
            else:
                self._guard(self._nested, statement, body, file)
        self._check_exclusive(body)
        return body

    def _nested(self, node: syntax.BlockNode, body: Body, file: ProgramFile) -> None:
        word = node.keyword.text
        if word == syntax.BROKEN:
            body.complete = False
            return
        form = body.form.blocks.get(word)
        if form is None:
            raise Refused(misplaced_block(node, body.form))
        if form.unavailable:
            raise refuse("E0208", f"`{word}` blocks are not available yet", node.keyword.span, form.unavailable)
        label, span = self._label(node, form, file)
        own = self._body(node, form, label, span, file)
        inner = merged(self._bases(node, form, file), own)
        known = body.blocks.get((word, label))
        if known is not None:
            labels = (Label(span), Label(known.span, "first written here", primary=False))
            raise Refused(Diagnostic("E0204", f"{word} `{label}` is written twice", labels=labels))
        body.blocks[(word, label)] = inner

    # Settings

    def _setting(self, node: syntax.SettingNode, body: Body, places: dict[str, Span], file: ProgramFile) -> None:
        name, form = node.key.text, body.form
        key = form.keys.get(name)
        if key is None:
            body.complete = body.complete and name in form.rules
            raise Refused(unknown_key(node, form))
        if name in places:
            labels = (Label(node.key.span), Label(places[name], "first given here", primary=False))
            raise Refused(Diagnostic("E0204", f"`{name}` is given twice", labels=labels))
        places[name] = node.key.span
        body.refused.add(name)
        value = self._convert(key, evaluate(node.value, file.scope), file)
        if key.unavailable:
            raise not_available(key, node.key.span)
        body.refused.discard(name)
        body.entries[name] = Entry(name, value, node.value.span)

    def _convert(self, key: Key, located: Located, file: ProgramFile) -> object:
        use = Use(key.name, file.base, file.constants)
        value = key.type.convert(located, use)
        if file.complete:
            self.references.extend(use.references)
        return value

    def _check_exclusive(self, body: Body) -> None:
        for name, entry in body.entries.items():
            for other in body.form.keys[name].excludes:
                if other in body.entries and body.entries[other].span.start < entry.span.start:
                    labels = (Label(entry.span), Label(body.entries[other].span, f"`{other}` is here", primary=False))
                    message = f"`{other}` and `{name}` say the same; keep one"
                    self._report(Diagnostic("E0206", message, labels=labels))

    def _check_whole(self, body: Body) -> None:
        """What only the block with its bases shows: missing keys."""
        if not body.complete:
            return
        form = body.form
        for key in form.keys.values():
            if key.default is REQUIRED and not body.known(key.name):
                message = f"{_named(body)} needs `{key.name}`"
                self._report(finding("E0205", message, body.span, f"for example `{setting_example(key)}`"))
        for group in form.one_of:
            rules = {rule.form.name for rule in body.rules} | body.refused
            if not any(body.has(name) or name in rules for name in group):
                need = f"`{group[0]}`" if len(group) == 1 else f"one of {listed(group)}"
                self._report(finding("E0205", f"{_named(body)} needs {need}", body.span))
        for inner in body.blocks.values():
            self._check_whole(inner)

    # Rules

    def _rule(self, node: syntax.RuleNode, body: Body, file: ProgramFile) -> RuleLine | None:
        word = node.keyword.text
        form = body.form.rules.get(word)
        if form is None:
            body.complete = body.complete and word in body.form.keys
            raise Refused(unknown_rule(node, body.form))
        line = self._rule_line(node, form, file)
        if form.unavailable:
            raise refuse("E0208", f"`{word}` rules are not available yet", node.keyword.span, form.unavailable)
        return line

    def _rule_line(self, node: syntax.RuleNode, form: RuleForm, file: ProgramFile) -> RuleLine:
        count = len(form.selectors)
        places = [part for part in node.operands[:count] if _is_value(part)]
        if len(places) < count:
            raise refuse("E0205", f"`{form.name}` needs a selector", node.keyword.span, f"for example `{form.example}`")
        selectors = tuple(
            kind.convert(_selector(part, file), Use(form.name, file.base))
            for kind, part in zip(form.selectors, places, strict=True)
        )
        span = places[0].span if places else node.keyword.span
        because = string_text(node.because, file.scope) if node.because is not None else None
        if node.because is not None and not form.because:
            raise refuse("E0105", f"`{form.name}` takes no `because`", node.because.span, "write a `#` comment")
        line = RuleLine(form, selectors, span, {}, {}, None, because, node.span)
        for part in node.operands[count:]:
            line = self._rule_part(part, line, file)
        return line

    def _rule_part(self, part: object, line: RuleLine, file: ProgramFile) -> RuleLine:
        form = line.form
        if isinstance(part, syntax.ConditionNode):
            return _with_condition(part, line, file)
        if isinstance(part, syntax.KeywordNode):
            self._rule_key(part, line, file)
            return line
        if isinstance(part, syntax.WordNode):
            if part.text in form.flags:
                if part.text in line.flags:
                    raise refuse("E0204", f"`{part.text}` is given twice", part.span)
                line.flags[part.text] = part.span
                return line
            if part.text in form.keys:
                raise refuse("E0105", f"`{part.text}` needs a value", part.span, f"write `{part.text}=value`")
            helps, fixes = meant(part.text, form.flags, part.span)
            helps = helps or (f"for example `{form.example}`",)
            raise refuse("E0202", f"`{part.text}` is not a flag of `{form.name}`", part.span, *helps, fixes=fixes)
        span = part.span  # type: ignore[attr-defined]
        raise refuse("E0105", f"this is too much for `{form.name}`", span, f"for example `{form.example}`")

    def _rule_key(self, part: syntax.KeywordNode, line: RuleLine, file: ProgramFile) -> None:
        form, name = line.form, part.name.text
        key = form.keys.get(name)
        if key is None:
            raise Refused(unknown_part(part, form))
        if name in line.entries:
            labels = (Label(part.span), Label(line.entries[name].span, "first given here", primary=False))
            raise Refused(Diagnostic("E0204", f"`{name}` is given twice", labels=labels))
        value = self._convert(key, evaluate(part.value, file.scope), file)
        if key.unavailable:
            raise not_available(key, part.name.span)
        line.entries[name] = Entry(name, value, part.span)

    # Presets and bases

    def _bases(self, node: syntax.BlockNode, form: BlockForm, file: ProgramFile) -> list[Body]:
        found = []
        for name in node.bases:
            body = self._guard(self._base, name, form, file, node)
            if body is not None:
                found.append(body)
        if len(found) < len(node.bases):
            found.append(Body(form, "", node.span, complete=False))
        return found

    def _base(self, name: syntax.WordNode, form: BlockForm, file: ProgramFile, node: syntax.BlockNode) -> Body | None:
        presets = visible_presets(file, form.name)
        if name.text in presets:
            return self._preset(presets[name.text])
        is_program = file is self.file
        earlier = self.bodies.get((form.name, name.text)) if is_program else None
        if earlier is not None:
            return earlier
        if not file.complete:
            return None
        for block in self.file.blocks if is_program else []:
            later = block.keyword.text == form.name and _label_text(block) == name.text
            if later and block is not node and block.span.start > node.span.start:
                labels = (Label(name.span), Label(block.operands[0].span, "written here", primary=False))
                message = f"`{name.text}` is written later"
                helps = (f"move {form.name} `{name.text}` above this block",)
                raise Refused(Diagnostic("E0213", message, labels=labels, helps=helps))
            if later:
                return None
        labels_known = [label for kind, label in self.bodies if kind == form.name]
        suggestions, fixes = meant(name.text, [*presets, *labels_known], name.span)
        other = [kind for (kind, label) in file.presets if label == name.text]
        if other:
            suggestions, fixes = (f"`{name.text}` is a preset for `{other[0]}`",), ()
        what = "preset or earlier block" if is_program else "preset"
        raise refuse("E0213", f"`{name.text}` is not a {form.name} {what}", name.span, *suggestions, fixes=fixes)

    def _preset(self, preset: PresetSource) -> Body | None:
        span = preset.span
        if span in self._presets:
            return self._presets[span]
        self._presets[span] = None
        node = preset.node
        form = BLOCKS.get(node.kind.text)
        if form is None:
            self._report(unknown_block(node.kind))
            return None
        own = self._body(node.body, form, node.name.text, span, preset.file)
        body = merged(self._bases(node.body, form, preset.file), own)
        self._presets[span] = body
        return body

    # Reporting

    def _report(self, diagnostic: Diagnostic) -> None:
        self.problems.append(diagnostic)

    def _guard(self, work: Callable[..., _Result], *arguments: object) -> _Result | None:
        """The result of ``work``; None when it refuses, with the reason reported."""
        try:
            return work(*arguments)
        except Refused as refused:
            self._report(refused.diagnostic)
        except Silent:
            pass
        return None


def _is_value(part: object) -> bool:
    return not isinstance(part, (syntax.KeywordNode, syntax.ConditionNode))


def _selector(part: object, file: ProgramFile) -> Located:
    """A selector's value; a bare operator name is never a constant."""
    if isinstance(part, syntax.WordNode) and part.text not in file.constants:
        return Located(Word(part.text), part.span)
    return evaluate(part, file.scope)  # type: ignore[arg-type]


def _with_condition(part: syntax.ConditionNode, line: RuleLine, file: ProgramFile) -> RuleLine:
    if not line.form.condition:
        raise refuse("E0105", f"`{line.form.name}` takes no condition", part.span, f"write `{part.name.text}=value`")
    if line.condition is not None:
        raise refuse("E0105", "one condition per line", part.span, "write a second `require`")
    value = evaluate(part.value, file.scope)
    condition = Condition(part.name.text, part.name.span, part.operator, value)
    return replace(line, condition=condition, span=part.span)


def _label_text(block: syntax.BlockNode) -> str | None:
    operand = block.operands[0] if block.operands else None
    return operand.text if isinstance(operand, syntax.WordNode) else None


def _named(body: Body) -> str:
    return f"{body.form.name} `{body.label}`" if body.label else f"`{body.form.name}`"
