"""Program values and rules as they would be written, on one line and without constants."""

from __future__ import annotations

from npudsl.artifacts.text_fields import string_text
from npudsl.language.program import Call, PathValue, Rule, Size
from npudsl.language.schema.quantize import ALGORITHMS
from npudsl.language.schema.types import Percentage


def value_text(value: object) -> str:
    """One value. A string comes out bare: what is a word in the language is the common case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, Call):
        return _call_text(value)
    if isinstance(value, PathValue):
        return string_text(value.text)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(value_text(item) for item in value)}]"
    if isinstance(value, Size):
        return str(value)
    return "none" if value is None else str(value)


def selector_text(rule: Rule) -> str:
    """Keyword and selector: ``layers "**/fc*"``."""
    if rule.kind == "op":
        return f"op {rule.selector.text}"
    if rule.selector.kind == "regex":
        return f'{rule.kind} re"{rule.selector.text}"'
    return f"{rule.kind} {string_text(rule.selector.text)}"


def rule_text(rule: Rule) -> str:
    """The whole rule without its reason."""
    return " ".join([selector_text(rule), *rule_parts(rule)])


def rule_parts(rule: Rule) -> list[str]:
    """What stands behind the selector."""
    parts = ["skip" if key == "skip" else f"{key}={value_text(value)}" for key, value in rule.sets.items()]
    if rule.matches is not None:
        parts.append(f"matches={rule.matches}")
    return [*parts, *(["optional"] if rule.optional else [])]


def _call_text(call: Call) -> str:
    if not call.arguments:
        return call.name
    return f"{call.name}({', '.join(f'{name}={_argument(call.name, name, value)}' for name, value in call.arguments)})"


def _argument(call: str, name: str, value: object) -> str:
    """A percentage as it is written; the program holds a fraction."""
    signature = ALGORITHMS.signatures.get(call)
    for parameter in signature.parameters if signature is not None else ():
        if parameter.name == name and isinstance(parameter.type, Percentage) and isinstance(value, float):
            return f"{value * 100:.10g}%"
    return value_text(value)
