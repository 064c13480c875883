"""Fixing input shapes and cutting an ONNX model at the tensors the user declared.

Both happen on the file's own graph, before anything is rewritten: the names are those the user sees in any viewer,
and the cut model is what the simplified one is compared with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import ModelProto, helper

from npudsl.artifacts.model_formats import DeclaredInput
from npudsl.backends.onnx_graph import shown_name
from npudsl.diagnostics import Problem
from npudsl.ir.graph import TensorType
from npudsl.ir.onnx_proto import element_code, element_name
from npudsl.ir.shapes import check_size

SHOWN_NAMES = 8
"""How many names an error lists before it says how many more there are."""


@dataclass(frozen=True)
class FreeType:
    """What the file says about a tensor; extents are None where it says nothing, ``symbols`` the names of those."""

    extents: tuple[int | None, ...] | None
    symbols: tuple[str, ...]
    dtype: str


def cut(model: ModelProto, inputs: Sequence[DeclaredInput], outputs: Sequence[str]) -> ModelProto:
    """``model`` from ``inputs`` to ``outputs``, every input with its whole shape; changes and returns ``model``.

    A tensor is known by its own name or by that of the node that makes it, and is called what the user called it.
    """
    names = _Names(model)
    wanted = [names.output(name) for name in outputs] or [item.name for item in model.graph.output]
    begins = [names.input(item.name) for item in inputs]
    _refuse_twice("output", outputs, wanted)
    _refuse_twice("input", [item.name for item in inputs], begins)
    declared = dict(zip(begins, inputs, strict=True))
    _fix_real_inputs(model, names, declared)
    inner = [tensor for tensor in declared if tensor not in names.inputs]
    inner_types = _inner_types(model, inner, declared)
    kept = _needed_nodes(model, wanted, set(declared) | set(names.inputs))
    _check_reach(model, names, declared, wanted, kept)
    made = _output_infos(model, wanted)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    given = list(declared) or [name for name in names.inputs if _is_read(kept, name)]
    real = {item.name: item for item in model.graph.input}
    infos = [inner_types[name] if name in inner_types else real[name] for name in given]
    _set_interface(model, infos, made)
    _drop_unread(model)
    renamed = {tensor: item.name for tensor, item in declared.items() if tensor != item.name}
    renamed.update((tensor, name) for tensor, name in zip(wanted, outputs, strict=False) if tensor != name)
    _rename(model, renamed)
    return model


def input_types(model: ModelProto) -> dict[str, FreeType]:
    """What the file says about every input that is not an initializer."""
    held = {item.name for item in model.graph.initializer}
    return {item.name: _free_type(item) for item in model.graph.input if item.name not in held}


class _Names:
    """Every name a user may know, and what to say when it is none of them."""

    def __init__(self, model: ModelProto) -> None:
        self.inputs = tuple(input_types(model))
        self.outputs = tuple(item.name for item in model.graph.output)
        self.made = {name for node in model.graph.node for name in node.output if name}
        self.constants = {item.name for item in model.graph.initializer}
        self.by_node: dict[str, str] = {
            node.name: next(name for name in node.output if name)
            for node in model.graph.node
            if node.name and any(node.output)
        }

    def input(self, name: str) -> str:
        """The tensor called ``name`` where a graph can begin."""
        if name in self.inputs or name in self.made:
            return name
        if name in self.by_node and name not in self.constants:
            return self.by_node[name]
        raise self._unknown(f"input[{name}]", name, "inputs", self.inputs)

    def output(self, name: str) -> str:
        """The tensor called ``name`` where a graph can end."""
        if name in self.made:
            return name
        if name in self.by_node and name not in self.constants:
            return self.by_node[name]
        if name in self.inputs:
            raise Problem(
                "E0402",
                f"`{name}` is an input of the model; an output is something a layer makes",
                subject=f"output[{name}]",
                helps=[f"outputs of the model: {name_list(self.outputs)}"],
            )
        raise self._unknown(f"output[{name}]", name, "outputs", self.outputs)

    def _unknown(self, subject: str, name: str, what: str, heads: Sequence[str]) -> Problem:
        everything = [*heads, *self.made, *self.by_node]
        near = near_names(name, everything)
        helps = [f"did you mean {' or '.join(f'`{item}`' for item in near)}? names are case-sensitive"] if near else []
        helps.append(f"{what} of the model: {name_list(heads)}")
        if name in self.constants:
            return Problem("E0402", f"`{name}` is a constant of the model", subject=subject, helps=helps)
        return Problem("E0402", f"the model has no tensor or node called `{name}`", subject=subject, helps=helps)


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that look like ``name``, best first; a difference of case alone counts as none."""
    ordered = list(dict.fromkeys(known))
    same = [item for item in ordered if item.casefold() == name.casefold()]
    tails = [item for item in ordered if item.partition(":")[0] == name or item.rpartition("/")[2] == name]
    close = difflib.get_close_matches(name, ordered, n=3, cutoff=0.7)
    return list(dict.fromkeys([*same, *tails, *close]))[:3]


def name_list(names: Sequence[str]) -> str:
    """``a``, ``b`` and so on, cut where it gets long."""
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN_NAMES])
    return f"{shown} and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else shown or "none"


def _free_type(item: Any) -> FreeType:
    tensor = item.type.tensor_type
    if tensor.elem_type == 0:
        raise Problem(
            "E0407",
            f"the input `{item.name}` is no tensor ({item.type.WhichOneof('value') or 'nothing is said about it'})",
            subject="model.file",
        )
    dtype = element_name(tensor.elem_type)
    if not tensor.HasField("shape"):
        return FreeType(None, (), dtype)
    extents = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim
    )
    return FreeType(extents, tuple(dim.dim_param for dim in tensor.shape.dim), dtype)


def _fix_real_inputs(model: ModelProto, names: _Names, declared: dict[str, DeclaredInput]) -> None:
    """Give every input of the file the whole shape it will have."""
    for item in model.graph.input:
        if item.name not in names.inputs:
            continue
        free = _free_type(item)
        wanted = declared.get(item.name)
        if wanted is None and declared:
            continue
        fixed = TensorType(fixed_shape(item.name, free, wanted), free.dtype)
        check_size(item.name, fixed)
        item.CopyFrom(helper.make_tensor_value_info(item.name, element_code(fixed.dtype), list(fixed.shape)))


def fixed_shape(name: str, free: FreeType, wanted: DeclaredInput | None) -> tuple[int, ...]:
    """The shape an input gets: declared extents first, then the file's, and 1 for a free batch; else a ``Problem``."""
    subject = f"input[{wanted.name if wanted is not None else name}].shape"
    declared = wanted.shape if wanted is not None else None
    if free.extents is None:
        if declared is None or 0 in declared:
            raise Problem(
                "E0403",
                f"the model does not say what shape `{name}` has",
                subject=subject,
                helps=[f'write it: input "{name}" {{ shape = 1x3x224x224 }}, with the true extents'],
            )
        return declared
    if declared is not None:
        _check_declared(name, free, declared, subject)
    shape = []
    for axis, extent in enumerate(free.extents):
        given = declared[axis] if declared is not None else 0
        if given:
            shape.append(given)
        elif extent is not None:
            shape.append(extent)
        elif axis == 0:
            shape.append(1)
        else:
            raise _free_extent(name, free, axis, subject)
    return tuple(shape)


def _free_extent(name: str, free: FreeType, axis: int, subject: str) -> Problem:
    assert free.extents is not None
    symbol = f", called `{free.symbols[axis]}`" if free.symbols[axis] else ""
    pattern = "x".join(str(extent or (1 if at == 0 else "?")) for at, extent in enumerate(free.extents))
    return Problem(
        "E0403",
        f"axis {axis} of input `{name}` is free in the model{symbol}; an NPU needs a number",
        subject=subject,
        notes=[f"the model says {shape_text(free)}"],
        helps=[f'write the whole shape: input "{name}" {{ shape = {pattern} }}, with a number for every `?`'],
    )


def _check_declared(name: str, free: FreeType, declared: tuple[int, ...], subject: str) -> None:
    assert free.extents is not None
    fits = len(declared) == len(free.extents) and all(
        extent is None or given in (0, extent) or axis == 0
        for axis, (given, extent) in enumerate(zip(declared, free.extents, strict=True))
    )
    if fits:
        return
    text = "x".join(str(extent) if extent else "?" for extent in declared)
    helps = ["leave `shape` out to take it from the model"]
    if len(declared) == len(free.extents) and sorted(declared) == sorted(extent or 0 for extent in free.extents):
        helps = [f"`shape` is in the axis order of the model's tensor: write {shape_text(free)}"]
    raise Problem(
        "E0403",
        f"the model says {shape_text(free)} for `{name}`, the program says {text}",
        subject=subject,
        helps=helps,
    )


def shape_text(free: FreeType) -> str:
    """``1x3x?x?``."""
    if free.extents is None:
        return "nothing"
    return "x".join(str(extent) if extent is not None else "?" for extent in free.extents) or "scalar"


def _inner_types(model: ModelProto, inner: list[str], declared: dict[str, DeclaredInput]) -> dict[str, Any]:
    """Types of inner tensors that become inputs: what the shapes of the file's inputs imply, else what is declared."""
    if not inner:
        return {}
    known = _inferred(model)
    infos = {}
    for tensor in inner:
        wanted = declared[tensor]
        free = known.get(tensor, FreeType(None, (), "float32"))
        shape = fixed_shape(tensor, free, wanted)
        check_size(tensor, TensorType(shape, free.dtype))
        infos[tensor] = helper.make_tensor_value_info(tensor, element_code(free.dtype), list(shape))
    return infos


def _inferred(model: ModelProto) -> dict[str, FreeType]:
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError):
        return {}
    items = [*inferred.graph.value_info, *inferred.graph.output]
    return {item.name: _free_type(item) for item in items if item.type.tensor_type.elem_type}


def _needed_nodes(model: ModelProto, wanted: list[str], stop: set[str]) -> list[Any]:
    makers = {name: at for at, node in enumerate(model.graph.node) for name in node.output if name}
    kept: set[int] = set()
    stack = [name for name in wanted if name not in stop]
    while stack:
        at = makers.get(stack.pop())
        if at is None or at in kept:
            continue
        kept.add(at)
        stack.extend(name for name in model.graph.node[at].input if name not in stop)
    return [_copy(model.graph.node[at]) for at in sorted(kept)]


def _copy(node: Any) -> Any:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def _is_read(nodes: Iterable[Any], tensor: str) -> bool:
    return any(tensor in node.input for node in nodes)


def _check_reach(
    model: ModelProto, names: _Names, declared: dict[str, DeclaredInput], wanted: list[str], kept: list[Any]
) -> None:
    """Every input the cut network reads is declared, and every declared one is read."""
    for tensor in wanted:
        if tensor in declared:
            raise Problem(
                "E0402",
                f"`{tensor}` is declared as input and as output",
                subject=f"input[{declared[tensor].name}]",
                helps=["remove one of the two blocks"],
            )
    if not declared:
        return
    for tensor in names.inputs:
        reader = next((node for node in kept if tensor in node.input), None)
        if tensor not in declared and reader is not None:
            raise Problem(
                "E0402",
                f"layer `{shown_name(reader)}` reads the input `{tensor}`, which has no `input` block",
                subject=f"input[{next(iter(declared.values())).name}]",
                helps=[
                    f'add: input "{tensor}" {{ }}',
                    "or cut the model behind it by declaring an inner tensor as input",
                ],
            )
    for tensor, item in declared.items():
        if not _is_read(kept, tensor):
            raise Problem(
                "E0402",
                f"no declared output depends on the input `{item.name}`",
                subject=f"input[{item.name}]",
                helps=[f"outputs: {name_list(wanted)}", "remove the block, or declare an output behind it"],
            )


def _refuse_twice(block: str, declared: Sequence[str], tensors: Sequence[str]) -> None:
    for at, name in enumerate(declared):
        first = tensors.index(tensors[at])
        if first < at:
            raise Problem(
                "E0402",
                f"`{declared[first]}` and `{name}` are the same tensor `{tensors[at]}`",
                subject=f"{block}[{name}]",
                helps=["remove one of the two blocks"],
            )


def _set_interface(model: ModelProto, inputs: Iterable[Any], outputs: Iterable[Any]) -> None:
    given, made = list(inputs), list(outputs)
    del model.graph.input[:]
    model.graph.input.extend(given)
    del model.graph.output[:]
    model.graph.output.extend(made)


def _drop_unread(model: ModelProto) -> None:
    read = {name for node in model.graph.node for name in node.input}
    kept = [item for item in model.graph.initializer if item.name in read]
    if len(kept) < len(model.graph.initializer):
        copies = [onnx.TensorProto.FromString(item.SerializeToString()) for item in kept]
        del model.graph.initializer[:]
        model.graph.initializer.extend(copies)
    if model.ir_version < 4:
        model.ir_version = 4  # from here on initializers need not be inputs


def _rename(model: ModelProto, names: dict[str, str]) -> None:
    if not names:
        return
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for item in (*model.graph.input, *model.graph.output):
        item.name = names.get(item.name, item.name)


def _output_infos(model: ModelProto, wanted: Iterable[str]) -> list[Any]:
    """An output needs an element type; its shape is left to whoever runs the model."""
    codes = {item.name: item.type.tensor_type.elem_type for item in model.graph.output}
    if any(not codes.get(name) for name in wanted):
        codes.update((name, element_code(free.dtype)) for name, free in _inferred(model).items())
    infos = []
    for name in wanted:
        info = onnx.ValueInfoProto(name=name)
        info.type.tensor_type.elem_type = codes.get(name, onnx.TensorProto.FLOAT)
        infos.append(info)
    return infos
