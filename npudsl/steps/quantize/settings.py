"""The effective settings of one tensor, in the words of the table: type, scheme, algorithm, fixed ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from npudsl.keys import Json

FLOAT_TYPE = "f32"
MINMAX = "minmax"
FIXED = "fixed"
"""Algorithm of a range that a rule or an operation gives."""


@dataclass(frozen=True)
class Settings:
    """How one tensor is to be quantized. ``low`` and ``high`` are ends fixed by a rule.

    ``scheme`` is asym, sym, dfp, perchannel (weights only) or none (f32).
    """

    type: str
    scheme: str
    algorithm: str = MINMAX
    arguments: Mapping[str, Any] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    decided_by: str = "default"

    @property
    def is_integer(self) -> bool:
        return self.type != FLOAT_TYPE

    @property
    def is_fixed(self) -> bool:
        """Whether a rule gives both ends, so that nothing has to be observed."""
        return self.low is not None and self.high is not None

    @property
    def shown_algorithm(self) -> str:
        """What the table says: ``fixed`` as soon as a rule gives an end."""
        return FIXED if self.low is not None or self.high is not None else self.algorithm

    def record(self) -> dict[str, Json]:
        """What a range depends on; who decided it is not part of that."""
        return {
            "type": self.type,
            "scheme": self.scheme,
            "algorithm": self.algorithm,
            "arguments": dict(self.arguments),
            "low": self.low,
            "high": self.high,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Settings:
        return cls(**record)
