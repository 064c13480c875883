"""Block ``target``: which chip, which variant, what to export."""

from __future__ import annotations

from npudsl.language.schema.forms import REQUIRED, BlockForm, Key, table
from npudsl.language.schema.types import AnyWord, FilePath, Flag, Integer, ListOf, Name, Words

_LISTED_TYPES = Words(
    "type",
    dict.fromkeys(("u8", "i8", "i16", "bf16", "f16", "f32"), ""),
    aliases={"uint8": "u8", "int8": "i8", "int16": "i16", "float16": "f16", "float32": "f32"},
)

_C_PROJECT = "write `kind = c-project` (C sources that run anywhere) or `kind = onnx-qdq`"
_NO_OPTION = "leave it out: it is an option of the vendor's own exporter"

OPTIONS = {"build_type": "c-project", "embed_weights": "c-project"}
"""Option of an export -> the kind that has it."""

EXPORT = BlockForm(
    "export",
    AnyWord("name"),
    "Something to write for this target.",
    keys=table(
        Key(
            "kind",
            Words(
                "export kind",
                {"c-project": "C99 sources, weights and a Makefile", "onnx-qdq": "ONNX with quantize/dequantize pairs"},
                aliases={"c": "c-project", "onnx": "onnx-qdq", "qdq": "onnx-qdq"},
                unavailable=dict.fromkeys(("acuity", "ovxlib", "rknn", "magik", "tflite"), _C_PROJECT),
            ),
            "What is written.",
            REQUIRED,
        ),
        Key("out", FilePath(), "Where; a folder or a file. Default: out/."),
        Key(
            "build_type",
            Words("build type", {"release": "", "debug": ""}),
            "c-project: what a plain `make` builds. Default: release.",
        ),
        Key("embed_weights", Flag(), "c-project: constants as C arrays instead of a file beside the program."),
        Key("dtype", _LISTED_TYPES, "Element type of the exported program.", unavailable=_NO_OPTION),
        Key("pack", AnyWord("way to pack"), "How the network binary is packed.", unavailable=_NO_OPTION),
        Key("ide", AnyWord("IDE"), "Project files for an IDE.", unavailable=_NO_OPTION),
        Key("build_platform", AnyWord("platform"), "Build files for a platform.", unavailable=_NO_OPTION),
        Key("save_fused_graph", Flag(), "Keep the fused graph.", unavailable=_NO_OPTION),
        Key("remove_permute", Flag(), "Leave out layout permutes.", unavailable=_NO_OPTION),
        Key("save_quantized_model", Flag(), "Keep the quantized model.", unavailable=_NO_OPTION),
        Key("batch", Integer(1), "Batch of the exported program.", unavailable="leave it out: the batch is in `shape`"),
        Key("postprocess", FilePath(), "Postprocessing description.", unavailable=_NO_OPTION),
    ),
    blocks={
        "vendor": BlockForm(
            "vendor",
            None,
            "Arguments passed to a vendor tool as they stand.",
            keys={},
            unavailable="leave it out; no vendor tool is run",
        )
    },
    aliases={"type": "kind", "format": "kind", "path": "out", "output": "out", "output_path": "out", "file": "out"},
    example='export source {\n  kind = c-project\n  out = "out/net"\n}',
)

TARGET = BlockForm(
    "target",
    AnyWord("name"),
    "A chip, the variant that is made for it, and what to export.",
    keys=table(
        Key("vendor", AnyWord("vendor"), "Maker of the chip."),
        Key("soc", AnyWord("chip"), "The chip."),
        Key("id", AnyWord("target"), "Name in the list of known targets."),
        Key("optimize", AnyWord("configuration"), "The vendor tool's name of the NPU configuration."),
        Key("pid", Integer(0, 0xFFFF), "Product id of the NPU, such as 0x88."),
        Key("types", ListOf(_LISTED_TYPES, single=True), "Types that the chip may use; narrows what is known of it."),
        Key("hybrid_types", ListOf(_LISTED_TYPES, single=True), "Types that single layers may have besides."),
        Key("quantize", Name(("quantize",)), "The variant. Default: the only one."),
    ),
    blocks={"export": EXPORT},
    aliases={
        "chip": "soc",
        "SOC": "soc",
        "target_platform": "soc",
        "PID": "pid",
        "variant": "quantize",
        "name": "id",
        "optimise": "optimize",
    },
    example="target vim3 {\n  soc = A311D\n  quantize = u8\n  export source {\n    kind = c-project\n  }\n}",
)
