"""A sample's files become the network's input tensors, as ``docs/preprocessing.md`` says.

Order: decode, color, resize, crop, reorder, (x - mean) * scale, layout. Images go through all of it; numbers from
data files are already in the tensor's shape and only get mean and scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npudsl.data.decode import decode_array, decode_image, decode_pixels, is_pixel_row
from npudsl.data.formats import fits, shape_text
from npudsl.data.preprocess import channel_axis, channel_count
from npudsl.data.resize import center_crop, letterbox, resize
from npudsl.data.rows import open_rows
from npudsl.data.sample import SampleFile, sample_digest
from npudsl.diagnostics import Problem
from npudsl.keys import digest_bytes

Array = np.ndarray[Any, Any]


def load_sample(digest: str, files: Sequence[SampleFile], records: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """The input tensors of a sample: float32 in the tensor's full shape, by input name.

    ``records`` are preprocess records (``preprocess_record``), one per file. Raises E0502 (does not fit), E0504 (NaN or
    infinity in a data file), E0505 (the files are not what ``digest`` was made of).
    """
    by_input = {record["input"]: record for record in records}
    contents = [(file, _read(file, by_input[file.input])) for file in files]
    if sample_digest([(file, digest_bytes(data)) for file, data in contents]) != digest:
        raise _changed(files[0])
    return {file.input: _tensor(data, file, by_input[file.input]) for file, data in contents}


def _read(file: SampleFile, record: Mapping[str, Any]) -> bytes:
    try:
        if file.index is None:
            return Path(file.path).read_bytes()
        if not is_pixel_row(file) and file.shape is not None and not fits(file.shape, tuple(record["shape"])):
            # Said before the row is read: a row is as large as the file claims.
            raise Problem(
                "E0502",
                f"{file.shown} has the shape {shape_text(file.shape)}; {shape_text(tuple(record['shape']))} expected",
                subject=f"input[{file.input}]",
                helps=("one row is one sample; a leading 1 may be missing",),
            )
        rows = open_rows(file.path, file.format, file.key, file.shown, f"input[{file.input}]")
        if file.index >= rows.header.count or rows.header.row_shape != file.shape:
            raise _changed(file)
        return b"".join(rows.chunks(file.index))
    except OSError:
        raise _changed(file) from None


def _tensor(data: bytes, file: SampleFile, record: Mapping[str, Any]) -> Array:
    if file.format == "image":
        return _image_tensor(decode_image(data, record["color"], file), file, record)
    if is_pixel_row(file):
        pixels = np.frombuffer(data, dtype=np.uint8).reshape(file.shape or ())
        return _image_tensor(decode_pixels(pixels, record["color"], file), file, record)
    shape = tuple(record["shape"])
    values = decode_array(data, file, shape)
    axis = channel_axis(shape, record["layout"])
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    _check_finite(numbers, file)
    return np.ascontiguousarray(_normalised(numbers, record, axis, len(shape)))


def _image_tensor(pixels: Array, file: SampleFile, record: Mapping[str, Any]) -> Array:
    """uint8 pixels (height, width, channels) to the tensor."""
    shape, layout = tuple(record["shape"]), record["layout"]
    if len(shape) != 4 or shape[0] != 1:
        raise Problem(
            "E0502",
            f'{file.shown} is an image, and the input "{file.input}" is {shape_text(shape)}',
            subject=f"input[{file.input}]",
            helps=("an image becomes a tensor with four axes and a batch of 1: 1xCxHxW or 1xHxWxC",),
        )
    channels = channel_count(shape, layout)
    if pixels.shape[2] != channels:
        word = "gray" if channels == 1 else "rgb"
        raise Problem(
            "E0502",
            f"{file.shown} gives {pixels.shape[2]} channels with color = {record['color']}; "
            f'the input "{file.input}" has {channels} ({shape_text(shape)}, {layout})',
            subject=f"input[{file.input}].color",
            helps=(f"write color = {word}" if channels in (1, 3) else "set layout if the axes are read wrongly",),
        )
    pixels = _cropped(_resized(pixels, record), file, record)
    height, width = (shape[2], shape[3]) if layout == "NCHW" else (shape[1], shape[2])
    if pixels.shape[:2] != (height, width):
        raise _wrong_size(file, pixels, height, width)
    if record["reorder"] is not None:
        pixels = pixels[:, :, record["reorder"]]
    values = _normalised(pixels.astype(np.float32), record, 2, 3)
    return np.ascontiguousarray(values.transpose(2, 0, 1) if layout == "NCHW" else values)[None]


def _resized(pixels: Array, record: Mapping[str, Any]) -> Array:
    settings = record["resize"]
    if settings is None:
        return pixels
    height, width = settings["size"]
    if settings["kind"] == "letterbox":
        return letterbox(pixels, height, width, settings["fill"], settings["filter"])
    return resize(pixels, height, width, settings["filter"])


def _cropped(pixels: Array, file: SampleFile, record: Mapping[str, Any]) -> Array:
    if record["crop"] is None:
        return pixels
    height, width = record["crop"]
    if pixels.shape[0] < height or pixels.shape[1] < width:
        raise Problem(
            "E0502",
            f"{file.shown} is {pixels.shape[0]}x{pixels.shape[1]} (HxW), smaller than crop = center({height}, {width})",
            subject=f"input[{file.input}].crop",
            helps=(f"resize before the crop: resize = stretch({height}, {width})",),
        )
    return center_crop(pixels, height, width)


def _wrong_size(file: SampleFile, pixels: Array, height: int, width: int) -> Problem:
    helps = [f'write in input "{file.input}": resize = stretch({height}, {width})']
    if pixels.shape[0] >= height and pixels.shape[1] >= width:
        helps.append(f"or cut the middle out: crop = center({height}, {width})")
    return Problem(
        "E0502",
        f"{file.shown} is {pixels.shape[0]}x{pixels.shape[1]} (HxW); "
        f'the input "{file.input}" is {height}x{width}, and nothing is resized unasked',
        subject=f"input[{file.input}]",
        helps=helps,
    )


def _normalised(values: Array, record: Mapping[str, Any], axis: int | None, rank: int) -> Array:
    """``(x - mean) * scale``: a subtraction and a multiplication, each rounded to float32."""
    result = values
    if record["mean"] != [0.0]:
        result = result - _along(record["mean"], axis, rank)
    if record["scale"] != [1.0]:
        result = result * _along(record["scale"], axis, rank)
    return result


def _along(values: Sequence[float], axis: int | None, rank: int) -> Array:
    numbers = np.array(values, dtype=np.float32)
    if numbers.size == 1 or axis is None:
        return numbers.reshape(())
    return numbers.reshape([-1 if position == axis else 1 for position in range(rank)])


def _check_finite(values: Array, file: SampleFile) -> None:
    if np.isfinite(values).all():
        return
    flat = int(np.flatnonzero(~np.isfinite(values.reshape(-1)))[0])
    index = [int(position) for position in np.unravel_index(flat, values.shape)]
    raise Problem(
        "E0504",
        f"{file.shown} has {values.reshape(-1)[flat]} at index {index}",
        subject=f"input[{file.input}]",
        helps=("input data must be finite float32 numbers; leave the sample out or mend the file",),
    )


def _changed(file: SampleFile) -> Problem:
    return Problem(
        "E0505",
        f"{file.shown} changed while the build was reading it",
        subject=f"input[{file.input}]",
        helps=("build again when nothing writes to the data",),
    )
