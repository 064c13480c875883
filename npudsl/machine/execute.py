"""The integer machine: runs the layers of a quantized model on codes, any number of samples at once.

Values go in and come out as arrays whose first axis is the model's batch times the number of samples: a tensor declared
as (1, 3, 224, 224) may be given as (16, 3, 224, 224). Inside, samples have an axis of their own (the stack), so an
operation that moves, joins or sums the declared batch axis does the same thing to every sample.

A layer is prepared once (constants converted, bounds proved) and kept; running is then pure arithmetic. The definition
of every operation is docs/integer-program.md; the kernels are exact, so any other implementation must give these bytes.
One such is ``machine.compiled``, which is used for every layer that it has where the machine has a C compiler.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.blob import BlobReader
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, TensorQuantization
from npudsl.machine.compiled import compiled_kernel, floats
from npudsl.machine.kernels.boundary import quantize_values
from npudsl.machine.kernels.context import Kernel, LayerContext
from npudsl.machine.kernels.table import OPERATIONS
from npudsl.machine.lowering import output_bounds, tensors_as_read
from npudsl.numerics.affine import dequantize as dequantize_codes
from npudsl.numerics.metrics import accumulate
from npudsl.numerics.types import element_type

Array = NDArray[Any]
Keep = Literal["outputs", "all"]


class Machine:
    """Runs one quantized model; ``reader`` gives the layers' constants. ``compiled=False`` runs all of it in numpy."""

    def __init__(self, model: QuantizedModel, reader: BlobReader, *, compiled: bool = True) -> None:
        self.model = model
        self.reader = reader
        self._compiled = compiled
        self._layers = {layer.name: layer for layer in model.layers}
        self._kernels: dict[str, Kernel] = {}

    def run(
        self, values: Mapping[str, Array], keep: Keep = "outputs", layers: Collection[str] | None = None
    ) -> dict[str, Array]:
        """Run the program, or the named ``layers`` of it in program order, from the values that enter.

        ``keep="outputs"`` gives the model's outputs and whatever other layers read of the named ones; ``"all"`` every
        value made. Values are dropped after their last reader. Raises KeyError when a value that is read is missing.
        """
        chosen = [layer for layer in self.model.layers if layers is None or layer.name in layers]
        wanted = self._wanted(chosen, keep)
        alive = dict(values)
        made: dict[str, Array] = {name: alive[name] for name in self.model.outputs if name in alive}
        for layer, dying in zip(chosen, _last_reads(chosen), strict=True):
            results = self.run_layer(layer, alive)
            alive.update(results)
            made.update({name: result for name, result in results.items() if name in wanted})
            for name in dying:
                del alive[name]
        return made

    def run_layer(self, layer: IntegerLayer | str, values: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of one layer from the values of its inputs."""
        if isinstance(layer, str):
            layer = self._layers[layer]
        inputs = [self._stacked(values[name], self.model.tensors[name]) for name in layer.inputs]
        results = self._kernel(layer)(inputs)
        return {name: _merged(result) for name, result in zip(layer.outputs, results, strict=True)}

    def quantize_input(self, array: Array, tensor: TensorQuantization | str) -> Array:
        """Codes of a float sample for a graph input, by the rule of ``quantize``."""
        tensor = self._tensor(tensor)
        if tensor.type == "f32":
            return np.asarray(array, dtype=np.float32)
        low, high = output_bounds(tensor)
        codes = floats.quantize_values(array, tensor, low, high) if self._compiled else None
        if codes is not None:
            return codes
        storage = element_type(tensor.type).storage
        return quantize_values(array, tensor.scale, tensor.zero_point, low, high, storage)

    def dequantize(self, codes: Array, tensor: TensorQuantization | str) -> Array:
        """float32 reals of codes, by the rule of ``dequantize``."""
        tensor = self._tensor(tensor)
        if tensor.type == "f32":
            return np.asarray(codes, dtype=np.float32)
        return dequantize_codes(codes, tensor.scale, tensor.zero_point).astype(np.float32)

    def error_sums(self, references: Array, candidates: Array, tensor: TensorQuantization | str) -> Array:
        """The sums of ``metrics.Accumulator`` (rows, sums) of candidate codes against reals, row by row."""
        tensor = self._tensor(tensor)
        sums = floats.error_sums(references, candidates, tensor) if self._compiled else None
        if sums is not None:
            return sums
        pairs = zip(references, candidates, strict=True)
        return np.array([accumulate(reals, self.dequantize(codes, tensor)).row() for reals, codes in pairs])

    def _tensor(self, tensor: TensorQuantization | str) -> TensorQuantization:
        return self.model.tensors[tensor] if isinstance(tensor, str) else tensor

    def context(self, layer: IntegerLayer) -> LayerContext:
        """What a kernel of the layer is built from."""
        inputs = tensors_as_read(layer, self.model.tensors)
        return LayerContext(layer, inputs, self._quantizations(layer.outputs), self.reader)

    def _kernel(self, layer: IntegerLayer) -> Kernel:
        """The prepared layer."""
        kernel = self._kernels.get(layer.name)
        if kernel is None:
            context = self.context(layer)
            fast = compiled_kernel(context) if self._compiled else None
            kernel = self._kernels[layer.name] = fast or OPERATIONS[layer.operation](context)
        return kernel

    def _quantizations(self, names: Iterable[str]) -> tuple[TensorQuantization, ...]:
        return tuple(self.model.tensors[name] for name in names)

    def _stacked(self, values: Array, tensor: TensorQuantization) -> Array:
        """Values with the stack axis in front; raises ValueError when they do not have the tensor's type or shape."""
        storage = element_type(tensor.type).storage
        array = np.asarray(values)
        if array.dtype != np.dtype(storage):
            raise ValueError(f"tensor '{tensor.name}' holds {storage}, not {array.dtype}")
        fits = array.shape[1:] == tensor.shape[1:] if tensor.shape else array.ndim <= 1
        if not fits or (tensor.shape and array.shape[0] % max(tensor.shape[0], 1)):
            raise ValueError(f"tensor '{tensor.name}' has shape {tensor.shape}, which {array.shape} is no multiple of")
        return array.reshape(-1, *tensor.shape)

    def _wanted(self, chosen: list[IntegerLayer], keep: Keep) -> set[str]:
        """Names of the values that a run returns."""
        if keep == "all":
            return {name for layer in chosen for name in layer.outputs}
        names = {layer.name for layer in chosen}
        outside = {name for layer in self.model.layers if layer.name not in names for name in layer.inputs}
        return outside | set(self.model.outputs)


def _last_reads(layers: list[IntegerLayer]) -> list[set[str]]:
    """Per layer: the values that no later layer reads (outputs nobody reads included)."""
    seen: set[str] = set()
    dying: list[set[str]] = []
    for layer in reversed(layers):
        here = {*layer.inputs, *layer.outputs}
        dying.append(here - seen)
        seen |= here
    return dying[::-1]


def _merged(result: Array) -> Array:
    """The stack joined with the batch axis; a scalar keeps the stack as its only axis."""
    return result if result.ndim == 1 else result.reshape(result.shape[0] * result.shape[1], *result.shape[2:])
