"""Blocks ``dataset`` and ``golden``: samples from files, and recorded inputs and outputs."""

from __future__ import annotations

from npudsl.language.schema.calls import Calls, Parameter, Signature
from npudsl.language.schema.forms import REQUIRED, BlockForm, Key, RuleForm, table
from npudsl.language.schema.types import (
    AnyWord,
    Either,
    FilePath,
    Flag,
    Integer,
    Shape,
    String,
    Words,
)
from npudsl.language.values import Text

FILE_TYPES = Words(
    "element type",
    dict.fromkeys(
        ("float32", "float64", "float16", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "bool"), ""
    ),
    aliases={
        "f32": "float32",
        "f64": "float64",
        "f16": "float16",
        "u8": "uint8",
        "i8": "int8",
        "i16": "int16",
        "u16": "uint16",
        "i32": "int32",
        "i64": "int64",
        "float": "float32",
        "double": "float64",
    },
)

GOLDEN_TYPES = Words(
    "element type",
    {"f32": "", "f16": "", "u8": "", "i8": "", "i16": ""},
    aliases={"float32": "f32", "float16": "f16", "uint8": "u8", "int8": "i8", "int16": "i16"},
)

SHUFFLE = Calls(
    "way to shuffle",
    {"seed": Signature("seed", (Parameter("n", Integer(0, 2**63 - 1), required=True),), "A fixed random order.")},
)

FEED = RuleForm(
    "feed",
    (String(),),
    "Where the files of one input come from.",
    keys=table(
        Key("list", FilePath(), "A text file with one path per line."),
        Key("dir", FilePath(), "A folder; its files in name order."),
        Key("files", String(), "A glob, relative to `dir` of the block or to this file."),
        Key("npz", FilePath(), "An npz file with `key=`."),
        Key("idx", FilePath(), "An idx file (MNIST layout)."),
        Key("key", String(), "Name of the array inside the npz file."),
        Key("dtype", FILE_TYPES, "Element type of raw files (.bin)."),
        Key("shape", Shape(), "Shape of one sample in raw files. Default: the input's."),
    ),
    example='feed "data" files="calib/*.npy"',
)

DATASET = BlockForm(
    "dataset",
    AnyWord("name"),
    "Which samples, in which order.",
    keys=table(
        Key(
            "list",
            FilePath(),
            "A text file with one sample per line; columns are the inputs in order.",
            excludes=("dir", "files", "idx", "npz"),
        ),
        Key(
            "dir",
            FilePath(),
            "A folder: its files in name order; with `files` or `feed` rules, where their globs begin.",
            excludes=("list", "idx", "npz"),
        ),
        Key("files", String(), "A glob, relative to `dir` or to this file.", excludes=("list", "idx", "npz")),
        Key(
            "idx",
            FilePath(),
            "An idx file with one sample per row (MNIST layout).",
            excludes=("list", "dir", "files", "npz"),
        ),
        Key(
            "npz",
            FilePath(),
            "An npz file; `key` names the array, its rows are the samples.",
            excludes=("list", "dir", "files", "idx"),
        ),
        Key("key", String(), "Name of the array inside the npz file."),
        Key("skip", Integer(0), "Leave out the first samples.", 0),
        Key("samples", Integer(1), "How many samples to take. Default: all."),
        Key("batch", Integer(1, 65536), "Samples per run; never changes a result.", 1),
        Key("shuffle", SHUFFLE, "seed(n): a fixed random order instead of file order."),
        Key(
            "labels",
            Either({bool: Flag(), Text: FilePath()}, 'true or a path, "labels.txt"'),
            "true: the last column of each line of `list`; or a file of `sample index` lines, or an idx file.",
        ),
        Key("label_offset", Integer(-(2**31), 2**31), "Added to every label (1: background class in front).", 0),
    ),
    rules={"feed": FEED},
    one_of=(("list", "dir", "files", "idx", "npz", "feed"),),
    aliases={
        "source": "list",
        "source_file": "list",
        "source-file": "list",
        "dataset": "list",
        "file": "list",
        "path": "list",
        "folder": "dir",
        "directory": "dir",
        "glob": "files",
        "images": "files",
        "count": "samples",
        "number": "samples",
        "size": "samples",
        "iterations": "samples",
        "QUANT_DATASET_SIZE": "samples",
        "offset": "skip",
        "batch_size": "batch",
        "batch-size": "batch",
        "seed": "write `shuffle = seed(7)`",
        "random": "write `shuffle = seed(7)`",
        "label": "labels",
    },
    example='dataset calib {\n  list = "data/calib.txt"\n  samples = 100\n}',
)

_GOLDEN_KEYS = table(
    Key("file", FilePath(), "The recorded values.", REQUIRED),
    Key("dtype", GOLDEN_TYPES, "Element type of a raw file."),
)

GOLDEN = BlockForm(
    "golden",
    AnyWord("name"),
    "Recorded inputs and outputs, from a board or another tool.",
    keys={},
    rules={
        "input": RuleForm(
            "input", (String(),), "A recorded input.", _GOLDEN_KEYS, example='input "data" file="in.bin"'
        ),
        "output": RuleForm(
            "output", (String(),), "A recorded output.", _GOLDEN_KEYS, example='output "prob" file="out.bin" dtype=f16'
        ),
    },
    one_of=(("output",),),
    example='golden board {\n  input "data" file="golden/in.bin"\n  output "prob" file="golden/out.bin"\n}',
)
