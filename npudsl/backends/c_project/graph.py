"""The program as the C source needs it: checked, named, every tensor at its place in the arena."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from npudsl.artifacts.export_bundle import ExportRequest
from npudsl.artifacts.quantized_model import IntegerLayer, QuantizedModel, TensorQuantization
from npudsl.backends.c_project.elementwise_code import (
    add_code,
    concat_code,
    mul_code,
    rescale_code,
    softmax_code,
    table_code,
)
from npudsl.backends.c_project.layer_code import LayerCode, LayerView, check_rank
from npudsl.backends.c_project.lines_code import arg_code, log_softmax_code
from npudsl.backends.c_project.memory import Lifetime, MemoryPlan, plan_memory
from npudsl.backends.c_project.movement_code import (
    depth_to_space_code,
    element_size,
    gather_code,
    pad_code,
    slice_code,
    space_to_depth_code,
    tile_code,
    transpose_code,
)
from npudsl.backends.c_project.names import FileNames, Identifiers
from npudsl.backends.c_project.pairs_code import (
    div_code,
    maximum_code,
    minimum_code,
    prelu_code,
    rounded_add_code,
)
from npudsl.backends.c_project.products_code import conv_code, conv_transpose_code, linear_code, matmul_code
from npudsl.backends.c_project.weights import LARGEST_PAYLOAD, ConstantPool
from npudsl.backends.c_project.windows_code import (
    average_pool_code,
    max_pool_code,
    reduce_max_code,
    reduce_min_code,
    reduce_sum_code,
    resize_linear_code,
    resize_nearest_code,
)
from npudsl.diagnostics import Problem
from npudsl.machine.lowering import output_bounds, tensors_as_read

FLOAT_OPERATIONS = frozenset({"quantize", "dequantize", "float"})
"""There is no floating point in the exported kernels."""

ALIASES = frozenset({"reshape", "identity"})
"""The output is the input's memory."""

EMITTERS: Mapping[str, Callable[[LayerView], LayerCode]] = {
    "add": add_code,
    "arg_max": arg_code,
    "arg_min": arg_code,
    "average_pool": average_pool_code,
    "concat": concat_code,
    "conv": conv_code,
    "conv_transpose": conv_transpose_code,
    "depth_to_space": depth_to_space_code,
    "div": div_code,
    "gather": gather_code,
    "global_average_pool": reduce_sum_code,
    "linear": linear_code,
    "log_softmax": log_softmax_code,
    "matmul": matmul_code,
    "max_pool": max_pool_code,
    "maximum": maximum_code,
    "minimum": minimum_code,
    "mul": mul_code,
    "pad": pad_code,
    "prelu": prelu_code,
    "reduce_max": reduce_max_code,
    "reduce_min": reduce_min_code,
    "reduce_sum": reduce_sum_code,
    "rescale": rescale_code,
    "resize_linear": resize_linear_code,
    "resize_nearest": resize_nearest_code,
    "rounded_add": rounded_add_code,
    "rounded_sub": rounded_add_code,
    "slice": slice_code,
    "softmax": softmax_code,
    "space_to_depth": space_to_depth_code,
    "sub": add_code,
    "table": table_code,
    "tile": tile_code,
    "transpose": transpose_code,
}


@dataclass(frozen=True)
class PlacedTensor:
    """A graph input or layer output. ``layer`` is ``""`` for inputs; quantizing gives ``low`` to ``high``."""

    tensor: TensorQuantization
    symbol: str
    layer: str
    file: str
    offset: int
    low: int
    high: int

    @property
    def size(self) -> int:
        return tensor_elements(self.tensor)


@dataclass(frozen=True)
class PlacedLayer:
    """A layer with its C; ``code`` is None where the output is the input's memory."""

    layer: IntegerLayer
    symbol: str
    code: LayerCode | None
    scratch_offset: int


@dataclass(frozen=True)
class Project:
    """Everything that the files of a project are written from."""

    identifier: str
    """Prefix of functions and files."""
    title: str
    """Name of the model as the user wrote it."""
    model: QuantizedModel
    tensors: Mapping[str, PlacedTensor]
    layers: tuple[PlacedLayer, ...]
    pool: ConstantPool
    plan: MemoryPlan
    embedded: bool


def build_project(request: ExportRequest, identifier: str, embedded: bool) -> Project:
    """Check the program, emit every layer and plan the memory. Raises ``Problem`` E0610 for what C cannot do."""
    model, subject = request.quantized, request.subject
    refuse_floats(model, subject)
    pool = ConstantPool()
    identifiers, files = Identifiers(), FileNames()
    makers = {**dict.fromkeys(model.inputs, ""), **{layer.outputs[0]: layer.name for layer in model.layers}}
    symbols = {name: identifiers.new(name) for name in makers}
    layer_identifiers = Identifiers()
    layers: list[tuple[IntegerLayer, str, LayerCode | None]] = []
    for layer in model.layers:
        symbol = layer_identifiers.new(layer.name)
        view = LayerView(
            layer=layer,
            symbol=symbol,
            inputs=tensors_as_read(layer, model.tensors),
            output=model.tensors[layer.outputs[0]],
            tensor_symbols=symbols,
            pool=pool,
            reader=request.reader,
            subject=subject,
        )
        layers.append((layer, symbol, _emit(view)))
    plan = plan_memory(_lifetimes(model, layers))
    if max(plan.size, pool.size) > LARGEST_PAYLOAD:
        raise Problem(
            "E0610",
            f"activations take {plan.size} bytes and weights {pool.size} bytes; at most 4 GiB of each are possible",
            subject=subject,
            helps=("cut the model with output and input blocks",),
        )
    roots = _memory_roots(model)
    tensors = {}
    for name, maker in makers.items():
        tensor = model.tensors[name]
        low, high = output_bounds(tensor)
        tensors[name] = PlacedTensor(
            tensor, symbols[name], maker, files.new(name, ".dat"), plan.offsets[roots[name]], low, high
        )
    placed = tuple(
        PlacedLayer(layer, symbol, code, plan.offsets.get(_scratch_name(index), 0))
        for index, (layer, symbol, code) in enumerate(layers)
    )
    return Project(identifier, request.name, model, tensors, placed, pool, plan, embedded)


def refuse_floats(model: QuantizedModel, subject: str) -> None:
    """Raise ``Problem`` E0610 when a layer or a graph input is not integer, naming the first ones."""
    layers = [layer for layer in model.layers if layer.operation in FLOAT_OPERATIONS]
    inputs = [name for name in model.inputs if model.tensors[name].type == "f32"]
    if not layers and not inputs:
        return
    named = [f'"{layer.name}" ({layer.attributes.get("op", layer.operation)})' for layer in layers]
    named = [f'input "{name}"' for name in inputs] + named
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    raise Problem(
        "E0610",
        f"a c-project computes with integers only, but these stay in float: {', '.join(named[:3])}{more}",
        subject=subject,
        helps=(
            "quantize them with type=i16 instead of f32",
            "or cut the model before them with an output block and compute the rest in your own code",
        ),
    )


def tensor_elements(tensor: TensorQuantization) -> int:
    """Number of codes of a tensor."""
    size = 1
    for extent in tensor.shape:
        size *= extent
    return size


def tensor_bytes(tensor: TensorQuantization) -> int:
    return tensor_elements(tensor) * element_size(tensor)


def _emit(view: LayerView) -> LayerCode | None:
    check_rank(view, len(view.output.shape))
    if view.layer.operation in ALIASES:
        return None
    emitter = EMITTERS.get(view.layer.operation)
    if emitter is None:
        view.refuse(
            f"the operations of a c-project are {', '.join(sorted([*EMITTERS, *ALIASES]))}",
            "cut the model before this layer with an output block",
        )
    return emitter(view)


def _memory_roots(model: QuantizedModel) -> dict[str, str]:
    """By tensor, the tensor whose memory it lives in: itself, except behind a reshape."""
    roots = {name: name for name in model.inputs}
    for layer in model.layers:
        output = layer.outputs[0]
        roots[output] = roots[layer.inputs[0]] if layer.operation in ALIASES else output
    return roots


def _lifetimes(model: QuantizedModel, layers: list[tuple[IntegerLayer, str, LayerCode | None]]) -> list[Lifetime]:
    """Inputs live from the start, outputs to the end, everything else from its maker to its last reader."""
    roots = _memory_roots(model)
    first = dict.fromkeys(model.inputs, 0)
    last = dict.fromkeys(model.inputs, 0)
    buffers: list[Lifetime] = []
    for index, (layer, _, code) in enumerate(layers):
        for name in (*layer.inputs, *layer.outputs):
            first.setdefault(roots[name], index)
            last[roots[name]] = index
        if code is not None and code.scratch:
            buffers.append(Lifetime(_scratch_name(index), code.scratch, index, index))
    last.update({roots[name]: len(layers) for name in model.outputs})
    buffers += [Lifetime(name, tensor_bytes(model.tensors[name]), first[name], last[name]) for name in first]
    return buffers


def _scratch_name(index: int) -> str:
    """Key of a layer's scratch memory in the plan; no tensor name has a line feed in front."""
    return f"\nscratch {index}"
