"""The chips, and how a program's words find one.

Identity is never guessed: a word that no chip has is E0604 with the nearest names, words that belong to different
chips are E0605, and words that fit several chips are E0604 with the list. There is no default target.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from npudsl.diagnostics import Problem
from npudsl.targets.read import target_from
from npudsl.targets.saved import chip_data
from npudsl.targets.target import Target

IDENTITY_KEYS = ("id", "soc", "pid", "optimize", "vendor")
LIST = "list the chips with: npu targets"


def all_targets() -> tuple[Target, ...]:
    """Every chip family, sorted by id."""
    return tuple(_targets().values())


def find_target(identity: Mapping[str, object], subject: str | None = None) -> Target:
    """The one chip that ``id``, ``soc``, ``pid``, ``optimize`` and ``vendor`` (those that are given) agree on.

    ``subject`` names the target block in a program (``target[v853]``), for the place of the diagnostic. Raises
    ``Problem`` E0604 when nothing or more than one chip fits, E0605 when the words contradict each other.
    """
    found: dict[str, list[Target]] = {}
    for key in IDENTITY_KEYS:
        if identity.get(key) is not None:
            word = _folded(identity[key])
            found[key] = [target for target in all_targets() if word in map(_folded, _spellings(target, key))]
            if not found[key]:
                raise _unknown(key, identity[key], subject)
    if not found:
        raise Problem("E0604", "no chip is named", subject=subject, helps=["write `soc`, `pid` or `optimize`", LIST])
    fitting = [target for target in all_targets() if all(target in group for group in found.values())]
    if not fitting:
        raise _contradiction(identity, found, subject)
    if len(fitting) > 1:
        words = " and ".join(f"`{key} = {_shown(key, identity[key])}`" for key in found)
        names = ", ".join(target.id for target in fitting)
        helps = ["add `soc`, `pid` or `optimize`", LIST]
        raise Problem("E0604", f"{words} fits {len(fitting)} targets: {names}", subject=subject, helps=helps)
    return fitting[0]


def by_serial(serial: str) -> tuple[Target, ...]:
    """The chips of a serial number as ``/proc/cpuinfo`` prints it: by its first four digits, else by the first three.

    Four known digits decide. Three may leave several chips, and then all of them are given: whoever asks must say that
    it is not decided. Raises ``Problem`` E0604 when no chip has such a serial.
    """
    digits = serial.strip().lower()
    for prefix in (digits[:4], digits[:3]):
        if len(prefix) >= 3:
            fitting = [t for t in all_targets() if any(known.startswith(prefix) for known in t.serial_prefixes)]
            if fitting:
                return tuple(fitting)
    known_prefixes = ", ".join(sorted(known for target in all_targets() for known in target.serial_prefixes))
    raise Problem("E0604", f'no target has serials that start with "{digits[:4]}"', notes=[f"known: {known_prefixes}"])


def sources() -> Mapping[str, str]:
    """What each source key of the data stands for."""
    known: Mapping[str, str] = _data()["sources"]
    return known


@cache
def _data() -> Mapping[str, Any]:
    return chip_data()


@cache
def _targets() -> Mapping[str, Target]:
    targets = {}
    for file, chip in _data()["files"].items():
        target = target_from(chip["record"], chip["title"], sources())
        if f"{target.id}.yaml" != file:
            raise ValueError(f"{file} holds the target {target.id}")
        targets[target.id] = target
    return targets


def _spellings(target: Target, key: str) -> tuple[object, ...]:
    """What a program may write for ``key`` to mean ``target``."""
    if key == "soc":
        return (*target.socs, *target.boards)
    if key == "vendor":
        return (target.vendor, target.designer)
    if key == "pid":
        return () if target.pid is None else (target.pid,)
    return target.optimize if key == "optimize" else (target.id,)


def _folded(value: object) -> str:
    """Case, blanks, dashes and underscores do not count in words; a product id is its number, 0x88 and 136 alike."""
    if isinstance(value, str):
        return value.lower().replace(" ", "").replace("-", "").replace("_", "")
    return str(value)


def _shown(key: str, value: object) -> str:
    return f"0x{value:02X}" if key == "pid" and isinstance(value, int) else str(value)


def _unknown(key: str, value: object, subject: str | None) -> Problem:
    spellings = [word for target in all_targets() for word in _spellings(target, key)]
    known = {_folded(word): _shown(key, word) for word in spellings}
    if key in ("vendor", "pid"):
        helps = [f"known: {', '.join(sorted(known.values()))}"]
    else:
        import difflib

        near = [known[word] for word in difflib.get_close_matches(_folded(value), known, n=3, cutoff=0.6)]
        helps = [f"did you mean {' or '.join(near)}?"] if near else []
    message = f"no target has `{key} = {_shown(key, value)}`"
    return Problem("E0604", message, subject=_at(subject, key), helps=[*helps, LIST])


def _contradiction(identity: Mapping[str, object], found: Mapping[str, list[Target]], subject: str | None) -> Problem:
    notes = []
    for key, targets in found.items():
        names = ", ".join(target.id for target in targets[:4]) + (" ..." if len(targets) > 4 else "")
        notes.append(f"`{key} = {_shown(key, identity[key])}` is {names}")
    keys = list(found)
    message = f"{' and '.join(f'`{key}`' for key in keys)} name different chips"
    helps = ["keep the one that names your chip and remove the other"]
    return Problem("E0605", message, subject=_at(subject, keys[0]), notes=notes, helps=helps)


def _at(subject: str | None, key: str) -> str | None:
    return f"{subject}.{key}" if subject else None
