"""The quantization table ``X.VARIANT.quant``: what quantize decided, one line per tensor, as text that is committed.

::

    npu-quant 1 variant=hybrid model=1f3a09c2 calib=77b0e41d settings=5c02aa17
    act input u8 asym lo=-1 hi=0.992188 scale=0.0078125 zp=128 by=default
    wgt conv1/weights i8 perchannel ch=32 scale=0.00104..0.0213 digest=9ab31c02 by=default
    act conv1/relu i16 dfp lo=0 hi=6 fl=12 alg=kl by=layer
    act prob f32 by=op

Graph order, fixed field order, single spaces, nothing aligned, no dates: a changed line is a changed decision. ``lo``
and ``hi`` are the numbers that scale and zero point were computed from (rounded first); the scale is printed for
reading only and never read back. ``alg`` is left out when it is minmax. ``by`` is the kind of rule that decided.
``corrected`` is a digest of the codes and the bias of a layer that were fitted to samples.

The header's digests (8 hexadecimal digits) name the imported graph, the calibration samples (``-``: none) and the
settings of the variant that the table was made from.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from npudsl.artifacts.quantized_model import QuantizedModel, TensorQuantization, WeightQuantization
from npudsl.artifacts.text_fields import (
    BadLine,
    body,
    check_format,
    first_line,
    keyed,
    name_text,
    number_text,
    problem,
    raise_all,
    read_hex,
    read_integer,
    read_lines,
    read_name,
    read_number,
    split_fields,
)
from npudsl.diagnostics import Diagnostic, Place, UserError
from npudsl.keys import digest_bytes
from npudsl.numerics.types import ELEMENT_TYPES

TABLE_FORMAT = 1
WHAT = "quantization table"
SCALE_DIGITS = 6
DIGEST_DIGITS = 8
DEFAULT_ALGORITHM = "minmax"


@dataclass(frozen=True)
class TableHeader:
    """What the table was made from: variant, and digests (8 hexadecimal digits) of graph, samples and settings."""

    variant: str
    model: str
    calib: str
    settings: str


@dataclass(frozen=True)
class TableLine:
    """One tensor. ``kind`` is ``act`` or ``wgt``; fields that the scheme does not have are None."""

    kind: str
    name: str
    type: str
    scheme: str = "none"
    low: float | None = None
    high: float | None = None
    scale: float | None = None
    zero_point: int | None = None
    fractional_length: int | None = None
    channels: int | None = None
    scale_range: tuple[float, float] | None = None
    digest: str | None = None
    corrected: str | None = None
    algorithm: str = DEFAULT_ALGORITHM
    decided_by: str = "default"


@dataclass(frozen=True)
class QuantTable:
    """A table as read or about to be written."""

    header: TableHeader
    lines: tuple[TableLine, ...]

    @cached_property
    def activations(self) -> dict[str, TableLine]:
        """Activation lines by tensor name."""
        return {line.name: line for line in self.lines if line.kind == "act"}

    @cached_property
    def weights(self) -> dict[str, TableLine]:
        """Weight lines by constant name."""
        return {line.name: line for line in self.lines if line.kind == "wgt"}


def range_digits(type_name: str) -> int:
    """Significant digits of ``lo`` and ``hi``: 8 for 16-bit types, else 6."""
    return 8 if ELEMENT_TYPES[type_name].bits == 16 else 6


def table_of(model: QuantizedModel, header: TableHeader) -> QuantTable:
    """The table of an integer program: inputs, then per layer its constants and its outputs."""
    return QuantTable(header, tuple(_lines(model)))


def _lines(model: QuantizedModel) -> Iterator[TableLine]:
    of_layer: dict[str, list[WeightQuantization]] = {}
    for weight in model.weights.values():
        of_layer.setdefault(weight.layer, []).append(weight)
    for name in model.inputs:
        yield activation_line(model.tensors[name])
    for layer in model.layers:
        for weight in of_layer.get(layer.name, ()):
            yield weight_line(weight)
        for name in layer.outputs:
            yield activation_line(model.tensors[name])


def activation_line(tensor: TensorQuantization) -> TableLine:
    """The line of an activation."""
    if tensor.scheme == "none":
        return TableLine("act", tensor.name, tensor.type, decided_by=tensor.decided_by)
    return TableLine(
        "act",
        tensor.name,
        tensor.type,
        tensor.scheme,
        tensor.low,
        tensor.high,
        scale=None if tensor.scheme == "dfp" else tensor.scale,
        zero_point=None if tensor.scheme == "dfp" else tensor.zero_point,
        fractional_length=tensor.fractional_length,
        algorithm=tensor.algorithm or DEFAULT_ALGORITHM,
        decided_by=tensor.decided_by,
    )


def weight_line(weight: WeightQuantization) -> TableLine:
    """The line of a weight or constant operand."""
    algorithm = weight.algorithm or DEFAULT_ALGORITHM
    if weight.scheme == "perchannel":
        return TableLine(
            "wgt",
            weight.name,
            weight.type,
            weight.scheme,
            channels=len(weight.scales),
            scale_range=(min(weight.scales), max(weight.scales)),
            digest=scales_digest(weight.scales),
            corrected=weight.corrected,
            algorithm=algorithm,
            decided_by=weight.decided_by,
        )
    return TableLine(
        "wgt",
        weight.name,
        weight.type,
        weight.scheme,
        weight.low,
        weight.high,
        scale=None if weight.scheme == "dfp" else weight.scales[0],
        zero_point=None if weight.scheme == "dfp" else weight.zero_point,
        fractional_length=weight.fractional_length,
        corrected=weight.corrected,
        algorithm=algorithm,
        decided_by=weight.decided_by,
    )


def scales_digest(scales: tuple[float, ...]) -> str:
    """Digest of per-channel scales (little-endian float64), 8 hexadecimal digits."""
    return digest_bytes(struct.pack(f"<{len(scales)}d", *scales))[:DIGEST_DIGITS]


def render_table(table: QuantTable) -> str:
    """The text of the table, with one newline at the end."""
    return "".join(f"{line}\n" for line in [render_header(table.header), *map(render_line, table.lines)])


def render_header(header: TableHeader) -> str:
    return (
        f"npu-quant {TABLE_FORMAT} variant={header.variant} model={header.model} "
        f"calib={header.calib} settings={header.settings}"
    )


def render_line(line: TableLine) -> str:
    """One line, without the newline."""
    fields = [line.kind, name_text(line.name), line.type]
    if line.scheme != "none":
        fields.append(line.scheme)
    if line.low is not None and line.high is not None:
        digits = range_digits(line.type)
        fields += [f"lo={number_text(line.low, digits)}", f"hi={number_text(line.high, digits)}"]
    if line.channels is not None:
        fields.append(f"ch={line.channels}")
    if line.scale_range is not None:
        fields.append(f"scale={'..'.join(number_text(scale, SCALE_DIGITS) for scale in line.scale_range)}")
    if line.scale is not None:
        fields.append(f"scale={number_text(line.scale, SCALE_DIGITS)}")
    if line.zero_point is not None:
        fields.append(f"zp={line.zero_point}")
    if line.fractional_length is not None:
        fields.append(f"fl={line.fractional_length}")
    if line.digest is not None:
        fields.append(f"digest={line.digest}")
    if line.corrected is not None:
        fields.append(f"corrected={line.corrected}")
    if line.algorithm != DEFAULT_ALGORITHM:
        fields.append(f"alg={line.algorithm}")
    fields.append(f"by={line.decided_by}")
    return " ".join(fields)


def read_table(text: str, path: str) -> QuantTable:
    """The table in ``text``; raises one ``UserError`` with all problems. ``path`` is what the user calls the file."""
    header_line = first_line(text)
    check_format(header_line, "npu-quant", TABLE_FORMAT, path, WHAT)
    try:
        header = _read_header(header_line)
    except BadLine as error:
        raise UserError([problem(path, 1, WHAT, header_line, str(error))]) from None
    numbered = read_lines(body(text), path, WHAT, read_line, render_line, first_number=2)
    _check_unique(numbered, path)
    return QuantTable(header, tuple(line for _, line in numbered))


def _read_header(line: str) -> TableHeader:
    fields = split_fields(line)
    if len(fields) != 6:
        raise BadLine("the header has the fields variant, model, calib and settings")
    calib = keyed(fields[4], "calib")
    header = TableHeader(
        variant=keyed(fields[2], "variant"),
        model=read_hex(keyed(fields[3], "model")),
        calib=calib if calib == "-" else read_hex(calib),
        settings=read_hex(keyed(fields[5], "settings")),
    )
    if render_header(header) != line:
        raise BadLine(f"the line is not written as npu writes it, which is: {render_header(header)}")
    return header


def read_line(text: str) -> TableLine:
    """One line as a value; raises ``BadLine``. That the spelling is canonical is checked by who reads the file."""
    fields = split_fields(text)
    if len(fields) < 4:
        raise BadLine("a line has at least kind, name, type and by=")
    kind, name, type_name = fields[0], read_name(fields[1]), fields[2]
    if kind not in ("act", "wgt"):
        raise BadLine(f"{kind} is not act or wgt")
    if type_name not in ELEMENT_TYPES:
        raise BadLine(f"{type_name} is not a type; types are {', '.join(ELEMENT_TYPES)}")
    decided_by = keyed(fields[-1], "by")
    if not decided_by.isalpha():
        raise BadLine(f"{fields[-1]} does not name a kind of rule")
    if not ELEMENT_TYPES[type_name].is_integer:
        return TableLine(kind, name, type_name, decided_by=decided_by)
    return _read_integer_line(kind, name, type_name, fields[3], fields[4:-1], decided_by)


def _read_integer_line(
    kind: str, name: str, type_name: str, scheme: str, fields: list[str], decided_by: str
) -> TableLine:
    algorithm = DEFAULT_ALGORITHM
    if fields and fields[-1].startswith("alg="):
        algorithm = keyed(fields.pop(), "alg")
        if not algorithm or algorithm == DEFAULT_ALGORITHM:
            raise BadLine(f"alg= names an algorithm other than {DEFAULT_ALGORITHM}")
    corrected = None
    if kind == "wgt" and fields and fields[-1].startswith("corrected="):
        corrected = read_hex(keyed(fields.pop(), "corrected"))
    expected = _FIELDS.get(scheme)
    if expected is None:
        raise BadLine(f"{scheme} is not a scheme; schemes are {', '.join(_FIELDS)}")
    if len(fields) != len(expected):
        raise BadLine(f"{scheme} has the fields {', '.join(expected)}")
    values = [keyed(field, key) for field, key in zip(fields, expected, strict=True)]
    if scheme == "perchannel":
        low, mark, high = values[1].partition("..")
        if not mark:
            raise BadLine(f"scale={values[1]} is not a range of scales")
        return TableLine(
            kind,
            name,
            type_name,
            scheme,
            channels=read_integer(values[0]),
            scale_range=(read_number(low), read_number(high)),
            digest=read_hex(values[2]),
            corrected=corrected,
            algorithm=algorithm,
            decided_by=decided_by,
        )
    low_end, high_end = read_number(values[0]), read_number(values[1])
    if low_end > high_end:
        raise BadLine(f"lo={values[0]} is above hi={values[1]}")
    return TableLine(
        kind,
        name,
        type_name,
        scheme,
        low_end,
        high_end,
        scale=None if scheme == "dfp" else read_number(values[2]),
        zero_point=None if scheme == "dfp" else read_integer(values[3]),
        fractional_length=read_integer(values[2]) if scheme == "dfp" else None,
        corrected=corrected,
        algorithm=algorithm,
        decided_by=decided_by,
    )


_FIELDS = {
    "asym": ("lo", "hi", "scale", "zp"),
    "sym": ("lo", "hi", "scale", "zp"),
    "dfp": ("lo", "hi", "fl"),
    "perchannel": ("ch", "scale", "digest"),
}
"""Fields between scheme and ``alg=``."""


def _check_unique(numbered: list[tuple[int, TableLine]], path: str) -> None:
    first: dict[tuple[str, str], int] = {}
    problems: list[Diagnostic] = []
    for number, line in numbered:
        earlier = first.setdefault((line.kind, line.name), number)
        if earlier != number:
            problems.append(
                Diagnostic(
                    "E0802",
                    f"line {number} of the {WHAT} repeats {line.kind} {name_text(line.name)} of line {earlier}",
                    places=(Place(path, number), Place(path, earlier)),
                    helps=("restore the file from version control, or delete it and run npu build",),
                )
            )
    raise_all(problems)
