"""What the last build of a program did, step by step: hints for expansion, and the old side of every explanation.

One sealed JSON file beside the program's other state. It may be lost at any time: then parts are shaped afresh, and the
plan says "never built here" instead of naming the changed field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npudsl.keys import Json
from npudsl.store.atomic import write_atomically
from npudsl.store.sealed import seal, unseal

MEMORY_FORMAT = 1


@dataclass(frozen=True)
class PartMemory:
    """A part of the last build: its action record, what it covered, and its wall time when it last really ran."""

    name: str
    key: str
    action: Json
    layers: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class StepMemory:
    """A step of the last build."""

    record: Json
    inputs: Mapping[str, str]
    """Role to tree digest."""
    parts: tuple[PartMemory, ...] = ()
    join_seconds: float = 0.0
    join_key: str = ""

    @property
    def part_records(self) -> list[Json]:
        return [part.action["record"] for part in self.parts]

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts) + self.join_seconds


@dataclass(frozen=True)
class Memory:
    """The last build of a program, by step id."""

    steps: Mapping[str, StepMemory] = field(default_factory=dict)


def load_memory(path: Path) -> Memory:
    """The memory in ``path``; empty when there is none that can be read."""
    try:
        record = unseal(path.read_bytes())
        if record is None or record["format"] != MEMORY_FORMAT:
            return Memory()
        return Memory({name: _step(item) for name, item in record["steps"].items()})
    except (OSError, ValueError, KeyError, TypeError):
        return Memory()


def save_memory(path: Path, memory: Memory) -> None:
    """Write the memory; raises ``OSError``."""
    record = {
        "format": MEMORY_FORMAT,
        "steps": {
            name: {
                "record": step.record,
                "inputs": dict(step.inputs),
                "join_seconds": step.join_seconds,
                "join_key": step.join_key,
                "parts": [[part.name, part.key, part.action, list(part.layers), part.seconds] for part in step.parts],
            }
            for name, step in memory.steps.items()
        },
    }
    write_atomically(path, seal(record), durable=False)


def _step(item: Any) -> StepMemory:
    parts = tuple(
        PartMemory(str(name), str(key), action, tuple(layers), float(seconds))
        for name, key, action, layers, seconds in item["parts"]
    )
    return StepMemory(item["record"], item["inputs"], parts, float(item["join_seconds"]), str(item["join_key"]))
