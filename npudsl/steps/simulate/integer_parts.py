"""Running one part of a quantized variant on the integer machine.

Stored arrays have one row per sample; the machine joins samples and batch on its first axis. Both are the same bytes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from npudsl.artifacts.blob import Blob, BlobSpace, Tree
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, TensorQuantization, layer_from_record
from npudsl.machine.execute import Machine
from npudsl.steps.simulate.samples import sample_tensors
from npudsl.steps.simulate.segments import layer_digest

Array = np.ndarray[Any, Any]

LAYERS = 1024
"""Layers that are kept between parts."""


def run_entire(record: Mapping[str, Any], inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Run a segment on a chunk: ``codes/<tensor>`` with a row per sample, and the error sums of report chunks."""
    part = _IntegerPart(record, inputs, context, space)
    entering = part.entering()
    made = {**entering, **part.machine.run(entering, keep="all" if record["reported"] else "outputs")}
    tree = {f"codes/{name}": space.write_array(part.rows(made[name], name)) for name in record["outputs"]}
    if record["reported"]:
        tree["accumulators"] = space.write_array(part.sums(made))
    if "samples" in record:
        tree["samples.json"] = space.write_json(list(record["samples"]))
    return tree


def run_single(record: Mapping[str, Any], inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """Run every layer of a segment on codes of its float inputs, and sum its errors.

    A layer that reads what has no float counterpart (a group that became several layers) reads what the layer before it
    made of float input.
    """
    part = _IntegerPart(record, inputs, context, space)
    made: dict[str, Array] = {}
    floats: dict[str, Array] = {}
    for layer in part.model.layers:
        for name in layer.inputs:
            if name in record["sources"] and name not in floats:
                floats[name] = part.float_codes(name, record["sources"][name])
        made.update(part.machine.run_layer(layer, {**made, **floats}))
    return {"accumulators": space.write_array(part.sums(made))}


class _IntegerPart:
    """The program of one part and the values that enter it."""

    def __init__(self, record: Mapping[str, Any], inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> None:
        self._record = record
        self._inputs = inputs
        self._context = context
        self._space = space
        self.model = _program(record, context)
        self.machine = Machine(self.model, space, compiled=bool(context["compiled"]))

    def entering(self) -> dict[str, Array]:
        """Codes of everything the segment reads: made by other segments, or graph inputs."""
        values = {}
        from_samples = []
        for name in self._record["inputs"]:
            if f"codes/{name}" in self._inputs:
                values[name] = _joined(self._space.read_array(self._inputs[f"codes/{name}"]))
            elif f"float/{name}" in self._inputs:
                values[name] = self.float_codes(name, name)
            else:
                from_samples.append(name)
        return values | self._from_samples(from_samples)

    def float_codes(self, name: str, source: str) -> Array:
        """Codes for tensor ``name`` of the float values of ``source``."""
        return self.machine.quantize_input(_joined(self._floats(source)), name)

    def sums(self, made: Mapping[str, Array]) -> Array:
        """Error sums (tensors, samples, sums) of the reported tensors."""
        return np.array(
            [
                self.machine.error_sums(self._floats(name), self.rows(made[name], name), name)
                for name in self._record["reported"]
            ]
        )

    def rows(self, values: Array, name: str) -> Array:
        """One row per sample out of the machine's array."""
        return values.reshape(-1, *self.model.tensors[name].shape)

    def _from_samples(self, names: list[str]) -> dict[str, Array]:
        if not names:
            return {}
        rows: dict[str, list[Array]] = {name: [] for name in names}
        for sample in self._record["samples"]:
            tensors = sample_tensors(sample, self._record["preprocess"], self._context)
            for name in names:
                rows[name].append(self.machine.quantize_input(tensors[name], name))
        return {name: _joined(np.stack(arrays)) for name, arrays in rows.items()}

    def _floats(self, name: str) -> Array:
        return np.asarray(self._space.read_array(self._inputs[f"float/{name}"]))


def _program(record: Mapping[str, Any], context: Mapping[str, Any]) -> QuantizedModel:
    """The part's layers as a program; raises ValueError when the context's layers are not those of the record."""
    read = [_layer(json.dumps(item)) for item in context["layers"]]
    if {layer.name: digest for layer, digest in read} != dict(record["layers"]):
        raise ValueError("the layers of the context are not those of the record")
    layers = tuple(layer for layer, _ in read)
    tensors = {
        name: TensorQuantization(name=name, **{**item, "shape": tuple(item["shape"])})
        for name, item in record["tensors"].items()
    }
    return QuantizedModel(
        name="",
        variant="",
        profile="",
        inputs=tuple(record.get("inputs", ())),
        outputs=tuple(record.get("outputs", ())),
        tensors=tensors,
        weights={},
        layers=layers,
    )


@functools.lru_cache(maxsize=LAYERS)
def _layer(text: str) -> tuple[IntegerLayer, str]:
    """A layer from its JSON, and its digest: the same for every chunk."""
    layer = layer_from_record(json.loads(text))
    return layer, layer_digest(layer)


def _joined(rows: Array) -> Array:
    """Rows of samples with the model's batch joined to the first axis, as the machine takes them."""
    return rows if rows.ndim == 1 else rows.reshape(-1, *rows.shape[2:])
