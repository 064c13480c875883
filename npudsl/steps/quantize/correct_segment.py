"""One segment of the corrected program: layers run in order on all samples, each corrected before the next reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.blob import Blob, BlobReader, BlobSpace, Tree
from npudsl.artifacts.quantized_model import (
    IntegerLayer,
    QuantizedModel,
    TensorQuantization,
    WeightQuantization,
    layer_from_record,
    layer_record,
)
from npudsl.data.load import load_sample
from npudsl.data.sample import file_from_record
from npudsl.ir.groups import Clamp
from npudsl.keys import digest_bytes, digest_record
from npudsl.machine.execute import Machine
from npudsl.steps.quantize.bias_correction import ChannelState, channel_state, corrected_shift
from npudsl.steps.quantize.layer_minimum import LayerInput, least_error
from npudsl.steps.quantize.layout import in_layout
from npudsl.steps.quantize.weighted import Subject, WeightedForm, weighted_form
from npudsl.steps.quantize.weights import codes_per_channel

Array = NDArray[Any]

MODE = "segment"


def run_segment(record: Mapping[str, Any], inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """``layers.json``, ``constants/<layer>/<role>`` of corrected layers, and ``codes/<tensor>`` for later segments."""
    return _Segment(record, inputs, context, space).run()


class _Segment:
    def __init__(self, record: Mapping[str, Any], inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> None:
        self._record = record
        self._inputs = inputs
        self._context = context
        self._space = space
        self._layers = _checked_layers(record, context)
        self._tensors = {
            name: TensorQuantization(name=name, **{**item, "shape": tuple(item["shape"])})
            for name, item in record["tensors"].items()
        }

    def run(self) -> Tree:
        values = self._entering()
        tree: dict[str, Blob] = {}
        layers, weights = {}, {}
        for layer, dying in zip(self._layers, self._dying(), strict=True):
            if layer.name in self._record["weighted"]:
                layer, weight, made = self._corrected(layer, values)
                layers[layer.name] = layer_record(layer)
                weights[layer.name] = asdict(weight)
                tree |= {f"constants/{layer.name}/{role}": layer.constants[role] for role in ("weight", "bias")}
                values[layer.outputs[0]] = made
            else:
                values |= self._machine(layer, self._space).run_layer(layer, values)
            for name in dying:
                values.pop(name, None)
        tree |= {f"codes/{name}": self._space.write_array(values[name]) for name in self._record["makes"]}
        tree["layers.json"] = self._space.write_json({"layers": layers, "weights": weights})
        return tree

    def _entering(self) -> dict[str, Array]:
        """The codes that the segment reads, all samples stacked on the first axis."""
        values = {
            name: self._space.read_array(self._inputs[f"codes/{name}"])
            for name in self._record["reads"]
            if f"codes/{name}" in self._inputs
        }
        missing = [name for name in self._record["reads"] if name not in values]
        if missing:
            machine = self._machine(self._layers[0], self._space)
            rows: dict[str, list[Array]] = {name: [] for name in missing}
            for sample in self._record["samples"]:
                files = [file_from_record(file) for file in self._context["files"][sample]]
                tensors = load_sample(sample, files, self._record["preprocess"])
                for name in missing:
                    rows[name].append(machine.quantize_input(tensors[name], name))
            values |= {name: np.concatenate([np.atleast_1d(row) for row in found]) for name, found in rows.items()}
        return values

    def _dying(self) -> list[set[str]]:
        """Per layer, the values that nobody needs behind it."""
        needed = set(self._record["makes"])
        dying = []
        for layer in reversed(self._layers):
            here = {*layer.inputs, *layer.outputs}
            dying.append(here - needed)
            needed |= here
        return dying[::-1]

    def _corrected(
        self, layer: IntegerLayer, values: Mapping[str, Array]
    ) -> tuple[IntegerLayer, WeightQuantization, Array]:
        """The layer with its best weights and bias, how its weights are stored, and what it makes."""
        plan = self._record["weighted"][layer.name]
        weight = weight_from_record(plan["weight"])
        codes = self._space.read_array(layer.constants["weight"])
        real = in_layout(self._space.read_array(self._inputs[f"real/{layer.name}"]), plan["layout"])
        if plan["rounding"]:
            read = self._tensors[layer.inputs[0]]
            input_ = LayerInput(values[read.name], read.zero_point, layer.operation, layer.attributes)
            weight, codes = least_error(real, weight, input_, plan["saturation"])
        trial = _Trial(self, layer, plan, weight, codes, real, self._bias(layer, codes.shape[0]), values)
        shift = corrected_shift(self._target(layer), trial.state, trial.output.scale)
        final, made = trial.final(shift)
        return final, trial.stored_weight, made

    def _bias(self, layer: IntegerLayer, channels: int) -> NDArray[np.float64]:
        blob = self._inputs.get(f"bias/{layer.name}")
        if blob is None:
            return np.zeros(channels)
        return np.asarray(self._space.read_array(blob), dtype=np.float64).reshape(channels)

    def _target(self, layer: IntegerLayer) -> Array:
        """The float mean of every channel over all samples."""
        chunks = self._record["chunks"]
        rows = [self._space.read_array(self._inputs[f"means/{chunk}/{layer.name}"]) for chunk in chunks]
        means: Array = np.concatenate(rows).mean(axis=0)
        return means

    def _machine(self, layer: IntegerLayer, reader: BlobReader) -> Machine:
        return Machine(
            QuantizedModel(
                name="",
                variant="",
                profile=self._record["profile"],
                inputs=(),
                outputs=(),
                tensors=self._tensors,
                weights={},
                layers=(layer,),
            ),
            reader,
        )

    def trial_run(self, layer: IntegerLayer, constants: Mapping[str, Array], values: Mapping[str, Array]) -> Array:
        """The output of ``layer`` with constants that are not stored."""
        blobs = {role: _unstored(array) for role, array in constants.items()}
        reader = _Held({blob.digest: constants[role] for role, blob in blobs.items()}, self._space)
        trial = replace(layer, constants={**layer.constants, **blobs})
        return self._machine(trial, reader).run_layer(trial, values)[layer.outputs[0]]

    @property
    def tensors(self) -> Mapping[str, TensorQuantization]:
        return self._tensors

    @property
    def record(self) -> Mapping[str, Any]:
        return self._record

    def stored(self, array: Array) -> Blob:
        return self._space.write_array(np.asarray(array, order="C"))


class _Trial:
    """A layer with chosen weights that is run with one bias after the other."""

    def __init__(
        self,
        segment: _Segment,
        layer: IntegerLayer,
        plan: Mapping[str, Any],
        weight: WeightQuantization,
        codes: Array,
        real: Array,
        bias: NDArray[np.float64],
        values: Mapping[str, Array],
    ) -> None:
        self._segment = segment
        self._layer = layer
        self._plan = plan
        self._weight = weight
        self._codes = codes
        self._real = real
        self._bias = bias
        self._values = values
        self.output = segment.tensors[layer.outputs[0]]
        self.stored_weight = weight

    def state(self, shift: Array) -> ChannelState:
        """The output's channels with ``shift`` added to the bias."""
        form, codes = self._form(shift)
        made = self._made(form, codes)
        bounds = form.requantize
        return channel_state(
            made, self._plan["axis"], self.output.scale, self.output.zero_point, bounds.low, bounds.high
        )

    def final(self, shift: Array) -> tuple[IntegerLayer, Array]:
        """The layer with ``shift`` for good, and what it makes."""
        form, codes = self._form(shift)
        self.stored_weight = form.weight
        constants = {"weight": self._segment.stored(codes), "bias": self._segment.stored(form.bias)}
        attributes = {**self._layer.attributes, "weight_zero_point": form.weight.zero_point}
        layer = replace(self._layer, constants=constants, attributes=attributes, requantize=(form.requantize,))
        return layer, self._made(form, codes)

    def _made(self, form: WeightedForm, codes: Array) -> Array:
        attributes = {**self._layer.attributes, "weight_zero_point": form.weight.zero_point}
        layer = replace(self._layer, attributes=attributes, requantize=(form.requantize,))
        return self._segment.trial_run(layer, {"weight": codes, "bias": form.bias}, self._values)

    def _form(self, shift: Array) -> tuple[WeightedForm, Array]:
        clamp = self._plan["clamp"]
        form = weighted_form(
            Subject(self._segment.record["subject"], self._layer.name, self._plan["op"]),
            self._segment.record["profile"],
            self._layer.operation,
            self._segment.tensors[self._layer.inputs[0]],
            self._weight,
            self._codes,
            self._bias + shift,
            self.output,
            None if clamp is None else Clamp(*clamp),
            self._recode,
        )
        return form, self._codes if form.recoded is None else form.recoded

    def _recode(self, scales: NDArray[np.float64]) -> Array:
        """Codes under scales that grew for the bias: only those channels are rounded anew."""
        again = codes_per_channel(self._real, scales, self._weight.type)
        same = scales == np.asarray(self._weight.scales)
        return np.where(same.reshape(-1, *[1] * (again.ndim - 1)), self._codes, again)


def _unstored(array: Array) -> Blob:
    """A blob of an array that is not stored. Its digest is one of content: prepared layers are known by it."""
    named = f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()
    return Blob(f"unstored-{digest_bytes(named)}", array.nbytes, "npy")


class _Held:
    """Blobs at hand before those of a reader."""

    def __init__(self, held: Mapping[str, Array], reader: BlobReader) -> None:
        self._held = held
        self._reader = reader

    def read_array(self, blob: Blob) -> Array:
        found = self._held.get(blob.digest)
        return self._reader.read_array(blob) if found is None else found

    def read_bytes(self, blob: Blob) -> bytes:
        return self._reader.read_bytes(blob)

    def read_json(self, blob: Blob) -> Any:
        return self._reader.read_json(blob)


def _checked_layers(record: Mapping[str, Any], context: Any) -> tuple[IntegerLayer, ...]:
    """The layers of the context; raises ValueError when they are not those of the record."""
    if {item["name"]: digest_record(item) for item in context["layers"]} != dict(record["layers"]):
        raise ValueError("the layers of the context are not those of the record")
    return tuple(layer_from_record(item) for item in context["layers"])


def weight_from_record(record: Mapping[str, Any]) -> WeightQuantization:
    """What ``asdict`` and JSON made of a ``WeightQuantization``."""
    values: dict[str, Any] = dict(record)
    values.update({name: tuple(value) for name, value in record.items() if isinstance(value, list)})
    return WeightQuantization(**values)
