"""The checked program: what a ``.npu`` file means, as plain values.

Everything is evaluated (constants, presets, ``from``, defaults), so nothing downstream asks how a value was written.
Where it was written is in ``Program.origins``: subject name -> span. Subject names are built the same way everywhere:

``model.file``, ``input[data].mean``, ``output[prob]``, ``dataset[calib].list``, ``quantize[u8].algorithm``,
``quantize[u8].rules[3]``, ``quantize[u8].rules[3].type``, ``simulate[pc].samples``, ``compare[accept].require[0]``,
``target[v853].soc``, ``target[v853].export[qdq].out``.

Invariant: two programs that are equal here (``origins`` and ``sources`` do not take part) have the same step keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from npudsl.diagnostics import Diagnostic, Source, Span
from npudsl.language.frozen import frozen

Value = object
"""bool, int, float, str, list of values, Call, Size or PathValue."""


@frozen
class Size:
    """``1x3x224x224``; a free extent (``?``) is 0."""

    extents: tuple[int, ...]

    def __str__(self) -> str:
        return "x".join(str(extent) if extent else "?" for extent in self.extents)


@frozen
class Call:
    """``kl(bins=2048)`` or a bare word that takes arguments; arguments are evaluated and in schema order."""

    name: str
    arguments: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        if not self.arguments:
            return self.name
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.arguments)})"


@frozen
class PathValue:
    """A path as written (``text``) and where it leads on this machine (``path``, absolute; never part of a key)."""

    text: str
    path: str = field(compare=False, default="")


@frozen
class Model:
    """The ``model`` block."""

    name: str
    format: str
    file: PathValue
    options: Mapping[str, object] = field(default_factory=dict)
    """Other keys as written (``weights``, ``proto``, ``predef``, ``embedded_quantization`` ...)."""


@frozen
class Input:
    """One graph input and how a sample becomes its tensor: decode, color, resize, crop, reorder, (x - mean) * scale."""

    name: str
    shape: tuple[int, ...] | None = None
    dtype: str = "float32"
    layout: str | None = None
    """NCHW or NHWC of the tensor; None: from the model's format."""
    color: str = "rgb"
    """rgb, bgr or gray: channel order that the network wants."""
    mean: tuple[float, ...] = (0.0,)
    scale: tuple[float, ...] = (1.0,)
    resize: Call | None = None
    """stretch(height, width, filter=...), letterbox(height, width, fill=, filter=) or none."""
    crop: Call | None = None
    """center(height, width) or none."""
    reorder: tuple[int, ...] | None = None
    options: Mapping[str, object] = field(default_factory=dict)


@frozen
class Output:
    """One graph output; naming an inner tensor cuts the graph there."""

    name: str
    dtype: str | None = None
    postprocess: Call | None = None


@frozen
class Feed:
    """Where the files of one input (or, with ``input`` None, of all inputs as list columns) come from."""

    input: str | None
    kind: Literal["list", "dir", "files", "idx", "npz"]
    path: PathValue
    """The list file, directory, idx or npz file; for ``files`` the directory the pattern is relative to."""
    pattern: str | None = None
    """Glob of ``files``, or the key inside an npz file."""
    dtype: str | None = None
    shape: tuple[int, ...] | None = None


@frozen
class Labels:
    """Class indices: the last column of each list line, a text file of ``sample index`` lines, or an idx file."""

    kind: Literal["column", "file", "idx"]
    path: PathValue | None = None
    offset: int = 0
    """Added to every label (1: the model has a background class in front)."""


@frozen
class Dataset:
    """A ``dataset`` block: which samples, in which order."""

    name: str
    feeds: tuple[Feed, ...]
    skip: int = 0
    """Leave out the first ``skip`` samples."""
    samples: int | None = None
    """Then take this many; None: all. More than there are is an error."""
    batch: int = 1
    shuffle_seed: int | None = None
    labels: Labels | None = None


RuleKind = Literal["op", "layers", "layer", "tensors", "tensor"]


@frozen
class Selector:
    """What a rule selects: an exact name, a glob or a regular expression (searched in the whole name)."""

    kind: Literal["exact", "glob", "regex"]
    text: str


@frozen
class Rule:
    """One override line of a ``quantize`` block, in effective order (presets and bases first)."""

    index: int
    kind: RuleKind
    selector: Selector
    sets: Mapping[str, object] = field(default_factory=dict)
    """``type scheme bits algorithm min max granularity skip``, each also with ``weights.`` or ``activations.``."""
    optional: bool = False
    matches: int | None = None
    because: str | None = field(compare=False, default=None)
    inherited: bool = False
    """It comes from a preset or another block: a rule of the block itself may overwrite it entirely."""


@frozen
class Quantize:
    """A ``quantize`` block: one variant of the model. ``settings`` holds every key with defaults applied."""

    name: str
    calibrate: str | None
    """Name of the dataset; None when nothing needs calibration."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """``scheme type algorithm profile`` and the prefixed forms that were written, plus variant-wide keys."""
    rules: tuple[Rule, ...] = ()


@frozen
class Simulate:
    """A ``simulate`` block."""

    name: str
    of: tuple[str, ...]
    """Variant names; ``float`` is the unquantized model."""
    data: str
    samples: int | None = None
    dump: tuple[str, ...] = ("outputs",)
    options: Mapping[str, object] = field(default_factory=dict)


@frozen
class Requirement:
    """``require cosine >= 0.99 on="prob"``; a percentage is stored as a fraction."""

    metric: str
    operator: str
    value: float
    on: str = "outputs"
    """``outputs``, ``all``, or a layer or tensor name."""
    percent: bool = False
    because: str | None = field(compare=False, default=None)


@frozen
class Compare:
    """A ``compare`` block."""

    name: str
    reference: str
    candidate: str
    data: str | None
    samples: int | None = None
    metrics: tuple[str, ...] = ()
    requires: tuple[Requirement, ...] = ()


@frozen
class GoldenFile:
    """A golden input or output file of a ``golden`` block."""

    tensor: str
    file: PathValue
    dtype: str | None = None


@frozen
class Golden:
    """A ``golden`` block: recorded inputs and outputs, from a board or another tool."""

    name: str
    inputs: tuple[GoldenFile, ...] = ()
    outputs: tuple[GoldenFile, ...] = ()


@frozen
class Export:
    """An ``export`` block inside a ``target``."""

    name: str
    kind: str
    out: PathValue | None
    options: Mapping[str, object] = field(default_factory=dict)


@frozen
class TargetBlock:
    """A ``target`` block: which chip, which variant, what to export."""

    name: str
    quantize: str | None
    """Variant name; None when the program has none."""
    identity: Mapping[str, object] = field(default_factory=dict)
    """``vendor soc optimize pid`` as written."""
    limits: Mapping[str, object] = field(default_factory=dict)
    """``types hybrid_types`` ... as written; they narrow what the chip's data allows."""
    exports: tuple[Export, ...] = ()


@frozen
class Program:
    """A checked program."""

    name: str
    """File name without ``.npu``."""
    path: str = field(compare=False)
    version: int
    model: Model
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    datasets: Mapping[str, Dataset] = field(default_factory=dict)
    variants: Mapping[str, Quantize] = field(default_factory=dict)
    simulations: tuple[Simulate, ...] = ()
    comparisons: tuple[Compare, ...] = ()
    goldens: tuple[Golden, ...] = ()
    targets: Mapping[str, TargetBlock] = field(default_factory=dict)
    origins: Mapping[str, Span] = field(compare=False, default_factory=dict)
    sources: tuple[Source, ...] = field(compare=False, default=())
    """Every program text that was read (this file and its fragments)."""
    defaults: frozenset[str] = field(compare=False, default=frozenset())
    """Subjects whose value is a default of the tool."""
    warnings: tuple[Diagnostic, ...] = field(compare=False, default=())
