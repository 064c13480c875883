"""A cache, a memory and an engine for toy steps: ``run`` builds and says what really ran."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toy_steps import RAN

from npudsl.engine.decide import Decider
from npudsl.engine.events import Event, SilentReporter
from npudsl.engine.memory import Memory
from npudsl.engine.outcome import Outcome
from npudsl.engine.predict import forecast
from npudsl.engine.run import Engine
from npudsl.plan.action import Host
from npudsl.plan.step import Step
from npudsl.store.cache import Cache

HOST = Host("test", {})


class Collect:
    """Keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)


class Toy:
    """Builds toy plans in a cache folder; remembers between builds what the engine remembers."""

    def __init__(self, folder: Path, host: Host = HOST) -> None:
        self.folder = folder
        self.host = host
        self.memory = Memory()
        self.notes: list[str] = []

    def outcome(self, steps: Iterable[Step], *, jobs: int = 2, reporter=None, **how: Any) -> Outcome:
        """One build with its errors; the memory is kept."""
        RAN.clear()
        cache = Cache(self.folder)
        try:
            engine = Engine(cache, self.host, jobs=jobs, reporter=reporter or SilentReporter(), **how)
            outcome = engine.run(steps, self.memory)
            self.memory = outcome.memory
            self.notes = cache.notes
            return outcome
        finally:
            cache.close()

    def run(self, steps: Iterable[Step], **how: Any) -> tuple[dict[str, Any], dict[str, int]]:
        """Values (JSON) by step and name, and what ran; raises what went wrong."""
        outcome = self.outcome(steps, **how)
        ran = dict(RAN)
        outcome.raise_errors()
        cache = Cache(self.folder)
        try:
            values = {
                id_: {name: cache.content.read_json(blob) for name, blob in result.tree.items()}
                for id_, result in outcome.results.items()
            }
        finally:
            cache.close()
        return values, ran

    def forecast(self, steps: Iterable[Step]):
        """What the plan says, by step."""
        cache = Cache(self.folder)
        try:
            return {item.id: item for item in forecast(steps, cache, Decider(cache, self.host), self.memory)}
        finally:
            cache.close()
