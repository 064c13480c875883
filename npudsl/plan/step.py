"""Steps, parts and step kinds: the vocabulary between a program and the engine.

A *step* is one box of the plan (``quantize:u8``). When its inputs are known it *expands* into *parts*, and a *join*
makes the step's value of the parts' values. The engine treats every part and every join as an action with a key, a
record and an explanation; it knows nothing about networks. A step kind has two modules:

``steps/<name>/kind.py``  light, always imported: ``KIND`` (a ``StepKind``), the frozen config, steps from a program
``steps/<name>/run.py``   heavy, imported when something runs; has three functions:

- ``expand(record, inputs, reader, previous, context) -> list[Part]``: cheap, reads JSON blobs only. ``previous`` is the
  list of part records of the last expansion of the same step (empty at first): a hint that may shape the parts (which
  samples share a shard) but never the step's result.
- ``run_part(record, inputs, context, space) -> Tree``: pure. ``inputs`` maps roles to blobs.
- ``join(record, inputs, parts, space) -> Tree``: pure and cheap. ``parts`` maps part names to their trees, in order.
- ``settle(record, inputs, parts, reader) -> Json`` (optional, cheap): what the join takes from the step's *files*. A
  join is not given the files and its key does not hold them; it holds what ``settle`` gave, as ``record["settled"]``.

Keys: a part's key covers the kind, its version, the digest of the code it declares, ``record`` and the digests of its
inputs. ``context`` (where a sample lies on this disk) never enters a key and never changes a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree

if TYPE_CHECKING:
    from npudsl.keys import Json


@dataclass(frozen=True)
class PartOutput:
    """An input of a part that another part of the same step makes."""

    part: str
    name: str


@dataclass(frozen=True)
class Part:
    """One piece of a step's work.

    ``inputs`` maps roles to blobs of the step's inputs, to files (see ``FileInput``) or to outputs of other parts.
    ``layers`` names what the part covers, for plan, progress and explanations.
    """

    name: str
    record: Json
    inputs: Mapping[str, Blob | PartOutput] = field(default_factory=dict)
    context: Json = None
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileInput:
    """A file of the user's that a step reads: digest of its bytes, where it lies, what the user calls it."""

    digest: str
    size: int
    path: str
    shown: str

    @property
    def blob(self) -> Blob:
        """The file as a blob: a part lists it among its inputs and reads it like any other."""
        return Blob(self.digest, self.size, "file")


@dataclass(frozen=True)
class StepKind:
    """What the engine must know about a kind of step before it loads the step's code."""

    name: str
    version: int
    """Raised by hand when the meaning of the step changes."""
    run_module: str
    """Dotted name of the module with expand, run_part and join."""
    code: tuple[str, ...]
    """Modules and packages whose source is part of every key of this kind."""
    numeric: bool = False
    """True: float arithmetic that may differ between kinds of hosts takes part, so the host class enters the key."""
    tools: tuple[str, ...] = ()
    """Distributions whose version enters the key (``onnxruntime`` ...)."""
    predict: str = ""
    """``module:function`` that names the parts a change of some layers touches: ``function(parts, layers) -> names``,
    with parts as ``{"name", "layers", "record"}`` of the last build. Empty: every part may run."""


@dataclass(frozen=True)
class Step:
    """One box of the plan. ``record`` is the evaluated config, canonical JSON; ``inputs`` maps roles to step ids."""

    kind: StepKind
    name: str
    record: Json
    inputs: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileInput] = field(default_factory=dict)
    """The user's files by role. ``expand`` and ``settle`` see them like other inputs: ``inputs[role]["file"]``."""
    context: Json = None
    """Not in any key; handed to parts that ask for nothing else (paths, subjects for diagnostics)."""

    @property
    def id(self) -> str:
        return f"{self.kind.name}:{self.name}" if self.name else self.kind.name


class RunModule(Protocol):
    """The three functions of a ``run.py``."""

    def expand(
        self, record: Any, inputs: Mapping[str, Tree], reader: BlobReader, previous: list[Any], context: Any
    ) -> list[Part]: ...

    def run_part(self, record: Any, inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree: ...

    def join(self, record: Any, inputs: Mapping[str, Tree], parts: Mapping[str, Tree], space: BlobSpace) -> Tree: ...
