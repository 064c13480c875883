"""Files with many samples: idx (the format of the MNIST files) and arrays inside npz archives, read row by row.

A row is what one step along the first axis holds. Only the asked rows are read, so memory follows neither the size of
the file nor the size that its header claims. Rows of an uncompressed file are read in place; a compressed npz member is
a stream that is read forward and opened again to go back, so ``numpy.savez`` serves better than ``savez_compressed``.
"""

from __future__ import annotations

import hashlib
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Protocol

from npudsl.data.formats import ELEMENT_BYTES, element_count
from npudsl.diagnostics import Problem

CHUNK = 1 << 20

_IDX_DTYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}


@dataclass(frozen=True)
class RowsHeader:
    """Element type (a numpy name), shape of one row, and number of rows."""

    dtype: str
    row_shape: tuple[int, ...]
    count: int

    @property
    def row_bytes(self) -> int:
        return ELEMENT_BYTES[self.dtype] * element_count(self.row_shape)


class Rows(Protocol):
    """An open many-sample file. Multi-byte elements are big-endian in idx and little-endian in npz rows."""

    @property
    def header(self) -> RowsHeader: ...

    def chunks(self, index: int) -> Iterator[bytes]:
        """The bytes of row ``index`` in pieces."""
        ...


def open_rows(path: str, format_: str, key: str | None, shown: str, subject: str | None) -> Rows:
    """An idx file, or the array ``key`` of an npz file. Raises E0501 when it is missing, E0502 when it is none."""
    try:
        status = Path(path).stat()
        return _open_cached(path, format_, key, threading.get_ident(), status.st_mtime_ns, status.st_size)
    except FileNotFoundError:
        raise Problem("E0501", f"{shown} does not exist", subject=subject) from None
    except _BadFile as error:
        raise Problem("E0502", f"{shown} {error}", subject=subject, helps=error.helps) from None
    except (OSError, zipfile.BadZipFile) as error:
        raise Problem("E0502", f"{shown} cannot be read as {format_}: {error}", subject=subject) from None


def row_digest(rows: Rows, index: int) -> str:
    """sha256 of the bytes of one row."""
    digest = hashlib.sha256()
    for chunk in rows.chunks(index):
        digest.update(chunk)
    return digest.hexdigest()


class _BadFile(Exception):
    def __init__(self, text: str, *helps: str) -> None:
        super().__init__(text)
        self.helps = helps


@lru_cache(maxsize=16)
def _open_cached(path: str, format_: str, key: str | None, thread: int, mtime_ns: int, size: int) -> Rows:
    # The last three open the file anew: in another thread (a stream has one position), and when it changed.
    return _open_idx(Path(path)) if format_ == "idx" else _open_npz(Path(path), key)


class _RowsInPlace:
    """Rows that lie one behind the other in a file, from ``offset`` on."""

    def __init__(self, path: Path, offset: int, header: RowsHeader) -> None:
        self.header = header
        self._path = path
        self._offset = offset

    def chunks(self, index: int) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(self._offset + index * self.header.row_bytes)
            yield from _pieces(file, self.header.row_bytes)


class _RowsInStream:
    """Rows of a compressed npz member."""

    def __init__(self, archive: zipfile.ZipFile, member: str, offset: int, header: RowsHeader) -> None:
        self.header = header
        self._archive = archive
        self._member = member
        self._offset = offset
        self._stream: IO[bytes] | None = None
        self._position = 0

    def chunks(self, index: int) -> Iterator[bytes]:
        start = self._offset + index * self.header.row_bytes
        if self._stream is None or self._position > start:
            self._stream = self._archive.open(self._member)
            self._position = 0
        stream = self._stream
        for piece in _pieces(stream, start - self._position):
            self._position += len(piece)
        for piece in _pieces(stream, self.header.row_bytes):
            self._position += len(piece)
            yield piece


def _pieces(file: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        try:
            piece = file.read(min(size, CHUNK))
        except (zlib.error, zipfile.BadZipFile) as error:
            raise OSError(f"damaged archive: {error}") from None
        if not piece:
            raise OSError("the file ends inside a row")
        size -= len(piece)
        yield piece


def _open_idx(path: Path) -> Rows:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4)
        if head[:2] == b"\x1f\x8b":
            raise _BadFile("is compressed", "unpack it: gunzip FILE")
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_DTYPES or head[3] == 0:
            raise _BadFile(
                "is not an idx file", "an idx file begins with two zero bytes, a type and the number of axes"
            )
        extents = file.read(4 * head[3])
    if len(extents) < 4 * head[3]:
        raise _BadFile("ends inside its header")
    count, *row_shape = struct.unpack(f">{head[3]}I", extents)
    header = RowsHeader(_IDX_DTYPES[head[2]], tuple(row_shape), count)
    offset = 4 + 4 * head[3]
    _check_size(size - offset, header)
    return _RowsInPlace(path, offset, header)


def _open_npz(path: Path, key: str | None) -> Rows:
    archive = zipfile.ZipFile(path)
    names = sorted(name.removesuffix(".npy") for name in archive.namelist())
    if key not in names:
        listed = ", ".join(names[:10])
        raise _BadFile(f'has no array "{key}"', f"its arrays: {listed}")
    member = archive.getinfo(f"{key}.npy")
    with archive.open(member) as stream:
        header, length = _npy_header(stream)
    _check_size(member.file_size - length, header)
    if member.compress_type != zipfile.ZIP_STORED:
        return _RowsInStream(archive, member.filename, length, header)
    with path.open("rb") as file:
        file.seek(member.header_offset)
        # A stored member follows its 30-byte local header, its name and its extra field (APPNOTE 4.3.7).
        name_length, extra_length = struct.unpack("<HH", file.read(30)[26:])
    return _RowsInPlace(path, member.header_offset + 30 + name_length + extra_length + length, header)


def _npy_header(stream: IO[bytes]) -> tuple[RowsHeader, int]:
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except Exception as error:  # The header is parsed as Python text, with every error that this can have.
        raise _BadFile(f"has no readable array: {error}") from None
    if dtype.name not in ELEMENT_BYTES or dtype.byteorder == ">":
        raise _BadFile(f"holds {dtype}", "element types that can be read: " + ", ".join(ELEMENT_BYTES))
    if fortran_order and len(shape) > 1:
        raise _BadFile("is in column-major order", "save numpy.ascontiguousarray(array)")
    if not shape:
        raise _BadFile("holds one number, not rows of samples")
    return RowsHeader(dtype.name, tuple(shape[1:]), shape[0]), stream.tell()


def _check_size(found: int, header: RowsHeader) -> None:
    expected = header.count * header.row_bytes
    if found != expected:
        raise _BadFile(f"holds {found} bytes of data; its header says {expected}")
