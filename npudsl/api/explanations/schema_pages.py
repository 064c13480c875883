"""Pages about the words of the language, made from the schema: blocks, keys, rules, values, and other tools' words.

A word may stand in several places (``type`` is a key of a variant and a part of its rules; ``scale`` one of inputs):
each of them has its page, so no page hides another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from npudsl.api.explanations.page import Page, columns
from npudsl.language.assemble.quantize import DEFAULT_ALGORITHM, DEFAULT_SCHEME
from npudsl.language.reference import block_forms, default_text, takes
from npudsl.language.schema import BLOCK_ALIASES
from npudsl.language.schema.calls import Calls
from npudsl.language.schema.forms import BlockForm, Key, RuleForm
from npudsl.language.schema.quantize import COMBINATIONS
from npudsl.language.schema.types import Either, ListOf, ValueType, Words

APPLIED_DEFAULTS = {
    "quantize.scheme": f"{DEFAULT_SCHEME}, or what the type needs",
    "quantize.type": f"{COMBINATIONS[DEFAULT_SCHEME][0]}, or the first type of the scheme",
    "quantize.algorithm": str(DEFAULT_ALGORITHM),
}
"""Defaults that depend on another key, so that the table of keys does not hold them."""


def schema_pages(subject: str) -> list[Page]:
    """Every page about ``subject``; none when the language does not have it."""
    forms = _forms()
    for pages in (_blocks, _members, _parts, _words, _aliases):
        found = list(pages(subject, forms))
        if found:
            return found
    return []


def schema_subjects() -> list[str]:
    """Everything that ``schema_pages`` knows by its own name."""
    forms = _forms()
    keys = [f"{path}.{name}" for path, form in forms.items() for name in (*form.keys, *form.rules)]
    bare = [name for form in forms.values() for name in (*form.keys, *form.rules)]
    words = [word for path, key in _all_keys(forms) for word in _vocabulary(key.type)]
    return list(dict.fromkeys([*forms, *keys, *bare, *words]))


def _forms() -> dict[str, BlockForm]:
    """Blocks by path: ``quantize``, ``target.export``."""
    return {name.replace(" ", "."): form for name, form in block_forms().items()}


def _blocks(subject: str, forms: Mapping[str, BlockForm]) -> Iterator[Page]:
    for path, form in forms.items():
        if subject in (path, form.name):
            yield _block_page(path, form)


def _members(subject: str, forms: Mapping[str, BlockForm]) -> Iterator[Page]:
    for path, form in forms.items():
        for name, key in form.keys.items():
            if subject in (name, f"{form.name}.{name}", f"{path}.{name}"):
                yield _key_page(f"{path}.{name}", key, form)
        for name, rule in form.rules.items():
            if subject in (name, f"{form.name}.{name}", f"{path}.{name}"):
                yield _rule_page(f"{path}.{name}", rule)


def _parts(subject: str, forms: Mapping[str, BlockForm]) -> Iterator[Page]:
    """A part or flag of rules that is no key of a block."""
    places: dict[str, list[str]] = {}
    for path, form in forms.items():
        for name, rule in form.rules.items():
            meaning = rule.keys[subject].help if subject in rule.keys else rule.flags.get(subject)
            if meaning is not None:
                places.setdefault(meaning, []).append(f"{path}.{name}")
    for meaning, paths in places.items():
        text = f"{subject}: a part of the rules {', '.join(paths)}\n\n  {meaning}\n\nMore: npu explain {paths[0]}"
        yield Page("part", subject, text, {"meaning": meaning, "rules": list(paths)})


def _words(subject: str, forms: Mapping[str, BlockForm]) -> Iterator[Page]:
    """A value: what it means and which keys take it."""
    places: dict[str, list[str]] = {}
    for path, key in _all_keys(forms):
        meaning = _vocabulary(key.type).get(subject)
        if meaning is not None and not key.unavailable:
            places.setdefault(meaning, []).append(path)
    for meaning, paths in places.items():
        lines = [f"{subject}: a value of {', '.join(paths)}"]
        lines += ["", f"  {meaning}"] if meaning else []
        lines += ["", f"More: npu explain {paths[0]}"]
        yield Page("word", subject, "\n".join(lines), {"meaning": meaning, "keys": list(paths)})


def _aliases(subject: str, forms: Mapping[str, BlockForm]) -> Iterator[Page]:
    """What other tools call something."""
    meant = BLOCK_ALIASES.get(subject)
    if meant:
        yield Page("alias", subject, f"{subject} is called `{meant}` here: npu explain {meant}", {"meant": meant})
    for path, form in forms.items():
        meant = form.aliases.get(subject)
        if meant is not None:
            advice = meant if " " in meant else f"write `{meant}`: npu explain {path}.{meant}"
            yield Page("alias", subject, f"{subject} of other tools, in `{path}`: {advice}", {"meant": meant})


def _block_page(path: str, form: BlockForm) -> Page:
    usable = [key for key in form.keys.values() if not key.unavailable]
    lines = [f"block {path}", "", f"  {form.help}"]
    if form.unavailable:
        lines += ["", f"  Not available yet: {form.unavailable}."]
    if usable:
        rows = [(key.name, _default(f"{path}.{key.name}", key) or "-", key.help) for key in usable]
        lines += ["", "keys (name, default, meaning)", *columns(rows)]
    rules = [rule for rule in form.rules.values() if not rule.unavailable]
    if rules:
        lines += ["", "rules", *columns([(rule.name, rule.help) for rule in rules])]
    for group in form.one_of:
        if len(group) > 1:
            lines += ["", f"Needs one of {', '.join(group)}."]
    lines += _example(form.example)
    details = {"help": form.help, "keys": [key.name for key in usable], "rules": [rule.name for rule in rules]}
    return Page("block", path, "\n".join(lines), details)


def _key_page(path: str, key: Key, form: BlockForm) -> Page:
    default = _default(path, key)
    lines = [path, "", f"  {key.help}", ""]
    lines += columns([("takes", _plain(takes(key.type))), ("default", default or "none")])
    words = {word: meaning for word, meaning in _vocabulary(key.type).items() if meaning}
    if words:
        lines += ["", "values", *columns(list(words.items()))]
    refused = _refused(key.type)
    if refused:
        lines += ["", "not available yet", *columns(list(refused.items()))]
    if key.unavailable:
        lines += ["", f"Not available yet: {key.unavailable}."]
    if key.excludes:
        lines += ["", f"Says the same as {', '.join(key.excludes)}: write one of them."]
    others = [alias for alias, meant in form.aliases.items() if meant == key.name]
    if others:
        lines += ["", f"Other tools call it {', '.join(others)}."]
    details = {
        "help": key.help,
        "takes": _plain(takes(key.type)),
        "default": default,
        "values": words,
        "unavailable": key.unavailable,
        "refused": refused,
        "aliases": others,
    }
    return Page("key", path, "\n".join(lines), details)


def _rule_page(path: str, rule: RuleForm) -> Page:
    lines = [f"rule {path}", "", f"  {rule.help}"]
    if rule.unavailable:
        lines += ["", f"  Not available yet: {rule.unavailable}."]
    keys = [key for key in rule.keys.values() if not key.unavailable]
    if keys:
        plain = [key for key in keys if not key.name.startswith(("weights.", "activations."))]
        lines += ["", "parts", *columns([(f"{key.name}=", key.help) for key in plain])]
        if len(plain) < len(keys):
            lines.append("  `weights.` or `activations.` in front of one limits it to these")
    if rule.flags:
        lines += ["", "flags", *columns(list(rule.flags.items()))]
    if rule.because:
        lines += ["", 'At the end `because "..."` says why; reviewers see it in `npu diff`.']
    if path.startswith("quantize."):
        lines += ["", "A more specific kind wins: op < layers < layer < tensors < tensor; within a kind the last line."]
    lines += _example(rule.example)
    details = {"help": rule.help, "parts": [key.name for key in keys], "flags": dict(rule.flags)}
    return Page("rule", path, "\n".join(lines), details)


def _default(path: str, key: Key) -> str:
    return APPLIED_DEFAULTS.get(path) or _plain(default_text(key))


def _plain(text: str) -> str:
    return text.replace("`", "")


def _example(text: str) -> list[str]:
    return ["", "for example", *(f"  {line}" for line in text.splitlines())] if text else []


def _all_keys(forms: Mapping[str, BlockForm]) -> Iterator[tuple[str, Key]]:
    for path, form in forms.items():
        for name, key in form.keys.items():
            yield f"{path}.{name}", key


def _vocabulary(value_type: ValueType) -> dict[str, str]:
    """The words that a type takes, with their meaning."""
    if isinstance(value_type, Words):
        return dict(value_type.words)
    if isinstance(value_type, Calls):
        return {name: signature.help for name, signature in value_type.signatures.items()}
    return {word: text for inner in _inside(value_type) for word, text in _vocabulary(inner).items()}


def _refused(value_type: ValueType) -> dict[str, str]:
    if isinstance(value_type, (Words, Calls)):
        return dict(value_type.unavailable)
    return {word: text for inner in _inside(value_type) for word, text in _refused(inner).items()}


def _inside(value_type: ValueType) -> Iterable[ValueType]:
    if isinstance(value_type, ListOf):
        return (value_type.item,)
    return value_type.choose.values() if isinstance(value_type, Either) else ()
