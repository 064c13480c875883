"""What the float model makes of the correction samples: the mean of every channel of every layer with weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from npudsl.artifacts.blob import Blob, BlobSpace, Tree
from npudsl.data.load import load_sample
from npudsl.data.sample import file_from_record
from npudsl.diagnostics import Problem
from npudsl.ir import float_run

MODE = "means"


def run_means(record: Mapping[str, Any], inputs: Mapping[str, Blob], context: Any, space: BlobSpace) -> Tree:
    """``means/<layer>``: float64 (samples, channels) of the layer's output. Raises E0502 to E0506 (see data)."""
    session = float_run.session(_tapped(space.read_bytes(inputs["model"]), record))
    names = [tensor for tensor, _ in record["tensors"].values()]
    dtypes = {item["input"]: dtype for item, dtype in zip(record["preprocess"], record["dtypes"], strict=True)}
    rows: dict[str, list[Any]] = {layer: [] for layer in record["tensors"]}
    for sample in record["samples"]:
        files = [file_from_record(file) for file in context["files"][sample]]
        tensors = load_sample(sample, files, record["preprocess"])
        feeds = {name: tensors[name].astype(dtype, copy=False) for name, dtype in dtypes.items()}
        made = float_run.run(session, feeds, names)
        for layer, (tensor, axis) in record["tensors"].items():
            means = channel_means(made[tensor], axis)
            if not np.isfinite(means).all():
                raise _not_finite(tensor, context, sample)
            rows[layer].append(means)
    return {f"means/{layer}": space.write_array(np.stack(means)) for layer, means in rows.items()}


def channel_means(values: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    """The mean over all axes but ``axis``, float64."""
    others = tuple(index for index in range(values.ndim) if index != axis % values.ndim)
    means: np.ndarray[Any, Any] = values.mean(axis=others, dtype=np.float64)
    return means


def _tapped(model: bytes, record: Mapping[str, Any]) -> bytes:
    """The model that gives out the layers' tensors and nothing else."""
    import onnx

    loaded = onnx.load_model_from_string(model)
    del loaded.graph.output[:]
    names = dict.fromkeys(tensor for tensor, _ in record["tensors"].values())
    loaded.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    data: bytes = loaded.SerializeToString()
    return data


def _not_finite(tensor: str, context: Any, sample: str) -> Problem:
    shown = ", ".join(file["shown"] for file in context["files"][sample])
    return Problem(
        "E0506",
        f'tensor "{tensor}" is not finite for the sample {shown}',
        subject=context["subject"],
        helps=("check mean and scale of the inputs, or leave the sample out",),
    )
