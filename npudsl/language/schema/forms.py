"""The shapes the schema is made of: keys, rules and blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from npudsl.language.frozen import frozen
from npudsl.language.schema.types import ValueType


class Required:
    """Marks a key without default that must be written."""


REQUIRED = Required()


@frozen
class Key:
    """``name = value`` in a block or a rule.

    ``default`` is documentation and the value that checks apply; ``REQUIRED`` when there is none.
    ``unavailable`` says what to write instead of a key that this version cannot act on.
    ``excludes`` names keys that say the same; a later block's key replaces them, inside one block both are an error.
    """

    name: str
    type: ValueType
    help: str
    default: object = None
    unavailable: str = ""
    excludes: tuple[str, ...] = ()


@frozen
class RuleForm:
    """A one-line rule: selectors (positional values), ``key=value`` parts, flags, at most one condition.

    ``repeats``: the same selectors may stand in several lines.
    """

    name: str
    selectors: tuple[ValueType, ...]
    help: str
    keys: Mapping[str, Key] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    condition: bool = False
    because: bool = False
    unavailable: str = ""
    example: str = ""


@frozen
class BlockForm:
    """A block. ``label`` is what stands behind its keyword: a word, a string, or nothing."""

    name: str
    label: ValueType | None
    help: str
    keys: Mapping[str, Key]
    rules: Mapping[str, RuleForm] = field(default_factory=dict)
    blocks: Mapping[str, BlockForm] = field(default_factory=dict)
    one_of: tuple[tuple[str, ...], ...] = ()
    """Groups of keys or rules of which at least one must stand in the block."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Words of vendor tools -> key (or the sentence to show, when it contains a space)."""
    unavailable: str = ""
    example: str = ""


def table(*entries: Key) -> dict[str, Key]:
    """Keys by name."""
    return {entry.name: entry for entry in entries}
