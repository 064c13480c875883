"""Blocks ``simulate`` and ``compare``: what is run, and what is demanded of it."""

from __future__ import annotations

from npudsl.language.schema.forms import REQUIRED, BlockForm, Key, RuleForm, table
from npudsl.language.schema.types import AnyWord, Either, Integer, ListOf, Name, String, Words
from npudsl.language.values import Text, Word

METRICS = Words(
    "metric",
    {
        "cosine": "cosine similarity, average over samples",
        "cosine_min": "smallest cosine of any sample",
        "cosine_max": "largest cosine of any sample",
        "euclidean": "Euclidean distance",
        "std_dev": "standard deviation of the difference",
        "max_abs_error": "largest absolute difference",
        "max_rel_error": "largest difference relative to the reference's range",
        "sqnr": "signal to quantization noise, dB",
        "top1": "share of samples whose best class is the label",
        "top5": "share of samples with the label among the best five",
        "top1_drop": "top1 of the reference minus that of the candidate",
        "top1_agreement": "share of samples whose best class is the same as the reference's",
    },
    aliases={
        "cos": "cosine",
        "cosine_similarity": "cosine",
        "max_error": "max_abs_error",
        "max_diff": "max_abs_error",
        "snr": "sqnr",
        "accuracy": "top1",
        "agreement": "top1_agreement",
    },
    unavailable={
        "mse": "write `sqnr` or `euclidean`",
        "mean_abs_error": "write `max_abs_error` or `euclidean`",
        "top5_drop": "write `top1_drop` or `top5`",
        "top5_agreement": "write `top1_agreement` or `top5`",
    },
)

PERCENT_METRICS = frozenset({"top1", "top5", "top1_drop", "top1_agreement"})
"""Shares: their limits are written with ``%``."""

LABEL_METRICS = frozenset({"top1", "top5", "top1_drop"})
"""Need labels in the dataset."""

_VARIANT = Name(("quantize",))

SIMULATE = BlockForm(
    "simulate",
    AnyWord("name"),
    "Which variants run on which data, and what is written to disk.",
    keys=table(
        Key("of", ListOf(_VARIANT, single=True), "Variants; `float` is the unquantized model. Default: the only one."),
        Key("data", Name(("dataset",)), "The dataset.", REQUIRED),
        Key("samples", Integer(1), "Only so many samples. Default: all of the dataset."),
        Key(
            "dump",
            ListOf(
                Either(
                    {
                        Word: Words("part", {"outputs": "", "inputs": "", "all": ""}),
                        Text: String(),
                    },
                    'inputs, outputs, all or a list of names ["conv1"]',
                ),
                single=True,
            ),
            "Which tensors are written: outputs, inputs, all, or a list of names.",
            "outputs",
        ),
        Key(
            "format",
            Words("file format", {"npy": "", "txt": "", "bin": ""}),
            "File format of dumps.",
            unavailable="leave it out: dumps are npy files",
        ),
    ),
    aliases={"variant": "of", "variants": "of", "quantize": "of", "dataset": "data", "NN_LAYER_DUMP": "dump"},
    example="simulate pc {\n  of = u8\n  data = calib\n}",
)

_ON = Either(
    {Word: Words("scope", {"outputs": "", "all": ""}), Text: String()}, "outputs, all or a name in double quotes"
)

COMPARE = BlockForm(
    "compare",
    AnyWord("name"),
    "Two variants side by side, and the requirements that pass or fail the build.",
    keys=table(
        Key("reference", Name(("quantize", "golden")), "What is right: a variant, usually `float`.", REQUIRED),
        Key("candidate", Name(("quantize",)), "What is judged: a variant.", REQUIRED),
        Key("data", Name(("dataset",)), "The dataset both run on."),
        Key("samples", Integer(1), "Only so many samples. Default: all of the dataset."),
        Key("metrics", ListOf(METRICS, single=True), "Metrics to report beside the required ones."),
    ),
    rules={
        "require": RuleForm(
            "require",
            (),
            "A condition the build must meet.",
            keys=table(Key("on", _ON, "Where: outputs, all, or a layer or tensor name.", "outputs")),
            condition=True,
            because=True,
            example="require cosine >= 0.99",
        )
    },
    aliases={"dataset": "data", "metric": "metrics", "of": "candidate", "golden": "reference", "baseline": "reference"},
    example="compare accept {\n  reference = float\n  candidate = u8\n  data = calib\n  require cosine >= 0.99\n}",
)
