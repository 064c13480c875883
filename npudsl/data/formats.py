"""Which file suffix is read how, and the element types of raw data."""

from __future__ import annotations

from npudsl.diagnostics import Place, Problem

FORMAT_OF_SUFFIX = {
    ".jpg": "image",
    ".jpeg": "image",
    ".png": "image",
    ".bmp": "image",
    ".ppm": "image",
    ".pgm": "image",
    ".webp": "image",
    ".tif": "image",
    ".tiff": "image",
    ".npy": "npy",
    ".bin": "bin",
    ".raw": "bin",
    ".dat": "bin",
    ".txt": "txt",
    ".tensor": "txt",
}
"""Suffix in lower case to format of files with one sample; ``idx`` and ``npz`` hold many and have own feeds."""

DIRECTORY_FORMATS = ("image", "npy", "bin")
"""What a directory's files may be; a ``.txt`` in a directory is more often a list than a sample."""

ELEMENT_BYTES = {
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "float16": 2,
    "bool": 1,
    "int32": 4,
    "uint32": 4,
    "float32": 4,
    "int64": 8,
    "float64": 8,
}
"""Element types that data files may have, with their size in bytes. Multi-byte values of ``bin`` are little-endian."""

DEFAULT_DTYPE = "float32"
"""Element type of npy, npz, bin and txt data when the feed does not say ``dtype=``."""


def format_of(name: str) -> str | None:
    """Format of a one-sample file by its suffix; None for a suffix that is not known."""
    dot = name.rfind(".")
    return FORMAT_OF_SUFFIX.get(name[dot:].lower()) if dot > 0 else None


def unknown_format(shown: str, subject: str | None, place: Place | None = None) -> Problem:
    """The problem of a file whose suffix says nothing."""
    known = " ".join(FORMAT_OF_SUFFIX)
    return Problem(
        "E0502",
        f"{shown} is no kind of sample that can be read",
        subject=subject,
        places=(place,) if place else (),
        notes=(f"the suffix tells the format: {known}",),
        helps=("arrays of many samples have feeds of their own: idx=FILE, or npz=FILE key=NAME",),
    )


def element_count(shape: tuple[int, ...]) -> int:
    """Number of elements."""
    count = 1
    for extent in shape:
        count *= extent
    return count


def fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether data of ``shape`` is one sample of a tensor: its shape, or the same without the leading batch of 1."""
    return shape == wanted or (wanted[:1] == (1,) and shape == wanted[1:])


def shape_text(shape: tuple[int, ...]) -> str:
    """``1x3x224x224``; a shape without axes is ``scalar``."""
    return "x".join(str(extent) for extent in shape) or "scalar"
