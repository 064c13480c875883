"""What a model file says about itself, and a first program for it: for commands that get a bare model file."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from npudsl.artifacts.model_formats import SUFFIXES, ModelDescription, load_reader, reader_names
from npudsl.diagnostics import Problem
from npudsl.ir.graph import TensorType

IMAGE_CHANNELS = (1, 3, 4)
"""Extents that a channel axis of pictures has."""

RESERVED = frozenset({"npu", "use", "as", "let", "preset", "from", "because", "true", "false", "float"})
"""Words that no block can be called."""


def describe_model(path: Path) -> ModelDescription:
    """What the model at ``path`` says; raises ``Problem`` E0401 for a file that is no model of a known format."""
    return load_reader(format_of(path)).describe_model(path)


def format_of(path: Path) -> str:
    """The format of a model file by its name's ending."""
    known = SUFFIXES.get(path.suffix.lower())
    if known is None:
        raise Problem(
            "E0401",
            f"the format of `{path.name}` is not known by its ending",
            subject="model.file",
            helps=[f"known endings: {', '.join(SUFFIXES)} (formats: {', '.join(reader_names())})"],
        )
    return known


def guessed_layout(type_: TensorType) -> str | None:
    """NCHW or NHWC for an input that looks like pictures, by where its few channels are; None for anything else."""
    if len(type_.shape) != 4:
        return None
    if type_.shape[1] in IMAGE_CHANNELS:
        return "NCHW"
    return "NHWC" if type_.shape[3] in IMAGE_CHANNELS else None


def is_image(description: ModelDescription, name: str) -> bool:
    """Whether samples of this input are guessed to be pictures."""
    return name in description.image_inputs and guessed_layout(description.inputs[name]) is not None


def initial_program(
    description: ModelDescription,
    target_name: str,
    model_path_text: str,
    *,
    scheme: str = "asymmetric_affine",
    type_: str = "u8",
) -> str:
    """The text of a commented program for the model; it passes the checker as soon as the data folder is filled.

    ``target_name`` is the id of a known target; the variant has ``scheme`` and ``type_``, and its type as its name.
    """
    model = identifier(PurePosixPath(model_path_text.replace("\\", "/")).stem)
    blocks = [
        "npu 1",
        f"model {model} {{\n  format = {format_of(Path(model_path_text))}\n  file = {quoted(model_path_text)}\n}}",
        *(_input_block(description, name) for name in description.inputs),
        *(_output_block(name) for name in description.outputs),
        _dataset_block(description),
        "# One quantized variant. Add rules for single layers below its settings, for example:\n"
        '#   layer "NAME" type=i16 because "..."     op Softmax type=f32\n'
        f"quantize {type_} {{\n  calibrate = calib\n  scheme = {scheme}\n  type = {type_}\n  algorithm = minmax\n}}",
        f"simulate check {{\n  of = [float, {type_}]\n  data = calib\n}}",
        "# The build fails when a requirement is not met.\n"
        f"compare accept {{\n  reference = float\n  candidate = {type_}\n  data = calib\n  require cosine >= 0.98\n}}",
        f"target {identifier(target_name)} {{\n  id = {target_name}\n  quantize = {type_}\n"
        "  export qdq {\n    kind = onnx-qdq\n"
        f'    out = "out/{model}.qdq.onnx"\n  }}\n'
        "  export source {\n    kind = c-project\n"
        f'    out = "out/{model}"\n  }}\n}}',
    ]
    return "\n\n".join(blocks) + "\n"


def identifier(text: str) -> str:
    """``text`` as a name of the language: letters, digits, ``_`` and ``-`` between them."""
    name = re.sub(r"[^A-Za-z0-9_-]+|-{2,}", "_", text).strip("_-") or "model"
    return name if name[0].isalpha() and name not in RESERVED else f"m_{name}"


def quoted(text: str) -> str:
    """``text`` as a string of the language."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$") + '"'


def _input_block(description: ModelDescription, name: str) -> str:
    type_ = description.inputs[name]
    lines = _shape_lines(type_, description.symbols.get(name, ()))
    if is_image(description, name):
        lines += _image_lines(type_, guessed_layout(type_) or "NCHW")
    else:
        lines.append("# Samples are arrays (npy, npz, bin), fed as (x - mean) * scale.")
    return f"input {quoted(name)} {{\n" + "".join(f"  {line}\n" for line in lines) + "}"


def _shape_lines(type_: TensorType, symbols: tuple[str, ...]) -> list[str]:
    """The shape; a free batch is 1, another free extent is left for the user to say."""
    if not type_.shape:
        return []
    extents = [extent or (1 if axis == 0 else 0) for axis, extent in enumerate(type_.shape)]
    free = [axis for axis, extent in enumerate(extents) if extent == 0]
    if len(extents) < 2:
        return [f"shape = [{extents[0]}]"] if not free else []
    if not free:
        return [f"shape = {'x'.join(map(str, extents))}"]
    names = ", ".join(symbols[axis] or f"axis {axis}" for axis in free)
    return [f"# Put numbers in place of `?`: {names}.", f"shape = {'x'.join(str(extent or '?') for extent in extents)}"]


def _image_lines(type_: TensorType, layout: str) -> list[str]:
    channels = type_.shape[1 if layout == "NCHW" else 3]
    height, width = type_.shape[2:] if layout == "NCHW" else type_.shape[1:3]
    lines = [f"layout = {layout}", f"color = {'gray' if channels == 1 else 'rgb'}"]
    if height and width:
        lines.append(f"resize = stretch({height}, {width})")
    return [
        *lines,
        "# (x - mean) * scale, as in the training of the network: check these two.",
        "mean = 0",
        "scale = 1/255",
    ]


def _output_block(name: str) -> str:
    return f"output {quoted(name)} {{\n}}"


def _dataset_block(description: ModelDescription) -> str:
    """Where calibration data is looked for: one folder of pictures or arrays, or one folder an input."""
    comment = "# 50 to 200 typical samples: put them into the folder, or name a list file instead."
    if len(description.inputs) == 1:
        return f'{comment}\ndataset calib {{\n  dir = "data/calib"\n}}'
    feeds = "".join(f'  feed {quoted(name)} dir="data/calib/{identifier(name)}"\n' for name in description.inputs)
    return f"{comment}\ndataset calib {{\n{feeds}}}"
