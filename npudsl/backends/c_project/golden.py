"""The known answer that is shipped with a project: one sample's inputs, outputs, and a digest of every tensor."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npudsl.artifacts.quantized_model import TensorQuantization
from npudsl.backends.c_project.graph import Project
from npudsl.numerics.types import element_type

HEADING = "# md5 file type shape tensor"


def golden_files(project: Project, values: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """``golden/...`` by path."""
    files = {}
    for index, name in enumerate(project.model.inputs):
        files[f"golden/input_{index}.dat"] = little_endian(values[name], project.tensors[name].tensor)
    for index, name in enumerate(project.model.outputs):
        tensor = project.tensors[name].tensor
        files[f"golden/{output_file(index, tensor)}"] = little_endian(values[name], tensor)
    files["golden/layers.txt"] = _layer_list(project, values).encode()
    return files


def output_file(index: int, tensor: TensorQuantization) -> str:
    """``output0_1_10.dat``."""
    return "_".join([f"output{index}", *(str(extent) for extent in tensor.shape)]) + ".dat"


def little_endian(values: NDArray[Any], tensor: TensorQuantization) -> bytes:
    """The bytes that the C writes for a tensor."""
    return np.ascontiguousarray(values, dtype=np.dtype(element_type(tensor.type).storage).newbyteorder("<")).tobytes()


def listed_name(name: str) -> str:
    """A tensor name on one line of the list; as main.c writes it."""
    return re.sub(r"[\x00-\x1f\x7f]", "?", name)


def _layer_list(project: Project, values: Mapping[str, NDArray[Any]]) -> str:
    lines = [HEADING]
    for name, placed in project.tensors.items():
        digest = hashlib.md5(little_endian(values[name], placed.tensor), usedforsecurity=False).hexdigest()
        shape = "x".join(str(extent) for extent in placed.tensor.shape) or "scalar"
        lines.append(f"{digest} {placed.file} {placed.tensor.type} {shape} {listed_name(name)}")
    return "\n".join(lines) + "\n"
