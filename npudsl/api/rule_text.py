"""Override rules and settings of a variant as they would be written, on one line and without constants."""

from __future__ import annotations

from npudsl.language.literals import value_literal, word_literal
from npudsl.language.program import Rule
from npudsl.language.schema.quantize import RULE_KEYS
from npudsl.language.strings import string_literal


def setting_text(key: str, value: object) -> str:
    """A value of the setting ``key`` of tensors."""
    return value_literal(value, RULE_KEYS[key].type)


def rule_text(rule: Rule) -> str:
    """The whole rule without its reason."""
    parts = ["skip" if key == "skip" else f"{key}={setting_text(key, value)}" for key, value in rule.sets.items()]
    if rule.matches is not None:
        parts.append(f"matches={rule.matches}")
    if rule.optional:
        parts.append("optional")
    return " ".join([rule.kind, _selector(rule), *parts])


def _selector(rule: Rule) -> str:
    if rule.kind == "op":
        return word_literal(rule.selector.text)
    return f're"{rule.selector.text}"' if rule.selector.kind == "regex" else string_literal(rule.selector.text)
