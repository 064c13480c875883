"""Blocks ``model``, ``input`` and ``output``: which network, and how a sample becomes its input tensors."""

from __future__ import annotations

from npudsl.language.schema.calls import Calls, Parameter, Signature
from npudsl.language.schema.forms import REQUIRED, BlockForm, Key, RuleForm, table
from npudsl.language.schema.types import (
    AnyWord,
    Either,
    FilePath,
    Integer,
    Integers,
    ListOf,
    Numbers,
    Shape,
    String,
    Words,
)
from npudsl.language.values import Number

_CONVERT = "convert the model to ONNX with its own framework's exporter and write `format = onnx`"

FORMATS = Words(
    "model format",
    {"onnx": "an ONNX file"},
    aliases={"ONNX": "onnx"},
    unavailable=dict.fromkeys(
        ("tensorflow", "tflite", "keras", "caffe", "darknet", "pytorch", "torchscript", "mxnet"), _CONVERT
    ),
)

MODEL = BlockForm(
    "model",
    AnyWord("name"),
    "The network: where its file is.",
    keys=table(
        Key("format", FORMATS, "Format of the file.", REQUIRED),
        Key("file", FilePath(), "The model file, relative to this file; external data files lie beside it.", REQUIRED),
        Key("weights", FilePath(), "A separate weights file (Caffe, Darknet).", unavailable=_CONVERT),
        Key("proto", AnyWord("name"), "Dialect of a Caffe prototxt.", unavailable=_CONVERT),
        Key("config", FilePath(), "Import settings of a framework.", unavailable=_CONVERT),
        Key("convert_engine", AnyWord("name"), "Converter of a Keras import.", unavailable=_CONVERT),
        Key(
            "predef",
            FilePath(),
            "Values of inputs that stay constant.",
            unavailable="fold the constant inputs into the ONNX file before the import",
        ),
        Key(
            "embedded_quantization",
            Words("policy", {"keep": "", "replace": ""}),
            "What to do with a model that is already quantized.",
            unavailable="give the float model (before its QuantizeLinear nodes) and leave this key out",
        ),
    ),
    rules={
        "subgraph": RuleForm(
            "subgraph",
            (),
            "One of several parts of the network.",
            keys=table(
                Key("inputs", ListOf(String()), "Tensors where the part begins."),
                Key("outputs", ListOf(String()), "Tensors where the part ends."),
            ),
            unavailable="one file describes one part: name its tensors with `input` and `output` blocks",
            example='subgraph inputs=["740"] outputs=["580"]',
        )
    },
    aliases={"path": "file", "model": "file", "type": "format", "framework": "format", "platform": "format"},
    example='model net {\n  format = onnx\n  file = "models/net.onnx"\n}',
)

_FILTERS = Words(
    "filter",
    {"bilinear": "", "bilinear_antialias": "", "nearest": "", "area": ""},
    aliases={"linear": "bilinear", "antialias": "bilinear_antialias", "box": "area"},
)

_FILL = Either({Number: Integer(0, 255), tuple: ListOf(Integer(0, 255))}, "a whole number 0 .. 255, or one per channel")
_HEIGHT = Parameter("height", Integer(1, 65536), required=True)
_WIDTH = Parameter("width", Integer(1, 65536), required=True)
_FILTER = Parameter("filter", _FILTERS, "bilinear", positional=False)

RESIZE = Calls(
    "resize",
    {
        "stretch": Signature("stretch", (_HEIGHT, _WIDTH, _FILTER), "To this size, proportions or not.", size=True),
        "letterbox": Signature(
            "letterbox",
            (_HEIGHT, _WIDTH, Parameter("fill", _FILL, 0, positional=False), _FILTER),
            "Into this size with kept proportions, centred on a filled background.",
            size=True,
        ),
    },
    aliases={"keep_ratio": "letterbox", "pad": "letterbox", "fit": "letterbox"},
    nothing="none",
)

CROP = Calls(
    "crop",
    {"center": Signature("center", (_HEIGHT, _WIDTH), "The middle of the picture.", size=True)},
    aliases={"centre": "center", "center_crop": "center"},
    nothing="none",
)

_NO_OTHER_TYPE = "feed the input as float32: integer samples are converted and then (x - mean) * scale applies"

INPUT = BlockForm(
    "input",
    String(),
    "One input of the network and how a sample becomes its tensor: decode, color, resize, crop, reorder, "
    "(x - mean) * scale. Naming an inner tensor cuts the graph there.",
    keys=table(
        Key("shape", Shape(), "Shape of the tensor in its own axis order, with the batch. Default: the model's."),
        Key(
            "dtype",
            Words(
                "input type",
                {"float32": "32-bit float"},
                aliases={"f32": "float32", "float": "float32", "fp32": "float32"},
                unavailable=dict.fromkeys(("uint8", "int8", "int16", "int32", "int64", "float16"), _NO_OTHER_TYPE),
            ),
            "Element type of the float model's input.",
            "float32",
        ),
        Key(
            "layout",
            Words(
                "layout",
                {"NCHW": "channels before height and width", "NHWC": "channels last"},
                aliases={"nchw": "NCHW", "nhwc": "NHWC", "chw": "NCHW", "hwc": "NHWC"},
            ),
            "Axis order of an image input. Default: NCHW for ONNX.",
        ),
        Key(
            "layout_from",
            Words("layout", {"NCHW": "", "NHWC": ""}),
            "Axis order of raw samples.",
            unavailable="store raw samples (npy, bin) in the axis order of the input",
        ),
        Key(
            "color",
            Words(
                "color order",
                {"rgb": "red first", "bgr": "blue first", "gray": "one channel"},
                aliases={"grey": "gray", "y": "gray", "l": "gray", "mono": "gray"},
            ),
            "Channel order that the network wants from image files.",
            "rgb",
        ),
        Key("mean", Numbers(), "Subtracted first: one number, or one per channel.", 0),
        Key(
            "scale",
            Numbers(nonzero=True),
            "Multiplied after the mean is subtracted: (x - mean) * scale.",
            1,
            excludes=("std",),
        ),
        Key("std", Numbers(nonzero=True), "Divisor instead of scale: (x - mean) / std.", excludes=("scale",)),
        Key("resize", RESIZE, "How an image gets its size: stretch(h, w), letterbox(h, w, fill=0) or none."),
        Key("crop", CROP, "What is cut out after the resize: center(h, w) or none."),
        Key("reorder", Integers(), "Order of the channels after color, for example [2, 1, 0]."),
        Key(
            "quantized.mean",
            Numbers(),
            "Mean of a quantized TensorFlow input.",
            unavailable="give the float model and write `mean` and `scale`",
        ),
        Key(
            "quantized.std",
            Numbers(),
            "Divisor of a quantized TensorFlow input.",
            unavailable="give the float model and write `mean` and `scale`",
        ),
    ),
    aliases={
        "MEAN": "mean",
        "mean_values": "mean",
        "mean_value": "mean",
        "means": "mean",
        "NORMAL": "std",
        "normal": "std",
        "std_values": "std",
        "std_value": "std",
        "stddev": "std",
        "COLOR": "color",
        "colour": "color",
        "channel_order": "color",
        "chanel": "layout",
        "data_format": "layout",
        "size": "shape",
        "input_size": "shape",
        "input_size_list": "shape",
        "reorder_channel": "reorder",
        "type": "dtype",
        "channel_mean_value": "`channel_mean_value` is written as `mean = [m1, m2, m3]` and `std = s`",
        "reverse_channel": "`reverse_channel = true` is written as `color = bgr`",
        "quant_img_RGB2BGR": "`quant_img_RGB2BGR` is written as `color = bgr`",
        "letterbox": "write `resize = letterbox(height, width)`",
    },
    example='input "data" {\n  shape = 1x3x224x224\n  mean = 128\n  scale = 1/128\n}',
)

TOPK = Calls(
    "postprocess",
    {"topk": Signature("topk", (Parameter("n", Integer(1, 1000), 5),), "The n largest entries, for reports.")},
    aliases={"print_topn": "topk", "top5": "topk", "top_k": "topk"},
    unavailable={"dump_result": "write `dump = outputs` in the `simulate` block"},
)

OUTPUT = BlockForm(
    "output",
    String(),
    "One output of the network. Naming an inner tensor cuts the graph there.",
    keys=table(
        Key(
            "dtype",
            Words(
                "output type",
                {"f32": "the real values"},
                aliases={"float32": "f32", "float": "f32"},
                unavailable=dict.fromkeys(
                    ("u8", "i8", "i16", "f16"), "outputs are given back as real values: leave `dtype` out, or write f32"
                ),
            ),
            "Element type in which results are given back.",
        ),
        Key("postprocess", TOPK, "How reports show the output: topk(5)."),
    ),
    aliases={"type": "dtype", "topk": "write `postprocess = topk(5)`"},
    example='output "prob" {\n  postprocess = topk(5)\n}',
)
