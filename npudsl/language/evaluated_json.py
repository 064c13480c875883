"""The evaluated program as JSON, and the JSON Schema of that form; both from the blocks of the schema table.

Values have one shape each, however they may be written: sizes, lists and numbers per channel are arrays, a percentage
is a fraction, a call is an object with its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from npudsl.language.evaluated import Block, Rule, evaluated
from npudsl.language.program import Call, PathValue, Program
from npudsl.language.reference import block_forms
from npudsl.language.schema import BLOCKS
from npudsl.language.schema.calls import Calls, Signature
from npudsl.language.schema.forms import REQUIRED, BlockForm, Key, RuleForm
from npudsl.language.schema.judge import METRICS
from npudsl.language.schema.types import (
    Either,
    Flag,
    Integer,
    Integers,
    ListOf,
    Numbers,
    Percentage,
    Real,
    Shape,
    ValueType,
    Words,
)

FORMAT = 1
DIALECT = "https://json-schema.org/draft/2020-12/schema"

Json = dict[str, Any]


def program_record(program: Program) -> Json:
    """What ``npu show --json`` prints of one program."""
    blocks = [_block_record(block) for block in evaluated(program)]
    return {"format": FORMAT, "language": program.version, "name": program.name, "blocks": blocks}


def json_schema() -> Json:
    """The JSON Schema of ``program_record``."""
    forms = block_forms()
    return {
        "$schema": DIALECT,
        "title": "Evaluated npudsl pipeline, as printed by npu show --json",
        "type": "object",
        "properties": {
            "format": {"const": FORMAT},
            "language": {"const": 1},
            "name": {"type": "string", "description": "File name without .npu."},
            "blocks": {"type": "array", "items": {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in BLOCKS]}},
        },
        "required": ["format", "language", "name", "blocks"],
        "additionalProperties": False,
        "$defs": {name.replace(" ", "_"): _block_schema(form) for name, form in forms.items()},
    }


# Records


def _block_record(block: Block) -> Json:
    record: Json = {
        "block": block.keyword,
        "name": block.label,
        "settings": {key: _value(value) for key, value in block.values.items()},
        "defaults": [key for key in block.values if key in block.defaults],
    }
    form = block_forms()["target export" if block.keyword == "export" else block.keyword]
    if _usable_rules(form):
        record["rules"] = [_rule_record(rule) for rule in block.rules]
    if _usable_blocks(form):
        record["blocks"] = [_block_record(inner) for inner in block.blocks]
    return record


def _rule_record(rule: Rule) -> Json:
    record: Json = {"rule": rule.keyword}
    if rule.selector is not None:
        record |= {"selector": rule.selector, "pattern": rule.pattern}
    if rule.condition is not None:
        record["condition"] = dict(zip(("metric", "operator", "value"), rule.condition, strict=True))
    record["values"] = {key: _value(value) for key, value in rule.values.items()}
    record["flags"] = list(rule.flags)
    if rule.because is not None:
        record["because"] = rule.because
    record["inherited"] = rule.inherited
    return record


def _value(value: object) -> Any:
    if isinstance(value, Call):
        arguments = {name: _value(argument) for name, argument in value.arguments if argument is not None}
        return {"call": value.name, **arguments}
    if isinstance(value, PathValue):
        return value.text
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    return float(value) if isinstance(value, Fraction) else value


# Schema


def _usable_rules(form: BlockForm) -> list[RuleForm]:
    return [rule for rule in form.rules.values() if not rule.unavailable]


def _usable_blocks(form: BlockForm) -> list[BlockForm]:
    return [inner for inner in form.blocks.values() if not inner.unavailable]


def _block_schema(form: BlockForm) -> Json:
    properties: Json = {
        "block": {"const": form.name},
        "name": {"type": "string"},
        "settings": _values_schema(form.keys.values()),
        "defaults": {"type": "array", "items": {"enum": [key.name for key in form.keys.values()]} if form.keys else {}},
    }
    rules, inner = _usable_rules(form), _usable_blocks(form)
    if rules:
        properties["rules"] = {"type": "array", "items": {"oneOf": [_rule_schema(rule) for rule in rules]}}
    if inner:
        references = [{"$ref": f"#/$defs/{form.name}_{block.name}"} for block in inner]
        properties["blocks"] = {"type": "array", "items": {"oneOf": references}}
    return _object(properties, list(properties), form.help)


def _rule_schema(form: RuleForm) -> Json:
    patterns = ["glob", "regex"] if form.name in ("layers", "tensors") else ["exact"]
    properties: Json = {"rule": {"const": form.name}}
    if form.selectors:
        properties |= {"selector": {"type": "string"}, "pattern": {"enum": patterns}}
    if form.condition:
        condition = {
            "metric": {"enum": list(METRICS.words)},
            "operator": {"enum": [">=", "<=", "==", "!=", ">", "<"]},
            "value": {"type": "number", "description": "A share is a fraction: 0.985 is 98.5%."},
        }
        properties["condition"] = _object(condition, list(condition))
    properties["values"] = _values_schema(form.keys.values())
    properties["flags"] = {"type": "array", "items": {"enum": list(form.flags)} if form.flags else False}
    properties["inherited"] = {"type": "boolean", "description": "It comes from a preset or another block."}
    required = list(properties)
    if form.because:
        properties["because"] = {"type": "string"}
    return _object(properties, required, form.help)


def _values_schema(keys: Iterable[Key]) -> Json:
    usable = [key for key in keys if not key.unavailable]
    properties = {key.name: {**_type_schema(key.type), "description": key.help} for key in usable}
    return _object(properties, [key.name for key in usable if key.default is REQUIRED])


def _object(properties: Json, required: list[str], description: str = "") -> Json:
    schema: Json = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"description": description, **schema} if description else schema


def _type_schema(value_type: ValueType) -> Json:
    own = getattr(value_type, "json_schema", None)
    if own is not None:
        return dict(own())
    if isinstance(value_type, Words):
        return {"enum": list(value_type.words)}
    if isinstance(value_type, Flag):
        return {"type": "boolean"}
    if isinstance(value_type, Integer):
        return {"type": "integer", **_limits(value_type.minimum, value_type.maximum)}
    if isinstance(value_type, Real):
        above = {} if value_type.above is None else {"exclusiveMinimum": value_type.above}
        return {"type": "number", **_limits(value_type.minimum, value_type.maximum), **above}
    if isinstance(value_type, Percentage):
        return {"type": "number", "exclusiveMinimum": value_type.above / 100, "maximum": value_type.maximum / 100}
    if isinstance(value_type, Numbers):
        return {"type": "array", "items": {"type": "number"}, "minItems": 1}
    if isinstance(value_type, (Shape, Integers)):
        least = 1 if isinstance(value_type, Shape) else 0
        return {"type": "array", "items": {"type": "integer", "minimum": least}, "minItems": 1}
    if isinstance(value_type, ListOf):
        return {"type": "array", "items": _type_schema(value_type.item), "minItems": 1}
    if isinstance(value_type, Either):
        return {"anyOf": [_type_schema(kind) for kind in value_type.choose.values()]}
    if isinstance(value_type, Calls):
        return {"oneOf": [_call_schema(signature) for signature in value_type.signatures.values()]}
    return {"type": "string"}


def _call_schema(signature: Signature) -> Json:
    properties: Json = {"call": {"const": signature.name}}
    properties |= {parameter.name: _type_schema(parameter.type) for parameter in signature.parameters}
    needed = [
        parameter.name for parameter in signature.parameters if parameter.required or parameter.default is not None
    ]
    return _object(properties, ["call", *needed])


def _limits(minimum: float | None, maximum: float | None) -> Json:
    limits = {"minimum": minimum, "maximum": maximum}
    return {name: limit for name, limit in limits.items() if limit is not None}
