"""Layer groups: what one kernel computes, and segments: runs of groups with few tensors between them.

A group is an anchor node and what is fused into it: a Relu or Clip, and the Add of a flat bias behind a MatMul with a
constant matrix; or several nodes that write a known function out (``functions.py``). Quantization borders are graph
inputs and group outputs; nothing inside a group is ever rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Clamp:
    """A fused Relu, Relu6 or Clip; None means unbounded on that side."""

    low: float | None
    high: float | None


@dataclass(frozen=True)
class LayerGroup:
    """One layer as the user sees it. ``name`` and ``op`` are those of the anchor node; of a written-out function, the
    name of its first node, the function's name and its ``attributes``.

    ``inputs`` are activation tensors (no constants), ``weights`` the constants that are quantized as weights (Conv,
    ConvTranspose, Gemm, MatMul with a constant operand), ``operands`` other constant float operands (Add, Mul ...).
    ``passthrough`` is true when the output carries the input's quantization (Reshape, MaxPool, Slice ...). ``part_of``
    is the operator of the file that was written out into this layer and others (``LSTM`` ...), or empty.
    """

    name: str
    op: str
    nodes: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: tuple[str, ...] = ()
    bias: str | None = None
    operands: tuple[str, ...] = ()
    clamp: Clamp | None = None
    passthrough: bool = False
    segment: int = 0
    macs: int = 0
    attributes: Mapping[str, float | str] = field(default_factory=dict)
    part_of: str = ""
