"""Bytes of one file or row to pixels or to an array of numbers, distrustful: files are the user's, headers may lie.

Nothing is allocated because a header claims it: sizes are compared with what the tensor needs, or with a limit, first.
"""

from __future__ import annotations

import io
import threading
import warnings
from typing import Any

import numpy as np

from npudsl.data.formats import DEFAULT_DTYPE, ELEMENT_BYTES, element_count, fits, shape_text
from npudsl.data.sample import SampleFile
from npudsl.diagnostics import Problem

Array = np.ndarray[Any, Any]

IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "PPM", "WEBP", "TIFF")
"""What Pillow may try; its other decoders stay shut."""

EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})

NPY_HEADER_LIMIT = 10_000

_warning_filters = threading.Lock()


def decode_image(data: bytes, color: str, file: SampleFile) -> Array:
    """Pixels of an image file: uint8 (height, width, channels), 3 channels for rgb and bgr, 1 for gray.

    EXIF orientation is not applied and transparency is dropped. Raises E0502.
    """
    from PIL import Image

    subject = f"input[{file.input}]"
    try:
        with _open_image(data) as image:
            if image.mode not in EIGHT_BIT_MODES:
                raise Problem(
                    "E0502",
                    f"{file.shown} has more than 8 bits per channel (Pillow mode {image.mode})",
                    subject=subject,
                    helps=("convert it to 8 bits, or save the tensor as npy",),
                )
            return _pixels(image, color)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Problem(
            "E0502",
            f"{file.shown} declares an image that is too large: {error}",
            subject=subject,
            helps=(f"images may have up to {Image.MAX_IMAGE_PIXELS} pixels; scale it down before",),
        ) from None
    except Problem:
        raise
    except Exception as error:  # Decoders of damaged files raise whatever they like.
        reason = "the file is empty" if not data else f"{error}"
        raise Problem("E0502", f"{file.shown} is no image that can be decoded: {reason}", subject=subject) from None


def _open_image(data: bytes) -> Any:
    """The image of ``data``, header read. Pillow warns of a size above its limit; here that is raised too."""
    from PIL import Image

    # Parts run in threads, and the filters of warnings belong to the process.
    with _warning_filters, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)


def decode_pixels(pixels: Array, color: str, file: SampleFile) -> Array:
    """Rows of an idx file as an image: uint8 (height, width) or (height, width, 1 or 3), taken as gray or RGB."""
    from PIL import Image

    return _pixels(Image.fromarray(pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels), color)


def is_pixel_row(file: SampleFile) -> bool:
    """Whether an idx row is an image: bytes with a height and a width."""
    shape = file.shape or ()
    return (
        file.format == "idx" and file.dtype == "uint8" and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3)))
    )


def _pixels(image: Any, color: str) -> Array:
    if color == "gray":
        return np.asarray(image.convert("L"))[:, :, None]
    pixels = np.asarray(image.convert("RGB"))
    return pixels[:, :, ::-1] if color == "bgr" else pixels


def decode_array(data: bytes, file: SampleFile, shape: tuple[int, ...]) -> Array:
    """The numbers of a data file or of an idx or npz row, in ``shape``, before mean and scale. Raises E0502."""
    if file.format == "npy":
        values = _from_npy(data, file, shape)
    elif file.format == "txt":
        values = _from_text(data, file, shape)
    else:
        values = _from_raw(data, file, shape)
    return values.reshape(shape)


def _from_raw(data: bytes, file: SampleFile, shape: tuple[int, ...]) -> Array:
    dtype = file.dtype or DEFAULT_DTYPE
    _check_shape(file.shape, file, shape)
    expected = ELEMENT_BYTES[dtype] * element_count(shape)
    if len(data) != expected:
        raise _misfit(file, f"has {len(data)} bytes; {dtype} {shape_text(shape)} is {expected} bytes", dtype)
    return np.frombuffer(data, dtype=np.dtype(dtype).newbyteorder(">" if file.format == "idx" else "<"))


def _from_npy(data: bytes, file: SampleFile, shape: tuple[int, ...]) -> Array:
    from numpy.lib import format as npy

    stream = io.BytesIO(data)
    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        found, fortran_order, dtype = read(stream, max_header_size=NPY_HEADER_LIMIT)
    except Exception as error:  # The header is parsed as Python text, with every error that this can have.
        raise _misfit(file, f"is no npy file that can be read: {error}") from None
    wanted = file.dtype or DEFAULT_DTYPE
    if dtype.name != wanted:
        raise _misfit(file, f"holds {dtype}; {wanted} expected", str(dtype))
    _check_shape(found, file, shape)
    if len(data) - stream.tell() != dtype.itemsize * element_count(shape):
        raise _misfit(
            file, f"has {len(data) - stream.tell()} bytes of data; its header says {shape_text(found)} {dtype}"
        )
    values = np.frombuffer(data, dtype=dtype, offset=stream.tell())
    return values.reshape(found, order="F" if fortran_order else "C")


def _from_text(data: bytes, file: SampleFile, shape: tuple[int, ...]) -> Array:
    words = data.split()
    expected = element_count(shape)
    _check_shape(file.shape, file, shape)
    if len(words) != expected:
        raise _misfit(file, f"has {len(words)} numbers; {shape_text(shape)} is {expected}")
    try:
        return np.array([float(word) for word in words], dtype=np.float64)
    except ValueError as error:
        raise _misfit(file, f"is not a list of numbers: {error}") from None


def _check_shape(found: tuple[int, ...] | None, file: SampleFile, shape: tuple[int, ...]) -> None:
    for claim in (found, file.shape):
        if claim is not None and not fits(claim, shape):
            raise _misfit(file, f"has the shape {shape_text(claim)}; {shape_text(shape)} expected")


def _misfit(file: SampleFile, what: str, dtype: str | None = None) -> Problem:
    helps = ["data files hold the tensor as it is: same shape (a leading 1 may be missing), same order of axes"]
    if dtype in ELEMENT_BYTES:
        helps.append(f'say what the files hold: feed "{file.input}" files="PATTERN" dtype={dtype}')
    return Problem("E0502", f"{file.shown} {what}", subject=f"input[{file.input}]", helps=helps)
