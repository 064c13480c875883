"""The schema as Markdown: the tables of the language reference, so that they cannot fall behind."""

from __future__ import annotations

from collections.abc import Iterable

from npudsl.language.schema import BLOCKS
from npudsl.language.schema.calls import Calls, Signature, argument_default
from npudsl.language.schema.forms import REQUIRED, BlockForm, Key, RuleForm
from npudsl.language.schema.types import ListOf, Name, ValueType, Words


def block_forms() -> dict[str, BlockForm]:
    """All blocks by name; a block inside another one as ``target export``."""
    forms = dict(BLOCKS)
    for form in BLOCKS.values():
        forms.update({f"{form.name} {inner.name}": inner for inner in form.blocks.values() if not inner.unavailable})
    return forms


def key_table(keys: Iterable[Key]) -> str:
    """A table of the keys that can be used, then the names of those that are known and refused."""
    listed = list(keys)
    usable = [key for key in listed if not key.unavailable]
    lines = ["| key | takes | default | meaning |", "| --- | --- | --- | --- |"] if usable else []
    for key in usable:
        cells = (f"`{key.name}`", takes(key.type), default_text(key), key.help)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    refused = [key for key in listed if key.unavailable]
    if refused:
        lines += ["", "Not available yet (E0208 says what to write instead): " + ", ".join(_code(refused)) + "."]
    return "\n".join(lines).strip()


def _code(keys: Iterable[Key]) -> list[str]:
    return [f"`{key.name}`" for key in keys]


def default_text(key: Key) -> str:
    """The default in backticks, ``required``, or nothing."""
    if key.default is REQUIRED:
        return "required"
    return "" if key.default is None else f"`{key.default}`"


def takes(value_type: ValueType) -> str:
    """What a value of this type looks like."""
    if isinstance(value_type, Words):
        return ", ".join(f"`{word}`" for word in value_type.words)
    if isinstance(value_type, Calls):
        names = [_signature(signature) for signature in value_type.signatures.values()]
        return ", ".join([*names, f"`{value_type.nothing}`"] if value_type.nothing else names)
    if isinstance(value_type, Name):
        return f"name of a {' or '.join(value_type.kinds)}"
    if isinstance(value_type, ListOf):
        item = takes(value_type.item)
        return f"one or a list of: {item}" if value_type.single else f"list of: {item}"
    return value_type.expected.removeprefix("a ").removeprefix("an ")


def _signature(signature: Signature) -> str:
    parts = [
        f"{parameter.name}={argument_default(parameter)}" if parameter.default is not None else parameter.name
        for parameter in signature.parameters
    ]
    return f"`{signature.name}({', '.join(parts)})`" if parts else f"`{signature.name}`"


def reference_page() -> str:
    """Every block with its keys, its rules and their parts, as one page."""
    parts = ["# Keys of the language\n"]
    for name, form in block_forms().items():
        parts += [f"## {name}\n", f"{form.help}\n"]
        keys = key_table(form.keys.values())
        if keys:
            parts.append(f"{keys}\n")
        parts += [_rule_section(rule) for rule in form.rules.values() if not rule.unavailable]
    return "\n".join(parts)


def _rule_section(rule: RuleForm) -> str:
    lines = [f"### {rule.name}\n", f"{rule.help} For example `{rule.example}`.\n"]
    table = key_table(rule.keys.values())
    if table:
        lines.append(f"{table}\n")
    lines += [f"`{flag}`: {meaning}\n" for flag, meaning in rule.flags.items()]
    return "\n".join(lines)
