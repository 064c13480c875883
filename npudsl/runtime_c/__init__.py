"""The C99 kernels, as package data: integer only, no allocation, no globals (``npu_kernels.h`` is the contract).

The same files serve two ends: they are copied into every exported C project, and they can be compiled into a shared
library and called through ctypes. Constraint: byte for byte the results of the numpy machine, with behaviour that C99
defines (no signed overflow, no shift of a negative number). Rejected: intrinsics (one source for every compiler; loops
are written so that gcc vectorizes them) and generating kernels per layer (harder to read, harder to test).
"""

from __future__ import annotations

from importlib import resources

KERNEL_FILES = (
    "npu_kernels.h",
    "npu_arithmetic.h",
    "npu_arithmetic.c",
    "npu_products.h",
    "npu_products.c",
    "npu_convolution.c",
    "npu_matrix.c",
    "npu_elementwise.c",
    "npu_pairs.c",
    "npu_reductions.c",
    "npu_transposed.c",
    "npu_windows.c",
    "npu_movement.c",
)
"""Everything that computes."""

SUPPORT_FILES = ("npu_model.h", "npu_model.c", "npu_md5.h", "npu_md5.c")
"""What an exported project needs besides: weights file, tensor descriptions, digests."""

SIMULATION_FILES = (
    "npu_host.h",
    "host_shape.h",
    "host_lanes.h",
    "host_rounding.h",
    "host_rounding.c",
    "host_tiles.h",
    "host_tiles.c",
    "host_convolution.c",
    "host_depthwise.c",
    "host_elementwise.c",
    "host_floats.c",
    "host_plain.c",
    "host_windows.c",
)
"""What only the simulator uses."""

SIMULATED_KERNELS = ("npu_kernels.h", "npu_arithmetic.h", "npu_arithmetic.c", "npu_products.h")
"""What the simulator needs of the exported kernels, ..."""

INCLUDED_KERNELS = ("npu_products.c", "npu_convolution.c", "npu_matrix.c")
"""... and what ``host_plain.c`` includes, where it has to: no units of their own."""

NPU_MAX_RANK = 8
"""As in ``npu_kernels.h``."""

NPU_MAX_TILE = 64
"""As in ``npu_kernels.h``."""


def kernel_sources() -> dict[str, bytes]:
    """The kernels by file name; compile every ``.c`` of them into a library."""
    return _read(KERNEL_FILES)


def simulation_sources() -> dict[str, bytes]:
    """Everything that is compiled for the simulator, by file name."""
    included = {name.replace(".c", ".inc"): text for name, text in _read(INCLUDED_KERNELS).items()}
    return _read(SIMULATED_KERNELS + SIMULATION_FILES) | included


def project_sources() -> dict[str, bytes]:
    """Everything that is copied into an exported project, by file name."""
    return _read(KERNEL_FILES + SUPPORT_FILES)


def _read(names: tuple[str, ...]) -> dict[str, bytes]:
    folder = resources.files(__name__)
    return {name: (folder / name).read_bytes() for name in names}
