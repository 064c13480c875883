"""Write out what Conv, ConvTranspose and pools leave to defaults: kernel, strides, dilations, group, and ``auto_pad``
as pads.

Vendor tools and simplifiers disagree about ``auto_pad``; explicit, often asymmetric, pads have one meaning. An
AveragePool has no ``dilations`` unless they do something: onnxruntime 1.31 builds an invalid quantized pool from one
that has.
"""

from __future__ import annotations

from dataclasses import replace

from npudsl.ir.edit import GraphEditor
from npudsl.ir.graph import Attribute, Graph, Node

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
POOLS = frozenset({"MaxPool", "AveragePool", "LpPool"})


def explicit_padding(graph: Graph) -> Graph:
    editor = GraphEditor(graph)
    for node in graph.nodes:
        if node.op in CONVOLUTIONS | POOLS:
            attributes = _written_out(editor, node)
            if attributes is not None:
                editor.replace(node, replace(node, attributes=attributes))
    return editor.finish()


def _written_out(editor: GraphEditor, node: Node) -> dict[str, Attribute] | None:
    """All attributes of ``node`` without ``auto_pad``; None when its pads cannot be written as such."""
    given = dict(node.attributes)
    size = editor.types[node.inputs[0]].shape[2:]
    result = editor.types[node.outputs[0]].shape[2:]
    axes = range(len(size))
    kernel = given.get("kernel_shape") or list(editor.types[node.inputs[1]].shape[2:])
    strides = given.get("strides") or [1 for _ in axes]
    dilations = given.get("dilations") or [1 for _ in axes]
    reach = [(kernel[axis] - 1) * dilations[axis] + 1 for axis in axes]
    mode = given.pop("auto_pad", "NOTSET")
    target = given.pop("output_shape", None)
    if node.op == "ConvTranspose" and (target is not None or mode.startswith("SAME")):
        extra = given.get("output_padding") or [0 for _ in axes]
        total = [strides[axis] * (size[axis] - 1) + extra[axis] + reach[axis] - result[axis] for axis in axes]
        pads = _split(total, larger_begin=mode != "SAME_UPPER")
    elif mode.startswith("SAME"):
        total = [max(0, (result[axis] - 1) * strides[axis] + reach[axis] - size[axis]) for axis in axes]
        pads = _split(total, larger_begin=mode == "SAME_LOWER")
    elif mode == "VALID":
        pads = [0 for _ in range(2 * len(size))]
    else:
        pads = list(given.get("pads") or [0 for _ in range(2 * len(size))])
    if min(pads, default=0) < 0:
        return None
    given.update(kernel_shape=list(kernel), strides=list(strides), dilations=list(dilations), pads=pads)
    if node.op == "AveragePool" and set(dilations) <= {1}:
        del given["dilations"]
    if node.op in CONVOLUTIONS:
        given["group"] = int(given.get("group", 1))
    return dict(sorted(given.items()))


def _split(total: list[int], larger_begin: bool) -> list[int]:
    """Pads in ONNX order (all begins, all ends); the odd one goes to the end, or to the begin."""
    smaller = [extent // 2 for extent in total]
    larger = [extent - half for extent, half in zip(total, smaller, strict=True)]
    return [*larger, *smaller] if larger_begin else [*smaller, *larger]
