"""Running a float network with onnxruntime, with its known wrong rewrite switched off.

onnxruntime's ``Pad_Fusion`` moves a zero Pad into the MaxPool behind it, whose own padding is minus infinity: windows
of negative values then change (seen with 1.31.1). It is disabled by name; the test checks numbers, not the name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

DISABLED_REWRITES = ("Pad_Fusion",)

FATAL_ONLY = 4
"""onnxruntime's log level: what is worth telling the user arrives as an exception."""


def session(onnx_bytes: bytes, threads: int = 1, optimize: bool = True) -> Any:
    """An ``onnxruntime.InferenceSession`` on the CPU; ``optimize=False`` runs every operator as it is written."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(
        onnx_bytes, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(DISABLED_REWRITES)
    )


def run(
    loaded: Any, feeds: Mapping[str, np.ndarray[Any, Any]], outputs: Sequence[str] | None = None
) -> dict[str, np.ndarray[Any, Any]]:
    """The outputs of one run by name: all of them, or those asked for."""
    names = list(outputs) if outputs is not None else [output.name for output in loaded.get_outputs()]
    return dict(zip(names, loaded.run(names, dict(feeds)), strict=True))
