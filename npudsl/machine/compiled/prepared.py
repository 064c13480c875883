"""Prepared layers that outlive a machine.

A part of a simulation is one segment on one chunk of samples and makes a machine of its own; packing the same weights
for every chunk would cost as much as running it. Kernels are kept by everything that decides them, with constants by
digest, so whose machine made them does not matter. What was not used for longest goes first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from npudsl.machine.kernels.context import Kernel, LayerContext

LARGEST_BYTES = 1 << 28
"""Constants of all layers that are kept; packed they take about as much again."""


class PreparedLayers:
    """Kernels by what they do. Threads may share it; two that miss at once both build."""

    def __init__(self, largest_bytes: int = LARGEST_BYTES) -> None:
        self._largest_bytes = largest_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Kernel | None, int]] = OrderedDict()
        self._bytes = 0

    def get(self, context: LayerContext, library: Hashable, build: Callable[[], Kernel | None]) -> Kernel | None:
        """The kernel of a layer in a library; ``build`` makes it, or None, when it is not at hand."""
        key = (library, *_key(context))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        kernel = build()
        with self._lock:
            if key not in self._kept:
                size = sum(blob.size for blob in context.layer.constants.values())
                self._kept[key] = kernel, size
                self._bytes += size
            while self._bytes > self._largest_bytes and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1][1]
        return kernel


def _key(context: LayerContext) -> tuple[Hashable, ...]:
    layer = context.layer
    return (
        layer.operation,
        repr(sorted(layer.attributes.items())),
        tuple(sorted((role, blob.digest) for role, blob in layer.constants.items())),
        layer.requantize,
        tuple((tensor.type, tensor.shape, tensor.zero_point) for tensor in (*context.inputs, *context.outputs)),
    )
