"""What is known about one chip family, as values.

A chip is data: ``data/<id>.yaml`` holds every figure with its source and a label that says how well it is known
(``sources.yaml`` explains both). ``None`` means that nobody has published the figure, and then nothing is checked
against it: npudsl refuses what a chip is known not to do, never what is merely unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from npudsl.language.frozen import frozen

LABELS = ("documented", "reported", "measured", "derived", "inferred", "assumed")
"""How a figure is known, best first."""


@frozen
class Figure:
    """One figure: its value, the key of its source in ``sources.yaml``, its label."""

    value: object
    source: str
    label: str


@frozen
class TypePair:
    """A quantization scheme and the element type that the chip computes it in (words of the language)."""

    scheme: str
    type: str
    source: str
    label: str

    def __str__(self) -> str:
        return self.type if self.scheme == "none" else f"{self.scheme} {self.type}"


@frozen
class Peak:
    """Peak throughput in 10**12 operations per second for one element type; ``part`` when only some chips have it."""

    type: str
    tops: float
    source: str
    label: str
    part: str | None = None


@frozen
class Measured:
    """A published measurement: frames per second of a well-known model."""

    model: str
    type: str
    fps: float
    source: str
    label: str


@frozen
class Target:
    """One chip family. ``types`` and ``hybrid_types`` use the words of the language; None: unpublished.

    ``hybrid_types`` may stand beside the variant's own type in one model. ``float_layers`` is what a layer that is kept
    in ``f32`` becomes on the chip. ``saturation`` says per integer type whether dynamic fixed point uses the ``full``
    range or the ``symmetric`` one without the lowest code.
    """

    id: str
    title: str
    vendor: str
    designer: str
    socs: tuple[str, ...]
    boards: tuple[str, ...]
    toolchain: str
    optimize: tuple[str, ...] = ()
    pid: int | None = None
    serial_prefixes: tuple[str, ...] = ()
    types: tuple[TypePair, ...] | None = None
    hybrid_types: tuple[str, ...] | None = None
    float_layers: str | None = None
    per_channel_weights: bool | None = None
    weight_bits: tuple[int, ...] | None = None
    activation_bits: tuple[int, ...] | None = None
    saturation: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    peak: tuple[Peak, ...] = ()
    measured: tuple[Measured, ...] = ()
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """Every published figure by name (``pid``, ``profile``, ``hardware.nn_cores`` ...), with source and label."""

    @property
    def type_words(self) -> tuple[str, ...]:
        """The element types of ``types``, each once, in file order; empty when unpublished."""
        return tuple(dict.fromkeys(pair.type for pair in self.types or ()))

    def __str__(self) -> str:
        return self.id
