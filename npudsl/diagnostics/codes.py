"""The table of diagnostic codes: what each one means and what to do about it.

Numbers are grouped: 00 the command line, 01 characters and shape, 02 words and values, 03 override rules, 04 the model,
05 samples, 06 the target, 07 results, 08 committed files, 09 the machine. A code is never reused for something else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """A page of the manual: title, explanation, and where it helps what to write instead of what."""

    code: str
    title: str
    text: str
    wrong: str = ""
    right: str = ""

    def page(self) -> str:
        """The page as plain text."""
        parts = [f"{self.code}: {self.title}", self.text]
        if self.wrong:
            parts.append("Instead of\n" + _indented(self.wrong))
        if self.right:
            parts.append(("write\n" if self.wrong else "For example\n") + _indented(self.right))
        return "\n\n".join(parts)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


_ALL = (
    Code(
        "E0004",
        "No program, or no place for it",
        "A command takes the .npu file it is given, or the only one in this folder that has a `model` block.",
    ),
    Code("E0005", "An option of the command line cannot be read", "The message shows the form that the option takes."),
    Code(
        "E0101",
        "A character that is not part of the language",
        "Lines need no `;`, keys and values are joined by `=`, strings stand in double quotes, comments "
        "begin with `#`.",
        "color: 'rgb';",
        "color = rgb",
    ),
    Code(
        "E0102",
        "A malformed number",
        "Numbers look like 12, 0.5, 1e-3 or 0x88, and may have one of the units % KiB MiB GiB ms s min.",
        "scale = .5",
        "scale = 0.5",
    ),
    Code(
        "E0103",
        "A bracket without its partner",
        "The message points at the bracket that is open and, where it can, at the line before which it should close.",
        "algorithm = kl(bins=2048",
        "algorithm = kl(bins=2048)",
    ),
    Code(
        "E0104",
        "A string that is not closed",
        'A string ends with " on the line where it begins; a quote inside it is written \\".',
    ),
    Code(
        "E0105",
        "A word is missing or too much",
        "A setting is `key = value` with one value. A rule is a keyword, what it selects, and parts "
        "separated by spaces.",
        'layer "conv1" type=i16, skip',
        'layer "conv1" type=i16',
    ),
    Code(
        "E0106",
        "A block that does not have its own lines",
        "`{` ends the first line of a block, every setting has a line of its own, and so has `}`.",
        "model net { format = onnx }",
        'model net {\n  format = onnx\n  file = "net.onnx"\n}',
    ),
    Code(
        "E0107",
        "The language version",
        "The first statement of every file is `npu 1`. A newer language needs a newer npudsl.",
    ),
    Code(
        "E0201",
        "An unknown block",
        "Blocks are model, input, output, dataset, quantize, simulate, golden, compare, target.",
    ),
    Code(
        "E0202",
        "An unknown key, rule or part of a rule",
        "The message names the nearest key; the names that other tools use are known and translated.",
        "qtype = u8",
        "type = u8",
    ),
    Code(
        "E0203",
        "A rule written as a setting, or the reverse",
        "Settings have `=` behind their key. Rules have none: what they select follows their keyword.",
        'layer = "conv1"',
        'layer "conv1" type=i16',
    ),
    Code("E0204", "Something is given twice", "Both places are shown. Keep one of them."),
    Code("E0205", "Something is missing", "The block works only with the key, rule or block that the message names."),
    Code(
        "E0206", "Two things that exclude each other", "They say the same, or contradict each other. Keep one of them."
    ),
    Code(
        "E0208",
        "Not available yet",
        "The language knows the word, but this version of npudsl cannot act on it. It is refused so that it is never "
        "silently without effect; the help says what to write instead.",
    ),
    Code(
        "E0210",
        "A value of the wrong type",
        "Nothing is converted: a word is not a string, a number is not a percentage, a list is not a single value.",
        'format = "onnx"',
        "format = onnx",
    ),
    Code("E0211", "A word that is not allowed here", "The help lists the words of this key."),
    Code(
        "E0212",
        "A number out of range or with the wrong unit",
        "A key that takes a unit refuses a plain number other than 0, and the reverse.",
        "algorithm = percentile(99.99)",
        "algorithm = percentile(99.99%)",
    ),
    Code(
        "E0213",
        "An unknown name",
        "Datasets, variants, presets, constants and roots are known by the name at their definition. A "
        "constant is used "
        "below its `let`.",
    ),
    Code(
        "E0214",
        "A file that is used cannot be used",
        "It is missing, lies outside of the project, uses itself in a circle, or brings a name that is there already. "
        '`use "file.npu" as name` gives its names a prefix.',
    ),
    Code(
        "E0215",
        "A block in a file that others use",
        "Such a file may hold only `let` and `preset`: taking it in must never build anything by itself.",
    ),
    Code(
        "E0216",
        "A path that leads out of the project",
        "Paths are relative to the file that contains them. A folder outside of the project is named as a root in "
        "npudsl.yaml, so that every machine can have its own place for it.",
        'file = "../../zoo/net.onnx"',
        'file = "@zoo/net.onnx"',
    ),
    Code(
        "E0301",
        "A rule that selects nothing",
        "A misspelt name would leave the layer as it was and nobody would notice, so no match is an error. "
        "Where no match "
        "is fine, for example in a preset, write `optional`.",
        'layer "Conv1" type=i16',
        'layer "conv1" type=i16',
    ),
    Code(
        "E0302",
        "A rule that selects another number of things",
        "`matches=N` pins how many layers or tensors a pattern finds; the model or the pattern has changed.",
    ),
    Code(
        "E0303",
        "A rule without effect",
        "Every value that it sets is set again by a stronger rule: an exact name beats a pattern, a pattern beats an "
        "operator, rules for tensors beat rules for layers, and a later line beats an earlier one of its kind.",
    ),
    Code(
        "E0304",
        "Two rules that contradict each other",
        "Both name the same thing exactly and set it differently. Keep one.",
    ),
    Code(
        "W0304",
        "Two patterns that overlap",
        "They set the same thing differently on some tensors. The later line wins; exact rules would say "
        "what is meant.",
    ),
    Code(
        "E0305",
        "A pattern that cannot be read",
        "In globs, `*` and `?` stay inside a segment between slashes, `**` crosses segments, `[a-z]` is one "
        "character of a "
        'set, `{a,b}` a choice. Regular expressions are written re"...".',
    ),
    Code(
        "W0305",
        "A pattern without a wildcard",
        "It selects one name. `layer` and `tensor` say so, and beat every pattern.",
        'layers "conv1" type=i16',
        'layer "conv1" type=i16',
    ),
    Code("E0306", "An empty range", "`min` is below `max`, and both are finite."),
    Code(
        "E0307",
        "A rule without a reason",
        "`npu check --require-reasons` wants every override rule to say why it is there.",
        'layer "conv1" type=i16',
        'layer "conv1" type=i16 because "cosine 0.96 in u8"',
    ),
    Code("E0401", "The model file", "It is missing, cannot be read, or is not what `format` says."),
    Code("E0402", "A tensor that is not in the model", "`input` and `output` name tensors of the model."),
    Code("E0403", "Shapes that do not fit", "The message shows the shape in the text and the shape in the model."),
    Code("E0404", "Values per channel", "`mean`, `scale` and `std` are one number, or one per channel."),
    Code(
        "E0405",
        "Height and width look swapped",
        "Sizes are height x width.",
        "resize = letterbox(640, 384)",
        "resize = letterbox(384, 640)",
    ),
    Code(
        "E0407",
        "An operator that is not supported",
        "The message names the layer and what can be done instead: cut the graph before it, keep it in "
        "float, or export "
        "the model differently.",
    ),
    Code("E0408", "A layer that cannot be computed in integers", 'Keep it in float: `layer "name" type=f32`.'),
    Code(
        "E0409",
        "The model computes something else than its file",
        "After the import the graph is run beside the untouched file; they must agree, and weights must be finite.",
    ),
    Code("E0410", "A range that was not observed", "Calibrate on a dataset, or fix the range with a `tensor` rule."),
    Code(
        "E0501", "Samples that are not there", "A list, folder or pattern is empty, or names files that do not exist."
    ),
    Code("E0502", "A sample that does not fit", "Its shape, element type or number of bytes is not that of the input."),
    Code(
        "E0503", "Inputs without samples", "Every input of the model needs a source: a column of the list, or a `feed`."
    ),
    Code("E0504", "A sample that is not finite", "Samples hold finite numbers."),
    Code("E0505", "A file changed while it was read", "Build again when nothing writes to it."),
    Code(
        "E0506",
        "A tensor that is not finite",
        "The float model gives NaN or infinity for a sample; quantization has no meaning then. Usually mean "
        "and scale of "
        "an input are wrong.",
    ),
    Code("E0507", "Labels that cannot be read", "One class index per sample: a list column, a file or an idx file."),
    Code("W0510", "Few samples", "Ranges from a handful of samples are luck; 50 to 200 are usual, kl wants 100."),
    Code(
        "E0601",
        "A scheme and a type that do not go together",
        "asymmetric_affine takes u8 and i8, dynamic_fixed_point i8 and i16, perchannel_symmetric_affine i8 "
        "for weights.",
    ),
    Code("E0602", "A type that the target does not have", "The target's types are listed by `npu targets`."),
    Code("E0603", "Per-channel weights on a target without them", "Write a scheme with one scale per tensor."),
    Code("W0602", "Neighbours of different types", "Converters are inserted between them; the message counts them."),
    Code("W0606", "Values of the target that disagree", "The text and what is known of the chip differ."),
    Code("E0604", "An unknown chip", "`soc`, `pid`, `optimize` or `id` name a chip of `npu targets`."),
    Code("E0605", "A chip that contradicts itself", "`soc`, `pid` and `optimize` belong to different chips."),
    Code(
        "E0606",
        "A profile that cannot be chosen",
        "Targets of one variant want different arithmetic: make two variants.",
    ),
    Code("E0610", "A layer that cannot be exported as C", "The message says why and what can be done."),
    Code(
        "E0611",
        "A layer whose integers do not fit",
        "Its sums or multipliers leave the range of the integer arithmetic.",
    ),
    Code("W0601", "Arguments passed to a vendor tool", "They are handed on as they are; nothing here checks them."),
    Code(
        "E0701",
        "A requirement is not met",
        "The message shows the value, the limit and the worst sample. Widen sensitive layers (`type=i16`), "
        "calibrate on "
        "more samples, or try another algorithm.",
    ),
    Code(
        "E0702",
        "A variant collapsed",
        "Its outputs have little to do with those of the float model, and no `compare` block judges it. Usually the "
        "preprocessing of the calibration data does not fit the model.",
    ),
    Code("E0801", "A committed file that does not fit", "Run `npu build`; in a locked build this is an error."),
    Code(
        "E0802", "A committed file that was damaged", "Restore it from version control, or delete it and build again."
    ),
    Code(
        "E0803",
        "A result that is not in the cache",
        "`--require-cached` runs nothing, so that a check can rely on what was built before. The message names the "
        "first result that is missing and why.",
    ),
    Code(
        "E0804",
        "A step that does not repeat itself",
        "It made two different things of the same inputs, so no cached result of it can be trusted. This is a bug of "
        "the step, or of a package that it uses.",
    ),
    Code("E0901", "A tool failed", "The message has its command line and the end of its output."),
    Code("E0902", "The settings file", "npudsl.yaml is a map of settings, for example `roots: {zoo: ../models}`."),
    Code("E0905", "The cache folder", "It cannot be created or written to."),
    Code(
        "E0906",
        "An output that cannot be written",
        "What was computed is kept; build again when the place is writable.",
    ),
    Code(
        "E0907",
        "A cache bundle that cannot be used",
        "A bundle is written by `npu cache export`. Every file in it is checked against its name, and one that fails, "
        "or lies anywhere else, spoils the bundle.",
    ),
    Code("E0999", "A bug in npudsl", "Please report it with the file that the message names."),
)

CODES: dict[str, Code] = {page.code: page for page in _ALL}
"""Every code by its name."""


def explain(code: str) -> str:
    """The manual page of a code, as plain text; raises ``KeyError`` for a code that does not exist."""
    return CODES[code.upper()].page()
