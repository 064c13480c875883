"""Committed texts of a small pipeline, written by hand into a repository: no model, no data, nothing built."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from npu_inside import npu_inside

from npudsl.api.review.stale import expected_settings
from npudsl.language.load import load_program

PROGRAM = """\
# A network with two layers.
npu 1

let net = "MobilenetV2"

model net {
  format = onnx
  file = "net.onnx"
}

input "input" {
  shape = 1x3x224x224
  mean = 127.5
  scale = 1/128
}

output "logits" {
}

dataset calib {
  list = "calib.txt"
}

quantize u8 {
  calibrate = calib
  algorithm = kl
}

quantize hybrid from u8 {
}

compare accept {
  reference = float
  candidate = hybrid
  data = calib
  require cosine >= 0.99
  require top1_agreement >= 98.5%
}

target a311d {
  soc = A311D
  quantize = hybrid
}
"""

RULE = '  layer "${net}/Conv_1/Conv2D" type=i16 because "entropy 0.81, cosine 0.962 at u8"\n'

LINES = (
    "act input u8 asym lo=-1 hi=0.992188 scale=0.0078125 zp=128 by=default",
    "wgt MobilenetV2/Conv_1/weights u8 asym lo=-0.716331 hi=0.682914 scale=0.00550884 zp=131 by=default",
    "act MobilenetV2/Conv_1/Relu6 u8 asym lo=0 hi=6 scale=0.0235294 zp=0 alg=kl by=default",
    "act logits u8 asym lo=-12 hi=18.5 scale=0.119608 zp=100 alg=kl by=default",
)

HYBRID_LINES = (
    "act input u8 asym lo=-1 hi=0.992188 scale=0.0078125 zp=128 by=default",
    "act input/to_i16 i16 dfp lo=-1 hi=0.9921875 fl=14 by=converter",
    "wgt MobilenetV2/Conv_1/weights i16 dfp lo=-0.71633101 hi=0.68291402 fl=15 by=layer",
    "act MobilenetV2/Conv_1/Relu6 i16 dfp lo=0 hi=6 fl=12 alg=kl by=layer",
    "act logits u8 asym lo=-12.0001 hi=18.5 scale=0.119608 zp=100 alg=kl by=default",
)

LOCK = """\
npu-lock 1 tool=0.1.0 language=1
file net.onnx sha256=1f3a09c2 bytes=14191216
dataset calib samples=500 sha256=77b0e41d
metric accept cosine logits {cosine}
metric accept top1_agreement logits {agreement}
"""


@dataclass(frozen=True)
class Repository:
    """A folder under git."""

    folder: Path

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org", "-c", "commit.gpgsign=false"]
        command = ["git", *identity, *arguments]
        done = subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout

    def commit(self, message: str = "a change") -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def npu(self, *arguments: str, code: int = 0, folder: str = ".") -> str:
        """Run ``npu``; what it prints. Nothing may be written to a cache."""
        cache = self.folder / "no-cache"
        outcome = npu_inside(self.folder / folder, cache, *arguments, code=code)
        assert not cache.exists()
        return outcome.text


@dataclass(frozen=True)
class Texts:
    """What is committed of one state of the pipeline ``net``."""

    program: str = PROGRAM
    u8: tuple[str, ...] = LINES
    hybrid: tuple[str, ...] = LINES
    cosine: str = "0.98713"
    agreement: str = "98.1%"
    fitting: bool = True
    """Whether the tables' headers have the digest of the program's settings."""

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "net.npu").write_text(self.program)
        for variant, lines in (("u8", self.u8), ("hybrid", self.hybrid)):
            settings = self._settings(variant, folder)
            header = f"npu-quant 1 variant={variant} model=1f3a09c2 calib=77b0e41d settings={settings}"
            (folder / f"net.{variant}.quant").write_text("".join(f"{line}\n" for line in (header, *lines)))
        (folder / "net.lock").write_text(LOCK.format(cosine=self.cosine, agreement=self.agreement))

    def write_program_only(self, folder: Path) -> None:
        (folder / "net.npu").write_text(self.program)

    def _settings(self, variant: str, folder: Path) -> str:
        if not self.fitting:
            return "5c02aa17"
        program = load_program(folder / "net.npu")
        digest = expected_settings(program, program.variants[variant])
        assert digest is not None
        return digest


def before() -> Texts:
    """Everything in u8."""
    return Texts()


def after() -> Texts:
    """One layer in i16, which two requirements needed."""
    program = PROGRAM.replace("quantize hybrid from u8 {\n", "quantize hybrid from u8 {\n" + RULE)
    return replace(before(), program=program, hybrid=HYBRID_LINES, cosine="0.99241", agreement="98.9%")


def repository(folder: Path) -> Repository:
    """A repository whose only commit holds ``before``."""
    made = Repository(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made.git("init", "-q", "-b", "main")
    before().write(folder)
    made.commit("all in u8")
    return made
