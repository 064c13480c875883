"""Fold what scales or shifts each output channel into the Conv, ConvTranspose or Gemm in front of it.

BatchNormalization, and Add, Sub, Mul, Div by a constant that differs at most from channel to channel. Not across a
tensor that somebody else reads or that is an output of the graph. Products are computed in float64 and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Graph, Node
from npudsl.ir.passes.canonical_gemm import CANONICAL

if TYPE_CHECKING:
    import numpy as np

ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div"})
CHANNEL_AXIS = 1


@dataclass(frozen=True)
class ChannelAffine:
    """``y = x * scale + shift`` along the channel axis, float64; a scale of None is 1. ``name`` is what the shift is
    called."""

    scale: np.ndarray[Any, Any] | None
    shift: np.ndarray[Any, Any] | None
    name: str


def fold_affine(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        host = editor.node(node.name)
        while host is not None and _is_host(editor, host):
            host = _absorb_next(editor, host)
    return editor.finish()


def batch_norm_affine(editor: GraphEditor, node: Node) -> ChannelAffine | None:
    """What a BatchNormalization does to each channel; None when its statistics are no constants."""
    import numpy as np

    values = [editor.constant(name) for name in node.inputs[1:5]]
    if any(value is None for value in values):
        return None
    gamma, beta, mean, variance = (np.asarray(value, np.float64) for value in values)
    scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    return ChannelAffine(scale, beta - mean * scale, node.inputs[2])


def _is_host(editor: GraphEditor, node: Node) -> bool:
    if node.op not in ("Conv", "ConvTranspose", "Gemm", "MatMul") or node.inputs[1] not in editor.constants:
        return False
    if len(node.inputs) > 2 and node.inputs[2] not in editor.constants:
        return False
    if node.op == "Gemm":
        return dict(node.attributes) == CANONICAL
    ranks = [len(editor.types[name].shape) for name in node.inputs[:2]]
    return node.op != "MatMul" or ranks == [2, 2]


def _absorb_next(editor: GraphEditor, host: Node) -> Node | None:
    """Fold the reader of ``host`` into it; the new host, or None when there is nothing to fold."""
    import numpy as np

    result = host.outputs[0]
    reader = editor.only_consumer(result)
    affine = _affine(editor, reader, result) if reader is not None else None
    if reader is None or affine is None:
        return None
    weight = editor.constants[host.inputs[1]]
    channels = editor.types[result].shape[CHANNEL_AXIS]
    bias_name = host.inputs[2] if len(host.inputs) > 2 else ""
    bias = np.asarray(editor.constants[bias_name], np.float64) if bias_name else np.zeros(channels)
    stored = weight.T if host.op == "MatMul" else weight
    if affine.scale is not None:
        stored = _scaled(host, stored, affine.scale)
        bias = bias * affine.scale
    if affine.shift is not None:
        bias = bias + affine.shift
    bias = bias.astype(weight.dtype)
    if not (np.isfinite(stored).all() and np.isfinite(bias).all()):
        return None
    inputs = [host.inputs[0], host.inputs[1]]
    if stored is not weight:
        inputs[1] = editor.change_constant(host.inputs[1], np.ascontiguousarray(stored))
    if bias_name or affine.shift is not None:
        inputs.append(editor.change_constant(bias_name or affine.name, bias))
    linear = host.op == "MatMul"
    folded = replace(
        host,
        op="Gemm" if linear else host.op,
        inputs=tuple(inputs),
        outputs=reader.outputs[:1],
        attributes=dict(CANONICAL) if linear else host.attributes,
    )
    editor.absorb(reader, host, folded)
    return folded


def _scaled(host: Node, weight: np.ndarray[Any, Any], scale: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """``weight`` with every output channel multiplied, in the element type it had."""
    import numpy as np

    wide = weight.astype(np.float64)
    if host.op == "ConvTranspose":
        group = host.attributes["group"]
        apart = wide.reshape(group, wide.shape[0] // group, *wide.shape[1:])
        factors = scale.reshape(group, 1, wide.shape[1], *(1 for _ in wide.shape[2:]))
        scaled = (apart * factors).reshape(weight.shape)
    else:
        scaled = wide * scale.reshape(-1, *(1 for _ in wide.shape[1:]))
    stored: np.ndarray[Any, Any] = scaled.astype(weight.dtype)
    return stored


def _affine(editor: GraphEditor, node: Node, tensor: str) -> ChannelAffine | None:
    """What ``node`` does to each channel of ``tensor``; None when it does anything else."""
    if node.op == "BatchNormalization" and node.inputs[0] == tensor:
        return batch_norm_affine(editor, node)
    if node.op not in ARITHMETIC or len(node.inputs) != 2 or node.inputs[0] == node.inputs[1]:
        return None
    other = node.inputs[1] if node.inputs[0] == tensor else node.inputs[0]
    value = _per_channel(editor, other, tensor)
    if value is None or editor.types[node.outputs[0]] != editor.types[tensor]:
        return None
    return _arithmetic(node.op, value, other, tensor_first=node.inputs[0] == tensor)


def _arithmetic(op: str, value: np.ndarray[Any, Any], name: str, tensor_first: bool) -> ChannelAffine | None:
    import numpy as np

    if op == "Add":
        return ChannelAffine(None, value, name)
    if op == "Sub":
        return ChannelAffine(None, -value, name) if tensor_first else ChannelAffine(-np.ones_like(value), value, name)
    if op == "Mul":
        return ChannelAffine(value, None, name)
    if tensor_first and value.all():
        return ChannelAffine(1.0 / value, None, name)
    return None


def _per_channel(editor: GraphEditor, name: str, tensor: str) -> np.ndarray[Any, Any] | None:
    """A constant as float64 (channels,); None when it differs along another axis than the channels."""
    import numpy as np

    value = editor.constant(name)
    shape = editor.types[tensor].shape
    if value is None or value.ndim > len(shape) or value.dtype.kind != "f":
        return None
    aligned = value.reshape((1,) * (len(shape) - value.ndim) + value.shape)
    channels = shape[CHANNEL_AXIS]
    if aligned.size not in (1, channels) or aligned.shape[CHANNEL_AXIS] != aligned.size:
        return None
    return np.broadcast_to(aligned.reshape(-1).astype(np.float64), (channels,))
