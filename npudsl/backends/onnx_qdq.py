"""Export as standard ONNX with QuantizeLinear and DequantizeLinear pairs ("QDQ"), for every runtime that reads those.

The float network keeps its operators and names. Every tensor that the integer program stores as codes passes through
a pair: ``T`` is made as ``T/unrounded``, stored as ``T/codes`` and read as ``T``. Weights and biases are the
program's own codes behind a DequantizeLinear. Layers in float have no pairs, and a fused Relu or Clip stays the
operator it was.

Opset 19; 21 only where 16-bit codes need it: some releases of onnxruntime refuse valid int8 pairs of opset 21 around
Transpose. Scales and zero points per tensor are scalars of rank 0: arrays of one element load, but break fused kernels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.export_bundle import ExportBundle, ExportRequest
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, TensorQuantization, WeightQuantization
from npudsl.ir.graph import Graph, Node
from npudsl.ir.groups import LayerGroup
from npudsl.ir.onnx_proto import IR_VERSION, OPSET, build_model
from npudsl.numerics.types import element_type

OPSET_16_BIT = 21
IR_VERSION_16_BIT = 10

FLOAT = "f32"

INT32 = np.iinfo(np.int32)


def export(request: ExportRequest) -> ExportBundle:
    """One file: the model of ``request`` as QDQ ONNX."""
    writer = _Writer(request)
    return ExportBundle({"": writer.write()}, notes=tuple(writer.notes()))


@dataclass
class _Writer:
    """The QDQ network so far."""

    request: ExportRequest
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    read_as: dict[str, str] = field(default_factory=dict)
    """Tensor of the integer program to the float tensor that holds its rounded values here."""
    float_biases: list[str] = field(default_factory=list)
    """Layers whose bias does not fit int32."""
    float_weights: list[str] = field(default_factory=list)
    """Layers whose scales lie along no axis of their weights."""

    @property
    def graph(self) -> Graph:
        return self.request.model.graph

    @property
    def program(self) -> QuantizedModel:
        return self.request.quantized

    def write(self) -> bytes:
        """The ONNX file."""
        for name in self.graph.inputs:
            self._enter(name)
        groups = {group.nodes: group for group in self.request.model.groups}
        for layers in _by_sources(self.program):
            if not layers[0].sources:
                self._convert(layers[0])
            else:
                self._add_group(groups[layers[0].sources], layers)
        wide = self._is_wide()
        return build_model(
            self.nodes,
            {name: self.graph.types[name] for name in self.graph.inputs},
            {name: self.graph.types[name] for name in self.graph.outputs},
            self._read_constants(),
            opset=OPSET_16_BIT if wide else OPSET,
            ir_version=IR_VERSION_16_BIT if wide else IR_VERSION,
        )

    def notes(self) -> Iterator[str]:
        """What a QDQ file cannot say exactly."""
        yield (
            f"a runtime rounds between the pairs in its own way, not as profile {self.program.profile}: "
            "single codes may differ by 1 from simulate, and by more behind many layers"
        )
        yield (
            "scales are float32 here: a sample half-way between two codes (as 8-bit pixels in -1 .. 1 are) may "
            "get the other one"
        )
        own = sorted({layer.operation for layer in self.program.layers} & {"softmax", "table"})
        if own:
            yield f"{' and '.join(own)} layers are tables in the integer program and float functions between pairs here"
        if any(tensor.saturation == "symmetric" for tensor in self.program.tensors.values()):
            yield "fixed point saturates at the lowest code of its type here; the chip leaves that code out"
        if self.float_biases:
            yield f"biases beyond int32 are float constants: {', '.join(self.float_biases)}"
        if self.float_weights:
            names = ", ".join(self.float_weights)
            yield f"per-channel weights of grouped transposed convolutions are float constants: {names}"
        if self._is_wide():
            yield f"16-bit codes need ONNX opset {OPSET_16_BIT}"

    # --- tensors ---

    def _enter(self, name: str) -> None:
        tensor = self.program.tensors.get(name)
        if tensor is None or tensor.type == FLOAT:
            self.read_as[name] = name
            return
        self.read_as[name] = f"{name}/rounded"
        self._add_pair(tensor, name, f"{name}/rounded")

    def _add_pair(self, tensor: TensorQuantization, source: str, result: str) -> None:
        """Round ``source`` to the codes of ``tensor``."""
        codes, scale, zero_point = f"{tensor.name}/codes", f"{tensor.name}/scale", f"{tensor.name}/zero_point"
        self.constants[scale] = np.array(tensor.scale, np.float32)
        self.constants[zero_point] = np.array(tensor.zero_point, element_type(tensor.type).storage)
        self.nodes.append(Node(f"{tensor.name}/quantize", "QuantizeLinear", (source, scale, zero_point), (codes,)))
        self.nodes.append(Node(f"{tensor.name}/dequantize", "DequantizeLinear", (codes, scale, zero_point), (result,)))

    def _convert(self, layer: IntegerLayer) -> None:
        """A converter: another pair where it ends in codes, nothing where it ends in float."""
        (source,), (result,) = layer.inputs, layer.outputs
        tensor = self.program.tensors[result]
        if tensor.type == FLOAT:
            self.read_as[result] = self.read_as[source]
            return
        self.read_as[result] = result
        self._add_pair(tensor, self.read_as[source], result)

    # --- layers ---

    def _add_group(self, group: LayerGroup, layers: list[IntegerLayer]) -> None:
        """The float nodes of a group, reading rounded tensors and coded constants, and the rounding of what they
        make."""
        own = {name for layer in layers for name in layer.outputs}
        read = [name for layer in layers for name in layer.inputs if name not in own]
        inputs = {self._float_name(name): self.read_as[name] for name in read}
        inner = {name for node in self._nodes_of(group) for name in node.outputs} - set(group.outputs)
        inputs = {name: source for name, source in inputs.items() if name not in inner}
        coded = self._coded_constants(group, layers[0])
        rounded = {name for name in group.outputs if self._is_rounded(group, name)}
        for node in self._nodes_of(group):
            sources = tuple(coded.get(name, inputs.get(name, name)) for name in node.inputs)
            made = tuple(f"{name}/unrounded" if name in rounded else name for name in node.outputs)
            by_reciprocal = node.op == "Div" and node.name == group.name and layers[0].operation == "mul"
            self.nodes.append(replace(node, op="Mul" if by_reciprocal else node.op, inputs=sources, outputs=made))
        for name in group.outputs:
            self.read_as[name] = name
            if name in rounded:
                self._add_pair(self.program.tensors[name], f"{name}/unrounded", name)

    def _nodes_of(self, group: LayerGroup) -> list[Node]:
        return [node for node in self.graph.nodes if node.name in group.nodes]

    def _float_name(self, tensor: str) -> str:
        """The tensor of the float network that ``tensor`` of the program is, or was converted from."""
        return tensor if tensor in self.graph.types else tensor.rpartition("/to_")[0]

    def _is_rounded(self, group: LayerGroup, output: str) -> bool:
        tensor = self.program.tensors.get(output)
        counts = self.graph.types[output].dtype != "float32"  # positions are integers in the float network too
        return tensor is not None and tensor.type != FLOAT and not counts

    def _coded_constants(self, group: LayerGroup, layer: IntegerLayer) -> dict[str, str]:
        """Constants of the float group to the tensors that hold their dequantized codes."""
        coded = {}
        if "weight" in layer.constants:
            weight = self.program.weights[group.weights[0]]
            coded[weight.name] = self._add_weight(group, layer, weight)
            if group.bias is not None:
                coded[group.bias] = self._add_bias(group, layer, weight)
        if "operand" in layer.constants:
            operand = self.program.weights[group.operands[0]]
            codes = self._array(layer, "operand")
            coded[operand.name] = self._add_codes(f"{layer.name}/operand", codes, operand)
        return coded

    def _add_weight(self, group: LayerGroup, layer: IntegerLayer, weight: WeightQuantization) -> str:
        """Weight codes in the layout of the float network: a MatMul's are stored turned, a 1-D kernel's with height
        1."""
        codes = self._array(layer, "weight")
        shape = self.graph.types[weight.name].shape
        if group.op == "ConvTranspose":
            return self._add_transposed_weight(layer, weight, codes, shape)
        turned = group.op == "MatMul"
        codes = np.ascontiguousarray(codes.T if turned else codes).reshape(shape)
        return self._add_codes(f"{layer.name}/weight", codes, weight, axis=len(shape) - 1 if turned else 0)

    def _add_transposed_weight(
        self, layer: IntegerLayer, weight: WeightQuantization, codes: NDArray[Any], shape: tuple[int, ...]
    ) -> str:
        """Codes (O, I/group, kh, kw) as (I, O/group, ...). Scales per output channel lie along axis 1 if there is one
        group, else along none."""
        group = int(layer.attributes["group"])
        name = f"{layer.name}/weight"

        def as_in_the_model(values: NDArray[Any]) -> NDArray[Any]:
            split = values.reshape(group, values.shape[0] // group, *values.shape[1:])
            return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(shape)

        if group == 1 or len(weight.scales) == 1:
            return self._add_codes(name, as_in_the_model(codes), weight, axis=1)
        scales = np.asarray(weight.scales).reshape(-1, *(1,) * (codes.ndim - 1))
        self.constants[name] = as_in_the_model((codes.astype(np.float64) - weight.zero_point) * scales).astype(
            np.float32
        )
        self.float_weights.append(layer.name)
        return name

    def _add_bias(self, group: LayerGroup, layer: IntegerLayer, weight: WeightQuantization) -> str:
        """Bias codes in steps of s_in * s_w; they have no zero point."""
        codes = self._array(layer, "bias")
        scales = np.asarray(weight.scales, np.float64) * self.program.tensors[layer.inputs[0]].scale
        name = f"{layer.name}/bias"
        if codes.min() < INT32.min or codes.max() > INT32.max:
            self.float_biases.append(layer.name)
            self.constants[name] = (codes * scales).astype(np.float32)
            return name
        return self._add_dequantized(name, codes.astype(np.int32), scales, None, 0)

    def _add_codes(self, name: str, codes: NDArray[Any], weight: WeightQuantization, axis: int = 0) -> str:
        return self._add_dequantized(name, codes, np.asarray(weight.scales), weight.zero_point, axis)

    def _add_dequantized(
        self, name: str, codes: NDArray[Any], scales: NDArray[np.float64], zero_point: int | None, axis: int
    ) -> str:
        """A DequantizeLinear of constant codes; with several scales along ``axis``, else scalars of rank 0."""
        per_channel = scales.size > 1
        inputs = [f"{name}/codes", f"{name}/scale"]
        self.constants[inputs[0]] = codes
        self.constants[inputs[1]] = scales.astype(np.float32) if per_channel else np.array(scales.item(), np.float32)
        if zero_point is not None:
            inputs.append(f"{name}/zero_point")
            zero = np.full(scales.shape, zero_point, codes.dtype) if per_channel else np.array(zero_point, codes.dtype)
            self.constants[inputs[2]] = zero
        attributes = {"axis": axis} if per_channel else {}
        self.nodes.append(Node(f"{name}/dequantize", "DequantizeLinear", tuple(inputs), (name,), attributes))
        return name

    def _array(self, layer: IntegerLayer, role: str) -> NDArray[Any]:
        return np.asarray(self.request.reader.read_array(layer.constants[role]))

    # --- the file ---

    def _is_wide(self) -> bool:
        stored: list[TensorQuantization | WeightQuantization] = [
            *self.program.tensors.values(),
            *self.program.weights.values(),
        ]
        return any(item.type == "i16" for item in stored)

    def _read_constants(self) -> Mapping[str, NDArray[Any]]:
        """Constants of both networks that some node reads, in the order of reading."""
        read = dict.fromkeys(name for node in self.nodes for name in node.inputs if name)
        everything = {**self.graph.constants, **self.constants}
        return {name: np.asarray(everything[name]) for name in read if name in everything}


def _by_sources(program: QuantizedModel) -> list[list[IntegerLayer]]:
    """Converters one by one, and the layers of each group of the float model together, in program order."""
    found: dict[tuple[str, ...], list[IntegerLayer]] = {}
    for layer in program.layers:
        key = layer.sources or ("", layer.name)
        found.setdefault(key, []).append(layer)
    return list(found.values())
