"""A checked program as facts that stand alone: a block's name, a key and its value; rules with selector and reason.

Evaluated values in the words of the flat form, not text: constants, presets, ``from`` and the order of settings do not
show, so a difference of facts is a difference of meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from npudsl.language.evaluated import Block, Rule, evaluated
from npudsl.language.literals import number_literal, percentage_literal, value_literal, word_literal
from npudsl.language.program import Program, Requirement
from npudsl.language.reference import block_forms
from npudsl.language.schema.forms import BlockForm
from npudsl.language.schema.judge import PERCENT_METRICS
from npudsl.language.schema.types import String
from npudsl.language.strings import string_literal


@dataclass(frozen=True)
class RuleFact:
    """A rule: what it is about, what it says about that, the whole line without its reason, and the reason."""

    about: str
    says: str
    text: str
    because: str | None = None


@dataclass(frozen=True)
class BlockFacts:
    """One block. ``kind`` is what stands before its name, ``target board export`` for an export; ``defaults`` names the
    settings that nobody wrote."""

    kind: str
    name: str
    settings: Mapping[str, str]
    rules: tuple[RuleFact, ...]
    defaults: frozenset[str]

    @property
    def title(self) -> str:
        """``quantize u8``, ``input "data"``."""
        return f"{self.kind} {self.name}"


def program_facts(program: Program) -> dict[tuple[str, str], BlockFacts]:
    """Every block of a program by kind and name, in the order of the schema; the only model by its kind."""
    found: dict[tuple[str, str], BlockFacts] = {}
    for block in evaluated(program):
        for facts in _block_facts(block, ""):
            found[facts.kind, "" if facts.kind == "model" else facts.name] = facts
    return found


def bound_text(requirement: Requirement) -> str:
    """Operator and bound: ``>= 98.5%``."""
    return _bound(requirement.operator, requirement.value, percent=requirement.percent)


def _block_facts(block: Block, outer: str) -> Iterator[BlockFacts]:
    form = block_forms()[f"target {block.keyword}" if outer else block.keyword]
    name = string_literal(block.label) if isinstance(form.label, String) else block.label
    settings = {key: value_literal(value, form.keys[key].type) for key, value in block.values.items()}
    if block.keyword == "model":
        settings = {"name": name, **settings}
    kind = f"{outer} {block.keyword}".lstrip()
    yield BlockFacts(kind, name, settings, tuple(_rule(rule, form) for rule in block.rules), block.defaults)
    for inner in block.blocks:
        yield from _block_facts(inner, f"{kind} {name}")


def _rule(rule: Rule, form: BlockForm) -> RuleFact:
    keys = form.rules[rule.keyword].keys
    parts = [f"{key}={value_literal(value, keys[key].type)}" for key, value in rule.values.items()]
    if rule.condition is not None:
        metric, operator, value = rule.condition
        bound = _bound(operator, value, percent=metric in PERCENT_METRICS)
        about = " ".join([rule.keyword, metric, *parts])
        return RuleFact(about, bound, " ".join([rule.keyword, metric, bound, *parts]), rule.because)
    about, says = f"{rule.keyword} {_selector(rule)}", " ".join([*parts, *rule.flags])
    return RuleFact(about, says, f"{about} {says}", rule.because)


def _selector(rule: Rule) -> str:
    if rule.pattern == "regex":
        return f're"{rule.selector}"'
    text = rule.selector or ""
    return word_literal(text) if rule.keyword == "op" else string_literal(text)


def _bound(operator: str, value: float, *, percent: bool) -> str:
    return f"{operator} {percentage_literal(value) if percent else number_literal(value)}"
