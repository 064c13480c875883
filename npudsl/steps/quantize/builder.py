"""Puts an integer program together, layer by layer: tensors in order, converters where types differ, constant blobs.

A layer computes in the type of its output. An input of another type reaches it through a converter layer: the same
range in the scheme of the wanted type, as a tensor ``<tensor>/to_<type>`` right before its first reader, shared by all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.blob import Blob, BlobSpace
from npudsl.artifacts.quantized_model import IntegerLayer, Requantization, TensorQuantization, WeightQuantization
from npudsl.ir.groups import LayerGroup
from npudsl.machine.lowering import lower_quantize, lower_rescale
from npudsl.numerics.dfp import DfpClamp
from npudsl.numerics.profiles import fidelity
from npudsl.steps.quantize.parameters import parameters_of, written_range
from npudsl.steps.quantize.settings import FLOAT_TYPE
from npudsl.steps.quantize.structure import Structure


@dataclass(frozen=True)
class QuantizedWeight:
    """A constant of an integer layer: how it is stored, and its codes in the layout of the integer program."""

    quantization: WeightQuantization
    codes: Blob


@dataclass
class ProgramBuilder:
    """The program so far.

    ``activations`` has every graph input and group output; ``constants`` is by layer and name; ``saturation`` says
    which codes dynamic fixed point uses; ``subject`` is the program value that problems are about.
    """

    subject: str
    structure: Structure
    profile: str
    saturation: DfpClamp
    activations: Mapping[str, TensorQuantization]
    constants: Mapping[tuple[str, str], QuantizedWeight]
    space: BlobSpace
    tensors: dict[str, TensorQuantization] = field(default_factory=dict)
    weights: dict[str, WeightQuantization] = field(default_factory=dict)
    layers: list[IntegerLayer] = field(default_factory=list)

    def output(self, group: LayerGroup, index: int = 0) -> TensorQuantization:
        """How output ``index`` of a group is stored."""
        return self.activations[group.outputs[index]]

    def input_as(self, group: LayerGroup, index: int, wanted: TensorQuantization) -> TensorQuantization:
        """Input ``index`` of a group in the type of ``wanted``, through a converter when it has another."""
        tensor = self.activations[group.inputs[index]]
        if tensor.type == wanted.type:
            return self.tensors[tensor.name]
        name = f"{tensor.name}/to_{wanted.type}"
        if name not in self.tensors:
            converted = converter_tensor(tensor, wanted.type, wanted.scheme, self.saturation)
            self._add_converter(group, tensor, converted)
        return self.tensors[name]

    def add(
        self,
        group: LayerGroup,
        operation: str,
        inputs: Sequence[TensorQuantization],
        output: TensorQuantization,
        requantize: Sequence[Requantization] = (),
        attributes: Mapping[str, Any] | None = None,
        constants: Mapping[str, NDArray[Any] | Blob] | None = None,
        *,
        name: str | None = None,
        macs: int = 0,
    ) -> None:
        """Append a layer of ``group``; ``name`` is the group's unless one layer of the model becomes several."""
        self._append(
            IntegerLayer(
                name=name or group.name,
                operation=operation,
                inputs=tuple(tensor.name for tensor in inputs),
                outputs=(output.name,),
                attributes=dict(attributes or {}),
                constants=self._stored(constants or {}),
                requantize=tuple(requantize),
                sources=group.nodes,
                segment=group.segment,
                macs=macs,
                label=self._label(operation, [*inputs, output]),
            ),
            (output,),
        )

    def add_float(
        self,
        group: LayerGroup,
        inputs: Sequence[TensorQuantization],
        outputs: Sequence[TensorQuantization],
        attributes: Mapping[str, Any],
        constants: Mapping[str, NDArray[Any] | Blob],
        *,
        name: str | None = None,
    ) -> None:
        """Append a layer that stays in float."""
        layer = IntegerLayer(
            name=name or group.name,
            operation="float",
            inputs=tuple(tensor.name for tensor in inputs),
            outputs=tuple(tensor.name for tensor in outputs),
            attributes=dict(attributes),
            constants=self._stored(constants),
            sources=group.nodes,
            segment=group.segment,
            macs=group.macs,
            label=self._label("float", inputs),
        )
        self._append(layer, outputs)

    def weight(self, group: LayerGroup, name: str) -> QuantizedWeight:
        """A constant of the layer that is about to be added; it gets its line in the table."""
        weight = self.constants[group.name, name]
        self.weights[name] = weight.quantization
        return weight

    def store_weight(self, weight: WeightQuantization) -> None:
        """Say anew how a constant is stored."""
        self.weights[weight.name] = weight

    def codes(self, weight: QuantizedWeight) -> NDArray[Any]:
        """The codes of a constant."""
        return self.space.read_array(weight.codes)

    def _add_converter(self, group: LayerGroup, tensor: TensorQuantization, converted: TensorQuantization) -> None:
        attributes: dict[str, Any] = {}
        requantize: tuple[Requantization, ...] = ()
        if tensor.type == FLOAT_TYPE:
            operation, attributes = "quantize", {"scale": converted.scale}
            requantize = (lower_quantize(self.profile, converted),)
        elif converted.type == FLOAT_TYPE:
            operation, attributes = "dequantize", {"scale": tensor.scale}
        else:
            operation = "rescale"
            requantize = (lower_rescale(self.profile, tensor, converted),)
        layer = IntegerLayer(
            name=converted.name,
            operation=operation,
            inputs=(tensor.name,),
            outputs=(converted.name,),
            attributes=attributes,
            requantize=requantize,
            segment=group.segment,
            label=self._label(operation, [tensor, converted]),
        )
        self._append(layer, (converted,))

    def _append(self, layer: IntegerLayer, outputs: Sequence[TensorQuantization]) -> None:
        for output in outputs:
            self.tensors[output.name] = output
        self.layers.append(layer)

    def _label(self, operation: str, tensors: Sequence[TensorQuantization]) -> str:
        fixed_point = all(tensor.fractional_length is not None for tensor in tensors)
        return fidelity(self.profile, operation, fixed_point).label

    def _stored(self, constants: Mapping[str, NDArray[Any] | Blob]) -> dict[str, Blob]:
        return {
            role: value if isinstance(value, Blob) else self.space.write_array(np.asarray(value, order="C"))
            for role, value in constants.items()
        }


def converter_tensor(
    tensor: TensorQuantization, type_name: str, scheme: str, saturation: DfpClamp
) -> TensorQuantization:
    """``tensor`` in another type: the same range in that type's scheme. A float tensor needs a range for that."""
    name = f"{tensor.name}/to_{type_name}"
    if type_name == FLOAT_TYPE:
        return TensorQuantization(name, tensor.shape, type_name, "none", decided_by="converter")
    assert tensor.low is not None
    assert tensor.high is not None
    low, high = written_range(tensor.low, tensor.high, type_name)
    parameters = parameters_of(low, high, type_name, scheme)
    return TensorQuantization(
        name=name,
        shape=tensor.shape,
        type=type_name,
        scheme=scheme,
        scale=parameters.scale,
        zero_point=parameters.zero_point,
        fractional_length=parameters.fractional_length,
        low=low,
        high=high,
        algorithm=tensor.algorithm,
        decided_by="converter",
        saturation=saturation if scheme == "dfp" else "full",
    )
