"""Checked blocks: every key and rule known to the schema, values converted, places kept, bases merged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from npudsl.diagnostics import Span
from npudsl.language.frozen import frozen
from npudsl.language.schema.forms import BlockForm, RuleForm
from npudsl.language.values import Located


@frozen
class Entry:
    """A key with its converted value. ``span`` is the value's; of a rule's part, the whole ``key=value``."""

    name: str
    value: object
    span: Span


@frozen
class Condition:
    """``metric operator value`` of a ``require`` line."""

    name: str
    name_span: Span
    operator: str
    value: Located


@frozen
class RuleLine:
    """A checked rule. ``inherited``: it comes from a preset or another block."""

    form: RuleForm
    selectors: tuple[object, ...]
    span: Span
    """The selector, or the keyword where there is none."""
    entries: dict[str, Entry]
    flags: dict[str, Span]
    condition: Condition | None
    because: str | None
    line: Span
    """The whole rule."""
    inherited: bool = False


@dataclass
class Body:
    """A checked block. ``refused`` names keys that were written but could not be used (already reported)."""

    form: BlockForm
    label: str
    span: Span
    """The label, or the keyword where there is none."""
    entries: dict[str, Entry] = field(default_factory=dict)
    rules: list[RuleLine] = field(default_factory=list)
    blocks: dict[tuple[str, str], Body] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    complete: bool = True

    def value(self, key: str) -> object:
        """The converted value of ``key``, else the schema's default."""
        entry = self.entries.get(key)
        if entry is not None:
            return entry.value
        return self.form.keys[key].default

    def has(self, key: str) -> bool:
        return key in self.entries

    def known(self, key: str) -> bool:
        """Whether the key was written, usable or not."""
        return key in self.entries or key in self.refused


def merged(bases: list[Body], own: Body) -> Body:
    """Keys and rules of the bases in order, then those of ``own``; a key replaces keys that say the same."""
    result = Body(own.form, own.label, own.span, refused=set(own.refused), complete=own.complete)
    for body in (*bases, own):
        for name, entry in body.entries.items():
            for excluded in own.form.keys[name].excludes:
                if excluded not in body.entries:
                    result.entries.pop(excluded, None)
            result.entries[name] = entry
        for name in body.refused:
            result.refused.add(name)
        inherited = body is not own
        result.rules.extend(replace(rule, inherited=True) if inherited else rule for rule in body.rules)
        for key, block in body.blocks.items():
            known = result.blocks.get(key)
            result.blocks[key] = merged([known], block) if known is not None else block
        result.complete = result.complete and body.complete
    return result
