"""Action records: what a result depends on, in one canonical record per part and per join.

One record serves two readers: its digest is the key, and a field-by-field comparison with an earlier record is the
explanation ("type: u8 -> i16"). Excluded by rule: paths, times, user and host names, numbers of workers, verbosity,
names of parts and steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from npudsl.artifacts.blob import Tree
from npudsl.keys import Json, digest_record
from npudsl.keys.code import code_digest

if TYPE_CHECKING:
    from npudsl.plan.step import StepKind

KEY_FORMAT = 1


@dataclass(frozen=True)
class Host:
    """What may make float results differ between machines: kind of processor, versions of the tools that compute.

    ``salt`` is a word of the user's that is part of every key: another one disowns everything made so far.
    """

    processor: str
    tools: Mapping[str, str]
    salt: str = ""


def action_record(kind: StepKind, what: str, record: Json, inputs: Mapping[str, str], host: Host) -> dict[str, Json]:
    """The record of a part (``what`` is "part") or a join; ``inputs`` maps roles to digests."""
    return {
        "format": KEY_FORMAT,
        "salt": host.salt,
        "kind": kind.name,
        "version": kind.version,
        "what": what,
        "code": code_digest(kind.code),
        "tools": {name: host.tools.get(name, "missing") for name in kind.tools},
        "host": host.processor if kind.numeric else "any",
        "record": record,
        "inputs": dict(inputs),
    }


def action_key(record: Json) -> str:
    """The key of an action."""
    return digest_record(record)


def tree_digest(tree: Tree) -> str:
    """One digest for a value with several files."""
    return digest_record({name: blob.digest for name, blob in tree.items()})
