"""A variant as a canonical record and back: what a step's config holds. Reasons (``because``) are not part of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from npudsl.keys import Json
from npudsl.language.program import Call, PathValue, Quantize, Rule, Selector, Size


def quantize_record(variant: Quantize) -> Json:
    """The variant as JSON, without ``because``; ``quantize_from_record`` is its inverse."""
    return {
        "name": variant.name,
        "calibrate": variant.calibrate,
        "settings": {key: value_record(value) for key, value in variant.settings.items()},
        "rules": [_rule_record(rule) for rule in variant.rules],
    }


def quantize_from_record(record: Json) -> Quantize:
    """The variant that ``quantize_record`` wrote; rules have no ``because``."""
    return Quantize(
        name=record["name"],
        calibrate=record["calibrate"],
        settings={key: value_from_record(value) for key, value in record["settings"].items()},
        rules=tuple(_rule_from_record(index, rule) for index, rule in enumerate(record["rules"])),
    )


def value_record(value: object) -> Json:
    """A program value as JSON; a call, a size and a path become tagged maps. Raises ``TypeError`` for anything else."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Call):
        return {"call": value.name, "arguments": [[name, value_record(item)] for name, item in value.arguments]}
    if isinstance(value, Size):
        return {"size": list(value.extents)}
    if isinstance(value, PathValue):
        return {"path": value.text}
    if isinstance(value, (list, tuple)):
        return [value_record(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not a program value: {value!r}")


def value_from_record(record: Json) -> object:
    """The value that ``value_record`` wrote; lists come back as tuples, paths without their place on this machine."""
    if isinstance(record, Mapping):
        if "call" in record:
            arguments = tuple((name, value_from_record(item)) for name, item in record["arguments"])
            return Call(record["call"], arguments)
        if "size" in record:
            return Size(tuple(record["size"]))
        return PathValue(record["path"])
    if isinstance(record, list):
        return tuple(value_from_record(item) for item in record)
    return cast(object, record)


def _rule_record(rule: Rule) -> dict[str, Any]:
    return {
        "kind": rule.kind,
        "selector": [rule.selector.kind, rule.selector.text],
        "sets": {key: value_record(value) for key, value in rule.sets.items()},
        "optional": rule.optional,
        "matches": rule.matches,
        "inherited": rule.inherited,
    }


def _rule_from_record(index: int, record: Json) -> Rule:
    kind, text = record["selector"]
    return Rule(
        index=index,
        kind=record["kind"],
        selector=Selector(kind, text),
        sets={key: value_from_record(value) for key, value in record["sets"].items()},
        optional=record["optional"],
        matches=record["matches"],
        inherited=record["inherited"],
    )
