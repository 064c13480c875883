"""The README.txt of a project: for the engineer who got the folder and nothing else."""

from __future__ import annotations

from collections import Counter

from npudsl.backends.c_project.golden import listed_name, output_file
from npudsl.backends.c_project.graph import PlacedTensor, Project
from npudsl.backends.c_project.makefile import run_arguments
from npudsl.backends.c_project.options import BUILD_TYPES, Options

TYPE_NAMES = {"u8": "unsigned 8 bit", "i8": "signed 8 bit", "i16": "signed 16 bit"}

TEMPLATE = """@title@
@underline@

Integer inference in C99, made by npudsl (export kind c-project). No floating point, no allocation, no library besides
memcpy and memset in the model and its kernels; only main.c uses the C library for files and printing.

Files
-----
@files@

Build and run
-------------
    make                      optimized (build_type=@build_type@ is the default; the other is @other_build_type@)
    make check                runs golden/ and compares every layer and the outputs byte for byte;
                              names the first layer that differs
    ./@model@ @run_arguments@ --top 5
    ./@model@ --help          all options: --top, --dump, --check, --output, --repeat, --info

Every output is written as output<i>_<dimensions>.dat: codes, little endian, in the order of the model's tensor.
--dump DIR writes every tensor under the file names of golden/layers.txt, with a list in the same form; compare the two
lists to find the first layer that differs between two machines.

Cross-compile
-------------
    make CC=arm-linux-gnueabihf-gcc CFLAGS="-O2 -mfpu=neon"
    make CC=riscv64-unknown-elf-gcc
Then copy @copied@ and golden/ to the device. In your own application compile everything except main.c and npu_md5.c.
Vectorizing pays: with compilers other than gcc use -O3 (gcc vectorizes the inner loops from -O1 on).
SANITIZE=address,undefined builds with run-time checks.

In your application
-------------------
@usage@
Tensors
-------
real = (code - zero point) * scale.  code = clamp(round_half_even(real / scale) + zero point), the division in double.
@ports@

Memory
------
@memory@

Arithmetic
----------
Profile "@profile@". How well the arithmetic of the chip is known, by layer (exact: checked against another
implementation; documented: stated by the vendor; inferred: read from open drivers; assumed: no public statement):
@labels@
This code gives byte for byte what npudsl simulates; whether the chip does so too depends on these labels.
"""


def readme(project: Project, options: Options, memory: str) -> str:
    """The text, with the tensors, sizes and labels of this project."""
    name = project.identifier
    title = listed_name(f"{project.title}, variant {project.model.variant}")
    labels = Counter(layer.layer.label for layer in project.layers)
    values = {
        "title": title,
        "underline": "=" * len(title),
        "files": _file_list(project),
        "build_type": options.build_type,
        "other_build_type": next(item for item in BUILD_TYPES if item != options.build_type),
        "run_arguments": run_arguments(project),
        "copied": f"{name}" if project.embedded else f"{name}, weights.bin",
        "usage": _usage(project),
        "ports": "\n".join(_ports(project)),
        "memory": memory,
        "profile": project.model.profile,
        "labels": "\n".join(
            f"    {label}: {count} of {len(project.layers)} layers" for label, count in sorted(labels.items())
        ),
        "model": name,
    }
    text = TEMPLATE
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _file_list(project: Project) -> str:
    name = project.identifier
    weights = (
        (f"{name}_weights.c", "the constants as C arrays")
        if project.embedded
        else ("weights.bin", "the constants: header with checksum, then arrays, little endian, 16-byte aligned")
    )
    rows = [
        (f"{name}.h", "sizes as macros, the functions to call"),
        (f"{name}.c", "the network: one description and one call per layer"),
        weights,
        ("npu_kernels.h", "the integer kernels (npu_*.c), the same for every model"),
        ("npu_model.c", "loads and checks the constants"),
        ("npu_md5.c", "digests for the comparison of layers; only main.c uses it"),
        ("main.c", "runs the network on files"),
        ("Makefile", "builds, checks"),
        ("golden/", "a known answer: inputs, outputs, layers.txt with the md5 of every tensor"),
    ]
    return "\n".join(f"    {file:<{max(len(row[0]) for row in rows) + 2}}{text}" for file, text in rows)


def _usage(project: Project) -> str:
    name, upper = project.identifier, project.identifier.upper()
    start = (
        f"    if ({name}_init(&model, arena, {upper}_ARENA_SIZE) != NPU_OK) ..."
        if project.embedded
        else f"    if ({name}_init(&model, weights, weights_size, arena, {upper}_ARENA_SIZE) != NPU_OK) ..."
    )
    return f"""    #include "{name}.h"
    {name}_model model;
    void *arena = malloc({upper}_ARENA_SIZE);     (any memory aligned to 8 bytes; 16 is better)
{start}
    fill {name}_input(&model, 0) with {upper}_INPUT_0_ELEMENTS codes
    {name}_run(&model);
    read {name}_output(&model, 0)
"""


def _ports(project: Project) -> list[str]:
    lines = []
    for index, name in enumerate(project.model.inputs):
        lines.append(_port(f"input {index}", f"golden/input_{index}.dat", project.tensors[name]))
    for index, name in enumerate(project.model.outputs):
        placed = project.tensors[name]
        lines.append(_port(f"output {index}", output_file(index, placed.tensor), placed))
    return lines


def _port(kind: str, file: str, placed: PlacedTensor) -> str:
    tensor = placed.tensor
    shape = "x".join(str(extent) for extent in tensor.shape) or "scalar"
    return (
        f'    {kind} "{listed_name(tensor.name)}" ({file}): {shape}, {TYPE_NAMES[tensor.type]} ({tensor.type}), '
        f"codes {placed.low}..{placed.high}, scale {tensor.scale!r}, zero point {tensor.zero_point}"
    )
