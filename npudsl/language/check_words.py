"""What to say about words that do not stand where they should: blocks, keys, rules and their parts."""

from __future__ import annotations

from npudsl.diagnostics import Diagnostic, Fix, Label, Span
from npudsl.language import syntax
from npudsl.language.names import listed, with_article
from npudsl.language.names import meant as near_name
from npudsl.language.schema import BLOCK_ALIASES, BLOCKS
from npudsl.language.schema.forms import BlockForm, Key, RuleForm
from npudsl.language.schema.types import as_word
from npudsl.language.values import Refused, refuse


def finding(code: str, message: str, span: Span, *helps: str) -> Diagnostic:
    return Diagnostic(code, message, labels=(Label(span),), helps=helps)


def unknown_block(word: syntax.WordNode) -> Diagnostic:
    """E0201 for a word that names no block of the top level."""
    meant = BLOCK_ALIASES.get(word.text.lower())
    if meant:
        fix = Fix(word.span, meant, f"write {meant}")
        message = f"unknown block `{word.text}`"
        return Diagnostic("E0201", message, (Label(word.span),), helps=(f"did you mean `{meant}`?",), fixes=(fix,))
    for form in BLOCKS.values():
        if word.text in form.blocks:
            return finding("E0201", f"`{word.text}` stands inside a `{form.name}` block", word.span)
    suggestions, fixes = near_name(word.text, BLOCKS, word.span)
    helps = suggestions or (f"blocks: {listed(BLOCKS)}",)
    return Diagnostic("E0201", f"unknown block `{word.text}`", (Label(word.span),), helps=helps, fixes=fixes)


def wrong_label(operand: object, form: BlockForm, quoted: bool, example: str) -> tuple[Diagnostic, str]:
    """E0210 for a label of the wrong kind, and the name that was probably meant."""
    span: Span = operand.span  # type: ignore[attr-defined]
    if quoted and isinstance(operand, syntax.WordNode):
        fix = Fix(span, f'"{operand.text}"', "write a string")
        message = f"the name of {with_article(form.name)} stands in double quotes"
        helps = (f'write `{form.name} "{operand.text}" {{`',)
        return Diagnostic("E0210", message, (Label(span),), helps=helps, fixes=(fix,)), operand.text
    if not quoted and isinstance(operand, syntax.StringNode):
        name = operand.text[1:-1]
        message = f"the name of {with_article(form.name)} is a word, without quotes"
        helps = (f"write `{form.name} {name} {{`",)
        return Diagnostic("E0210", message, (Label(span),), helps=helps, fixes=as_word(name, span)), name
    return finding("E0210", f"this is not a name for `{form.name}`", span, example), "_"


def setting_example(key: Key) -> str:
    examples = {
        "calibrate": "calib",
        "data": "calib",
        "candidate": "u8",
        "file": '"models/net.onnx"',
        "format": "onnx",
        "kind": "c-project",
        "reference": "float",
    }
    default = key.default if isinstance(key.default, (str, int)) else None
    return f"{key.name} = {examples.get(key.name, default if default is not None else 'value')}"


def not_available(key: Key, span: Span) -> Refused:
    return refuse("E0208", f"`{key.name}` is not available yet", span, key.unavailable)


def unknown_key(node: syntax.SettingNode, form: BlockForm) -> Diagnostic:
    name, span = node.key.text, node.key.span
    if name in form.rules:
        fix = Fix(Span(span.source, span.end, node.value.span.start), " ", "write a rule")
        advice = f"write `{form.rules[name].example}`"
        return Diagnostic("E0203", f"`{name}` is a rule, not a setting", (Label(span),), helps=(advice,), fixes=(fix,))
    if name in form.blocks:
        return finding("E0203", f"`{name}` is a block, not a setting", span, f"write `{name} name {{`")
    message = f"`{name}` is not a key of `{form.name}`"
    helps, fixes = _meant(name, span, form)
    return Diagnostic("E0202", message, (Label(span),), helps=helps or (_all_keys(form),), fixes=fixes)


def _meant(name: str, span: Span, form: BlockForm) -> tuple[tuple[str, ...], tuple[Fix, ...]]:
    alias = form.aliases.get(name) or form.aliases.get(name.lower())
    if alias is not None and " " in alias:
        return (alias,), ()
    if alias is not None:
        return (f"did you mean `{alias}`?",), (Fix(span, alias, f"write {alias}"),)
    other = [block.name for block in BLOCKS.values() if block is not form and name in block.keys]
    helps, fixes = near_name(name, [key.name for key in form.keys.values() if not key.unavailable], span)
    if not helps and other:
        helps = (f"`{name}` is a key of {listed(other)}",)
    return helps, fixes


def _all_keys(form: BlockForm) -> str:
    names = [key.name for key in form.keys.values() if not key.unavailable]
    parts = [f"keys: {', '.join(names)}"] if names else []
    rules = [rule.name for rule in form.rules.values() if not rule.unavailable]
    if rules:
        parts.append(f"rules: {', '.join(rules)}")
    return "; ".join(parts)


def unknown_rule(node: syntax.RuleNode, form: BlockForm) -> Diagnostic:
    word, span = node.keyword.text, node.keyword.span
    if word in form.keys:
        value = node.operands[0].span
        text = value.source.text[value.start : value.end]
        helps: tuple[str, ...] = (f"write `{word} = {text}`",)
        fixes: tuple[Fix, ...] = ()
        if len(node.operands) == 1 and node.because is None and "=" not in text:
            fixes = (Fix(Span(span.source, span.end, value.start), " = ", "write a setting"),)
        return Diagnostic("E0203", f"`{word}` is a setting, not a rule", (Label(span),), helps=helps, fixes=fixes)
    if word in form.blocks:
        help_text = f"write `{word} name {{` and its settings on lines of their own"
        return finding("E0203", f"`{word}` is a block", span, help_text)
    helps, fixes = _meant(word, span, form)
    near_rule = near_name(word, form.rules, span)
    if near_rule[0]:
        helps, fixes = near_rule
    message = f"`{word}` is not a rule of `{form.name}`"
    return Diagnostic("E0202", message, (Label(span),), helps=helps or (_all_keys(form),), fixes=fixes)


def unknown_part(part: syntax.KeywordNode, form: RuleForm) -> Diagnostic:
    name = part.name.text
    if name in form.flags:
        message = f"`{name}` is a flag: it takes no value"
        return finding("E0203", message, part.span, f"write `{name}`, or leave it out")
    known = [key.name for key in form.keys.values() if not key.unavailable]
    aliases = {"qtype": "type", "dtype": "type", "quantizer": "scheme", "low": "min", "high": "max", "count": "matches"}
    span = part.name.span
    if name in aliases and aliases[name] in form.keys:
        helps: tuple[str, ...] = (f"did you mean `{aliases[name]}`?",)
        fixes: tuple[Fix, ...] = (Fix(span, aliases[name], f"write {aliases[name]}"),)
    else:
        helps, fixes = near_name(name, known, span)
    helps = helps or (f"parts: {', '.join(key for key in known if '.' not in key)}",)
    message = f"`{name}` is not a part of `{form.name}`"
    return Diagnostic("E0202", message, (Label(span),), helps=helps, fixes=fixes)


def misplaced_block(node: syntax.BlockNode, form: BlockForm) -> Diagnostic:
    """A block inside of another one that does not have such blocks."""
    word, span = node.keyword.text, node.keyword.span
    if word in form.keys:
        key = form.keys[word]
        return finding("E0203", f"`{word}` is a setting, not a block", span, f"write `{setting_example(key)}`")
    if word in form.rules:
        return finding("E0203", f"`{word}` is a rule, not a block", span, f"write `{form.rules[word].example}`")
    if word in BLOCKS:
        help_text = "it stands by itself: close the block before it with `}`"
        return finding("E0201", f"`{word}` does not stand inside `{form.name}`", span, help_text)
    helps, fixes = near_name(word, form.blocks, span)
    helps = helps or ((f"blocks: {listed(form.blocks)}",) if form.blocks else ())
    message = f"`{word}` is not a block of `{form.name}`"
    return Diagnostic("E0201", message, (Label(span),), helps=helps, fixes=fixes)
