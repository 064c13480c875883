"""Programs that tests of the language share, and ways to write the same program differently."""

from __future__ import annotations

import random
import re
import textwrap
from functools import cache
from pathlib import Path

from npudsl.language.lalr import Node, Tree, parse_tokens
from npudsl.language.lexer import Token, lex
from npudsl.language.tables import tables

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "grammar" / "LANGUAGE.md"
GOLDEN = Path(__file__).parent / "language" / "golden"

SCAFFOLD = {
    "model": 'model net {\n  format = onnx\n  file = "net.onnx"\n}\n',
    "dataset calib": 'dataset calib {\n  list = "calib.txt"\n}\n',
    "quantize u8": "quantize u8 {\n  calibrate = calib\n}\n",
}
"""Blocks that stand around a part where it does not have them itself."""

EVERYTHING = """npu 1

let side = 28
let net = "Mobile\\u{4E}et"
let third = 1/3

preset input centred {
  mean = 128
  std = [127.5, 1/3, 1e-3]
}

preset quantize heads {
  op Softmax type=f32 because "runs on the \\"CPU\\""
  op "com.vendor::Odd Op" skip
  layers "**/NonMax*" skip optional
}

preset target exports {
  export model {
    kind = onnx-qdq
  }
}

# The network.
model lenet-5 {
  format = onnx
  file = "models/${net}.onnx"  # relative
}

input "image data" from centred {
  shape = [1, 3, side, side]
  layout = NCHW
  color = bgr
  resize = letterbox(
    side + 4,
    2*(side - 12),
    # grey
    fill=[1, 2, 3],
    filter=nearest,
  )
  crop = center(28x28)
  reorder = [2, 1, 0]
}

input "state" {
  shape = [16]
  scale = third
  resize = none
}

output "logits" {
  dtype = f32
  postprocess = topk(3)
}
output "empty" {}

dataset calib {
  dir = "data"
  feed "image data" files="*.npy" dtype=float32 shape=3x28x28
  feed "state" npz="state.npz" key="h$$0"
  samples = 10 + 90
  shuffle = seed(7)
}

dataset by-list {
  list = "data/list.txt"
  labels = true
  label_offset = -1
  skip = 3
}

dataset idx {
  idx = "data/train-images-idx3-ubyte"
  labels = "data/train-labels-idx1-ubyte"
  batch = 4
}

dataset globbed {
  files = "pictures/**/*.png"
}

dataset zipped {
  npz = "data.npz"
  key = "x"
}

quantize base from heads {
  calibrate = calib
  algorithm = percentile(99.99%)
  weights.algorithm = mse
  layer "conv1" type=i16
}

quantize finer from base {
  scheme = perchannel_symmetric_affine
  algorithm = kl(bins=4096)
  hybrid = auto(by=agreement, budget=1.5MiB)
  report_entropy = true
  weight_correction = calib
  activations.algorithm = moving_average(weight=0.05)
  profile = vip16
  layer "conv1" weights.scheme=asymmetric_affine because "tab\\there, ${net}"
  layers re"block_1[45]\\.x|\\"q\\"" type=i16 matches=2
  tensors "**/sig*" min=0 max=1
  tensor "logits" min=-12.5 max=1e3 algorithm=max_abs
}

simulate pc {
  of = [float, base]
  data = calib
  samples = 10
  dump = ["conv1", "a b", logits-0]
}

golden board {
  input "image data" file="golden/in.bin"
  output "logits" file="golden/out.bin" dtype=f16
}

compare accept {
  reference = float
  candidate = finer
  data = by-list
  samples = 50
  metrics = cosine
  require cosine >= 0.999 on="conv1" because "first"
  require top1_drop <= 0.5%
  require top1 > 0
  require sqnr >= -3 on=all
}

target board from exports {
  vendor = amlogic
  soc = A311D
  pid = 0x88
  types = [u8, i8, i16]
  hybrid_types = f32
  quantize = finer
  export source {
    kind = c-project
    out = "out/${net}"
    build_type = debug
    embed_weights = true
  }
}

target other {
  id = amlogic-a311d
  quantize = base
}
""".replace("logits-0]", '"logits-0"]')


def documented() -> list[str]:
    """The examples of the language page, each as a program of its own."""
    found = re.findall(
        r"^```npu(-part)?(?: (\w+))?\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [wrapped(text, kind) if part else text for part, kind, text in found]


def wrapped(part: str, kind: str) -> str:
    """A part of a program as a program: top-level statements, or the lines of a block of ``kind``."""
    if kind:
        part = f"{kind} part from u8 {{\n{textwrap.indent(part, '  ')}}}\n"
        return "npu 1\n" + "\n".join(SCAFFOLD.values()) + "\n" + part
    around = [text for start, text in SCAFFOLD.items() if not re.search(rf"^{start}\b", part, re.MULTILINE)]
    return "npu 1\n" + "\n".join(around) + "\n" + part


@cache
def program_files() -> tuple[Path, ...]:
    """The maintained pipelines and the lessons."""
    return tuple(sorted([*REPOSITORY.glob("pipelines/*.npu"), *REPOSITORY.glob("examples/*/*.npu")]))


@cache
def right_texts() -> tuple[str, ...]:
    """Texts without syntax errors."""
    fragments = sorted(REPOSITORY.glob("pipelines/fragments/*.npu"))
    files = [file.read_text(encoding="utf-8") for file in (*program_files(), *fragments)]
    return (EVERYTHING, *files, *documented())


def shape(node: Node) -> object:
    """A tree without places."""
    if isinstance(node, Tree):
        return (node.data, *map(shape, node.children))
    return None if node is None else (node.type, node.text)


def syntax_of(text: str) -> Tree | int:
    """The parser's tree of a text, or the index of the token that does not fit."""
    text = text if text.endswith("\n") else text + "\n"
    return parse_tokens([token for token in lex(text) if token.type not in tables().ignored])


def comments_of(text: str) -> list[str]:
    """The comments of a text, without blanks at their ends."""
    return [token.text.rstrip() for token in lex(text) if token.type == "COMMENT"]


def rewritten(text: str, seed: int) -> str:
    """The same program with other blanks, line ends, line breaks in lists, and more comments."""
    chance = random.Random(seed)
    line_end = chance.choice(["\n", "\n", "\r\n"])
    tokens = [token for token in lex(text) if token.type != "WS_INLINE"]
    pieces: list[str] = []
    brackets: list[bool] = []
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.type in ("LPAR", "LSQB"):
            brackets.append(token.type == "LSQB" or tokens[index - 1].type == "NAME")
        elif token.type in ("RPAR", "RSQB"):
            brackets.pop()
        breakable = bool(brackets) and brackets[-1]
        if token.type == "_NL":
            pieces.append(_line_ends(chance, line_end, inside=bool(brackets)))
        elif token.type == "COMMENT":
            pieces.append(token.text.rstrip() + chance.choice(["", "", "  ", "\t"]))
        else:
            pieces.append(_spelled(token, chance))
            breaks = breakable and (token.type in ("COMMA", "LPAR", "LSQB"))
            last = (
                breakable
                and following is not None
                and following.type in ("RPAR", "RSQB")
                and token.type
                not in (
                    "COMMA",
                    "LPAR",
                    "LSQB",
                )
            )
            if (breaks or last) and following is not None and following.type != "COMMENT" and chance.random() < 0.15:
                pieces.append(chance.choice(["", " # broken"]) + line_end + chance.choice(["", "   "]))
            elif following is not None and following.type not in ("_NL",):
                pieces.append(_blank(token, following, chance))
    return "".join(pieces)


def _spelled(token: Token, chance: random.Random) -> str:
    if token.type == "HEX" and chance.random() < 0.5:
        return token.text.replace("0x", "0X")
    if token.type == "NUMBER" and chance.random() < 0.5:
        return token.text.replace("e", "E")
    return token.text


def _blank(token: Token, following: Token, chance: random.Random) -> str:
    """A separator between two tokens of a line; none only where the two are read the same without it."""
    choices = [" ", " ", "   ", "\t", " \t "]
    glued = [(piece.type, piece.text) for piece in lex(token.text + following.text)]
    subtraction = token.type == "NAME" and following.type == "MINUS"  # `side -12` is no name, `side-12` is one
    if glued == [(token.type, token.text), (following.type, following.text)] and not subtraction:
        choices += ["", ""]
    return chance.choice(choices)


def _line_ends(chance: random.Random, line_end: str, *, inside: bool) -> str:
    """One or more line ends, with blanks, blank lines and comment lines."""
    text = chance.choice(["", "", "  ", "\t"]) + chance.choice(["", "", "", "", "  # more"]) + line_end
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        text += chance.choice(["", "  ", "# between", "\t# tab\tinside  "]) + line_end
    return text + chance.choice(["", "  ", "\t", "      "])
