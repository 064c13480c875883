"""Block ``quantize``: one variant of the model, its settings and its override rules."""

from __future__ import annotations

from fractions import Fraction

from npudsl.language.frozen import frozen
from npudsl.language.schema.calls import Calls, Parameter, Signature
from npudsl.language.schema.forms import REQUIRED, BlockForm, Key, RuleForm, table
from npudsl.language.schema.types import (
    AnyWord,
    Flag,
    Integer,
    Name,
    Percentage,
    Real,
    Selection,
    Use,
    Words,
    as_float,
    wrong_type,
)
from npudsl.language.values import Located, Number, fraction_text, refuse

TYPES = Words(
    "type",
    {"u8": "unsigned 8 bits", "i8": "signed 8 bits", "i16": "signed 16 bits", "f32": "stays float"},
    aliases={
        "uint8": "u8",
        "int8": "i8",
        "int16": "i16",
        "float32": "f32",
        "float": "f32",
        "fp32": "f32",
        "s8": "i8",
        "s16": "i16",
    },
    unavailable={
        "f16": "keep the layer in float: type=f32",
        "bf16": "keep the layer in float: type=f32",
        "i32": "write i16, the widest integer type, or f32",
        "i4": "write i8, the narrowest signed type",
        "u16": "write i16",
    },
)

SCHEMES = Words(
    "scheme",
    {
        "asymmetric_affine": "scale and zero point per tensor: u8, i8",
        "dynamic_fixed_point": "a power of two per tensor: i8, i16",
        "perchannel_symmetric_affine": "weights i8 with a scale per output channel; activations asymmetric i8",
    },
    aliases={
        "asymmetric": "asymmetric_affine",
        "asymmetric_quantized": "asymmetric_affine",
        "asym": "asymmetric_affine",
        "dfp": "dynamic_fixed_point",
        "perchannel": "perchannel_symmetric_affine",
        "per_channel": "perchannel_symmetric_affine",
    },
    unavailable={
        "symmetric": "write perchannel_symmetric_affine, or dynamic_fixed_point for one power of two per tensor",
        "symmetric_affine": "write perchannel_symmetric_affine, or dynamic_fixed_point for one power of two per tensor",
        "qbfloat16": "keep layers in float with `type=f32`",
    },
)

_KL = Signature("kl", (Parameter("bins", Integer(16, 65536), 2048),), "Least Kullback-Leibler divergence.")
_ALIASES = {
    "normal": "minmax",
    "min_max": "minmax",
    "kl_divergence": "kl",
    "entropy": "kl",
    "mmse": "mse",
    "maxabs": "max_abs",
    "absmax": "max_abs",
    "ema": "moving_average",
}
_MISSING = {
    "admm": "write mse, which minimises the same error",
    "auto": "choose one: minmax, kl or percentile(99.99%); compare two variants to decide",
    "gdq": "write mse",
}
_WEIGHT_SIGNATURES = {
    "minmax": Signature("minmax", (), "Smallest and largest value."),
    "kl": _KL,
    "percentile": Signature(
        "percentile", (Parameter("keep", Percentage(50, 100, "99.99%"), required=True),), "All but the rarest values."
    ),
    "mse": Signature("mse", (), "Least mean squared rounding error."),
    "max_abs": Signature("max_abs", (), "Symmetric range to the largest magnitude."),
}

ALGORITHMS = Calls(
    "calibration algorithm",
    {
        **_WEIGHT_SIGNATURES,
        "moving_average": Signature(
            "moving_average", (Parameter("weight", Real(maximum=1, above=0), 0.01),), "Mean of the extremes per batch."
        ),
    },
    aliases=_ALIASES,
    unavailable=_MISSING,
)

WEIGHT_ALGORITHMS = Calls(
    "algorithm for weights",
    _WEIGHT_SIGNATURES,
    aliases=_ALIASES,
    unavailable=_MISSING,
)

_SCHEME_INSTEAD = "write `weights.scheme = perchannel_symmetric_affine` or `weights.scheme = asymmetric_affine`"
_BITS_INSTEAD = "write `{prefix}type = u8`, `i8` or `i16`"


def _tensor_settings(prefix: str) -> tuple[Key, ...]:
    what = {"": "tensors", "weights.": "weights", "activations.": "activations"}[prefix]
    algorithm = WEIGHT_ALGORITHMS if prefix == "weights." else ALGORITHMS
    covers = "activations" if not prefix else what
    return (
        Key(f"{prefix}scheme", SCHEMES, f"How {what} are quantized."),
        Key(f"{prefix}type", TYPES, f"Element type of {what}."),
        Key(f"{prefix}algorithm", algorithm, f"How the range of {covers} is chosen."),
        Key(f"{prefix}bits", Integer(1, 32), f"Bits of {what}.", unavailable=_BITS_INSTEAD.format(prefix=prefix)),
        Key(
            f"{prefix}granularity",
            Words("granularity", {"tensor": "", "channel": ""}),
            f"One scale for all of {what}, or one per channel.",
            unavailable=_SCHEME_INSTEAD,
        ),
    )


def _range_keys(prefix: str) -> tuple[Key, ...]:
    return (
        Key(f"{prefix}min", Real(), "Lower end of the range; the calibrated value fills the other end."),
        Key(f"{prefix}max", Real(), "Upper end of the range; the calibrated value fills the other end."),
    )


PREFIXES = ("", "weights.", "activations.")

RULE_KEYS = {
    **table(*(key for prefix in PREFIXES for key in (*_tensor_settings(prefix), *_range_keys(prefix)))),
    "matches": Key("matches", Integer(1), "How many layers or tensors the rule must match."),
}

_FLAGS = {"skip": "The layer stays float.", "optional": "No match is no error."}


def _override(name: str, selection: Selection, help_text: str, example: str) -> RuleForm:
    return RuleForm(name, (selection,), help_text, RULE_KEYS, _FLAGS, because=True, example=example)


RULES = {
    "op": _override("op", Selection(word=True), "All layers of one operator.", "op Softmax type=f32"),
    "layers": _override(
        "layers", Selection(patterns=True), 'Layers by glob or re"...".', 'layers "**/project/*" type=i16'
    ),
    "layer": _override("layer", Selection(), "One layer by its exact name.", 'layer "conv1" type=i16'),
    "tensors": _override(
        "tensors", Selection(patterns=True), 'Tensors by glob or re"...".', 'tensors "**/Sigmoid*" min=0 max=1'
    ),
    "tensor": _override("tensor", Selection(), "One tensor by its exact name.", 'tensor "logits" min=-12 max=18.5'),
}

PROFILES = Words(
    "profile",
    {
        "exact": "multiplier with 31 bits, ties to even",
        "tflite": "as the TensorFlow Lite reference kernels",
        "vip16": "VeriSilicon VIP with a 16-bit multiplier",
        "vip24": "VeriSilicon VIP with a 24-bit multiplier",
        "rk15": "Rockchip with a 15-bit multiplier",
        "nna": "Ingenic NNA",
    },
)

_BYTES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@frozen
class Budget:
    """How much may be widened: a number of layers, a share of the multiplications, or bytes of weights.

    The program holds ``("layers", 6.0)``, ``("share", 0.1)`` or ``("bytes", 2097152.0)``.
    """

    example: str = "budget=6"

    @property
    def expected(self) -> str:
        return "a number of layers, a percentage or a size"

    def convert(self, located: Located, use: Use) -> object:
        value = located.value
        if not isinstance(value, Number):
            raise wrong_type(located, use, self.expected, "for example 6 layers, 10% of the work, 2MiB of weights")
        if value.value < 0:
            raise refuse("E0212", f"`{use.key}` is at least 0", located.span)
        if value.unit is None:
            if value.value.denominator != 1:
                raise refuse("E0212", f"`{use.key}` counts whole layers", located.span, "or write `10%` of the work")
            return ("layers", float(value.value))
        if value.unit == "%":
            return ("share", as_float(value.value / 100, located, use))
        if value.unit in _BYTES:
            return ("bytes", as_float(value.value * _BYTES[value.unit], located, use))
        raise refuse("E0212", f"`{use.key}` takes no `{value.unit}`", located.span, "for example 6, 10% or 2MiB")

    def literal(self, value: tuple[str, float]) -> str:
        """The value as it would be written."""
        what, amount = value
        exact = Fraction(repr(amount))
        if what == "share":
            return f"{fraction_text(exact * 100)}%"
        return f"{fraction_text(exact / _BYTES['KiB'])}KiB" if what == "bytes" else fraction_text(exact)

    def json_schema(self) -> dict[str, object]:
        """JSON Schema of the value: what is counted, and how much."""
        kinds = {"enum": ["layers", "share", "bytes"]}
        return {
            "type": "array",
            "prefixItems": [kinds, {"type": "number", "minimum": 0}],
            "items": False,
            "minItems": 2,
        }


WIDER_TYPES = Words(
    "wider type", {"i16": "signed 16 bits", "f32": "stays float"}, aliases={"int16": "i16", "float": "f32"}
)

HYBRID = Calls(
    "way to choose layers",
    {
        "auto": Signature(
            "auto",
            (
                Parameter(
                    "by",
                    Words(
                        "measure",
                        {
                            "cosine": "of the outputs with one layer in integers",
                            "agreement": "of the best class with one layer in integers",
                            "entropy": "of the layer's codes",
                        },
                    ),
                    "cosine",
                ),
                Parameter("type", WIDER_TYPES, "i16"),
                Parameter("budget", Budget(), ("share", 0.1)),
            ),
            "Each layer alone is judged at the network's output; the worst are widened.",
        )
    },
)

QUANTIZE = BlockForm(
    "quantize",
    AnyWord("name"),
    "One quantized variant of the model: settings for all tensors, and rules that override them.",
    keys=table(
        Key("calibrate", Name(("dataset",)), "The dataset that ranges are observed on.", REQUIRED),
        *(key for prefix in PREFIXES for key in _tensor_settings(prefix)),
        Key("profile", PROFILES, "Rounding and multipliers of the integer arithmetic. Default: the target's."),
        Key("hybrid", HYBRID, "Let the tool choose layers for a wider type, worst first, until the budget is used up."),
        Key(
            "report_entropy",
            Flag(),
            "Write how badly every tensor uses its codes to NAME.VARIANT.entropy.txt, and rule lines beside it.",
        ),
        Key(
            "mle",
            Flag(),
            "Choose range and rounding of every layer's weights, and its bias, by the error of the layer's output.",
        ),
        Key(
            "weight_correction",
            Name(("dataset",)),
            "Correct every layer's bias on samples of this dataset: its mean output becomes that of the float model.",
        ),
        Key(
            "fake_quant",
            Words(
                "half",
                {"weights": "weights rounded, activations float", "activations": "activations rounded, weights float"},
            ),
            "Round one half of the variant only, and compute in float, to see which half costs the accuracy.",
        ),
    ),
    rules=RULES,
    aliases={
        "qtype": "type",
        "dtype": "type",
        "quantized_dtype": "`quantized_dtype = asymmetric_affine-u8` is written as `scheme = asymmetric_affine` and "
        "`type = u8`",
        "quantizer": "scheme",
        "quantized_algorithm": "algorithm",
        "quantized_method": "scheme",
        "method": "algorithm",
        "calibration": "calibrate",
        "dataset": "calibrate",
        "data": "calibrate",
        "QUANT_FEATURE_BIT": "activations.type",
        "QUANT_WEIGHT_BIT": "weights.type",
        "QUANT_FEATURE_METHOD": "activations.algorithm",
        "QUANT_WEIGHT_METHOD": "weights.algorithm",
        "feature_quantize_method": "activations.algorithm",
        "weight_quantize_method": "weights.algorithm",
        "WEIGHT_CORRECT_PATH": "weight_correction",
        "MLE": "mle",
        "rounding": "profile",
        "customized_quantize_layers": 'write one rule per layer: `layer "name" type=i16`',
        "custom_quantize_layers": 'write one rule per layer: `layer "name" type=i16`',
        "QUANT_NODE_SKIP": 'write one rule per layer: `layer "name" skip`',
        "QUANT_OP_SKIP": "write one rule per operator: `op Softmax skip`",
        "LOAD_OP_QUANT_BIT": 'write one rule per layer: `layer "name" type=i16`',
        "LOAD_OP_QUANT_MIN_MAX": 'write one rule per tensor: `tensor "name" min=0 max=6`',
    },
    example="quantize u8 {\n  calibrate = calib\n  scheme = asymmetric_affine\n  type = u8\n}",
)

COMBINATIONS = {
    "asymmetric_affine": ("u8", "i8"),
    "dynamic_fixed_point": ("i8", "i16"),
    "perchannel_symmetric_affine": ("i8",),
}
"""Scheme -> integer types it has; the first one is its default."""

SCHEME_OF_TYPE = {"u8": "asymmetric_affine", "i8": "asymmetric_affine", "i16": "dynamic_fixed_point"}
"""The scheme that a type brings along where the scheme in force does not have it."""
