"""A blob space in memory, and a step run on it the way the engine runs one."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npudsl.artifacts.blob import Blob, Tree
from npudsl.keys import digest_bytes, digest_record
from npudsl.plan.step import PartOutput


class MemorySpace:
    """Blobs by digest. Arrays come back read-only, as mapped ones do."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def write_bytes(self, data: bytes, kind: str = "bytes") -> Blob:
        digest = digest_bytes(data)
        self._data[digest] = bytes(data)
        return Blob(digest, len(data), kind)

    def write_json(self, value: Any) -> Blob:
        return self.write_bytes(json.dumps(value, ensure_ascii=False, allow_nan=False).encode(), "json")

    def write_array(self, array: np.ndarray) -> Blob:
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(array, order="C"), allow_pickle=False)
        return self.write_bytes(buffer.getvalue(), "npy")

    def read_bytes(self, blob: Blob) -> bytes:
        return self._data[blob.digest]

    def read_json(self, blob: Blob) -> Any:
        return json.loads(self._data[blob.digest])

    def read_array(self, blob: Blob) -> np.ndarray:
        array = np.load(io.BytesIO(self._data[blob.digest]), allow_pickle=False)
        array.flags.writeable = False
        return array


@dataclass
class StepRunner:
    """Runs steps part by part; a part whose record and input digests were seen before is not run again."""

    space: MemorySpace = field(default_factory=MemorySpace)
    _trees: dict[str, Tree] = field(default_factory=dict)
    parts: list[Any] = field(default_factory=list)
    """Of the last run."""
    ran: list[str] = field(default_factory=list)
    """Names of the parts that the last run had to run."""

    def run(self, module: Any, step: Any, inputs: Mapping[str, Tree], previous: list[Any] | None = None) -> Tree:
        """The step's value; ``module`` is its ``run.py``."""
        record = json.loads(json.dumps(step.record))
        self.parts = module.expand(record, inputs, self.space, previous or [], step.context)
        self.ran = []
        made: dict[str, Tree] = {}
        for part in self.parts:
            made[part.name] = self._part(module, part, made)
        settle = getattr(module, "settle", None)
        if settle is not None:
            record = {**record, "settled": settle(record, inputs, made, self.space)}
        return module.join(record, inputs, made, self.space)

    @property
    def records(self) -> list[Any]:
        """The part records of the last run, as a later expansion gets them."""
        return [json.loads(json.dumps(part.record)) for part in self.parts]

    @property
    def memories(self) -> list[dict[str, Any]]:
        """The parts of the last run, as predictions get them."""
        return [
            {"name": part.name, "layers": list(part.layers), "record": record}
            for part, record in zip(self.parts, self.records, strict=True)
        ]

    def _part(self, module: Any, part: Any, made: Mapping[str, Tree]) -> Tree:
        inputs = {
            role: made[source.part][source.name] if isinstance(source, PartOutput) else source
            for role, source in part.inputs.items()
        }
        key = digest_record({"record": part.record, "inputs": {role: blob.digest for role, blob in inputs.items()}})
        if key not in self._trees:
            self.ran.append(part.name)
            self._trees[key] = module.run_part(part.record, inputs, part.context, self.space)
        return self._trees[key]
