"""What two programs mean differently: blocks, settings and rules that came, went or changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING

from npudsl.api.review.facts import BlockFacts, RuleFact, program_facts
from npudsl.language.program import Program

if TYPE_CHECKING:
    from npudsl.keys import Json


@dataclass(frozen=True)
class SourceChange:
    """``sign`` is ``+``, ``-`` or ``~``; ``block`` names the blocks it happened in; ``text`` what happened."""

    sign: str
    block: str
    text: str
    because: str | None = None

    @property
    def line(self) -> str:
        return f"{self.sign} {self.block} {self.text}".rstrip()

    def record(self) -> dict[str, Json]:
        return asdict(self)


@dataclass(frozen=True)
class _Change:
    """A change in one block, before equal ones of several blocks are put together."""

    sign: str
    kind: str
    title: str
    text: str
    because: str | None = None


def diff_programs(old: Program, new: Program) -> tuple[SourceChange, ...]:
    """Every difference in meaning, in the order of the new program; reasons count, comments and layout do not.

    A change that several variants inherit is one change that names them all.
    """
    before, after = program_facts(old), program_facts(new)
    changes: list[_Change] = []
    for key, block in after.items():
        known = before.get(key)
        changes += _new_block(block) if known is None else _block_changes(known, block)
    changes += [_Change("-", block.kind, block.title, "") for key, block in before.items() if key not in after]
    return tuple(_together(changes))


def _new_block(block: BlockFacts) -> Iterator[_Change]:
    yield _Change("+", block.kind, block.title, "")
    for key, value in block.settings.items():
        if key not in block.defaults:
            yield _Change("+", block.kind, block.title, f"{key} = {value}")
    for rule in block.rules:
        yield _Change("+", block.kind, block.title, rule.text, rule.because)


def _block_changes(old: BlockFacts, new: BlockFacts) -> Iterator[_Change]:
    def change(sign: str, text: str, because: str | None = None) -> _Change:
        return _Change(sign, new.kind, new.title, text, because)

    for key in dict.fromkeys([*old.settings, *new.settings]):
        before, after = old.settings.get(key), new.settings.get(key)
        if before == after:
            continue
        if before is None:
            yield change("+", f"{key} = {after}")
        elif after is None:
            yield change("-", f"{key} = {before}")
        else:
            yield change("~", f"{key} = {before} -> {after}")
    for sign, text, because in _rule_changes(old.rules, new.rules):
        yield change(sign, text, because)


def _rule_changes(old: Sequence[RuleFact], new: Sequence[RuleFact]) -> Iterator[tuple[str, str, str | None]]:
    """Rules are paired by what they are about; of several about the same, first with first."""
    before, after = _by_subject(old), _by_subject(new)
    for about in dict.fromkeys([*after, *before]):
        for left, right in zip_longest(before.get(about, ()), after.get(about, ())):
            if left is None:
                yield "+", right.text, right.because
            elif right is None:
                yield "-", left.text, left.because
            elif left.says != right.says:
                yield "~", f"{about} {left.says} -> {right.says}", right.because
            elif left.because != right.because:
                yield "~", f"{right.text}: another reason", right.because or "(none)"
    for word in _reordered(old, new):
        yield "~", f"the order of its `{word}` rules: of two that cover one tensor the later wins", None


def _by_subject(rules: Iterable[RuleFact]) -> dict[str, list[RuleFact]]:
    found: dict[str, list[RuleFact]] = defaultdict(list)
    for rule in rules:
        found[rule.about].append(rule)
    return found


def _reordered(old: Sequence[RuleFact], new: Sequence[RuleFact]) -> list[str]:
    """Kinds of override rules whose common rules stand in another order; exact names never overlap."""
    words = []
    for word in ("layers", "tensors"):
        left = [rule.text for rule in old if rule.about.split(" ")[0] == word]
        right = [rule.text for rule in new if rule.about.split(" ")[0] == word]
        if [text for text in left if text in right] != [text for text in right if text in left]:
            words.append(word)
    return words


def _together(changes: Iterable[_Change]) -> list[SourceChange]:
    """Equal changes of several blocks of a kind as one."""
    found: dict[tuple[str, str, str, str | None], SourceChange] = {}
    for change in changes:
        key = (change.sign, change.kind, change.text or change.title, change.because)
        known = found.get(key)
        if known is None:
            found[key] = SourceChange(change.sign, change.title, change.text, change.because)
        else:
            name = change.title.removeprefix(f"{change.kind} ")
            found[key] = replace(known, block=f"{known.block}, {name}")
    return list(found.values())
