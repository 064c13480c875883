"""The schema: which blocks, keys and rules exist, what they take, and what to say about everything else.

One table drives checks, defaults, near names, key help and the reference. It is data: adding a key is adding a line.
"""

from __future__ import annotations

from npudsl.language.schema.data import DATASET, GOLDEN
from npudsl.language.schema.forms import BlockForm
from npudsl.language.schema.judge import COMPARE, SIMULATE
from npudsl.language.schema.network import INPUT, MODEL, OUTPUT
from npudsl.language.schema.quantize import QUANTIZE
from npudsl.language.schema.target import TARGET

BLOCKS: dict[str, BlockForm] = {
    form.name: form for form in (MODEL, INPUT, OUTPUT, DATASET, QUANTIZE, SIMULATE, GOLDEN, COMPARE, TARGET)
}
"""Blocks of the top level, in the order of the work."""

BLOCK_ALIASES = {
    "quantise": "quantize",
    "quantization": "quantize",
    "quant": "quantize",
    "variant": "quantize",
    "network": "model",
    "net": "model",
    "data": "dataset",
    "calibrate": "dataset",
    "calibration": "dataset",
    "inference": "simulate",
    "simulation": "simulate",
    "run": "simulate",
    "check": "compare",
    "accuracy": "compare",
    "similarity": "compare",
    "chip": "target",
    "device": "target",
    "platform": "target",
    "inputs": "input",
    "outputs": "output",
}
"""What people coming from other tools write for a block."""

__all__ = ["BLOCKS", "BLOCK_ALIASES"]
