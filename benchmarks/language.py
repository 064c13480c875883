"""Time of the light commands on a 200-line program, in units of ``python -c pass``, measured in turns on this machine.

    python benchmarks/language.py [--runs 15] [--rules 10000]

Prints per command the medians of wall and CPU time and the ratios, then the CPU time to check a program with many
rules. The commands run alternately with the floor, so a busy machine slows both. Modules are compiled before, as they
are in an installed package; the compiled files lie in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEAD = """# A program of the size that people write, with many overrides.
npu 1

let side = 224
let net = "MobilenetV2"

model net {
  format = onnx
  file = "net.onnx"
}

input "data" {
  shape = [1, 3, side, side]
  color = bgr
  mean = [123.675, 116.28, 103.53]
  std = [58.395, 57.12, 57.375]
  resize = letterbox(side, side, fill=[104, 117, 124])
}

output "${net}/Predictions" {
  postprocess = topk(5)
}

dataset calib {
  list = "data/calib.txt"
  samples = 100
  shuffle = seed(7)
}

dataset holdout {
  list = "data/holdout.txt"
  labels = true
  skip = 100
}

quantize u8 {
  calibrate = calib
  algorithm = kl(bins=2048)
}

quantize hybrid from u8 {
"""

TAIL = """}

compare accept {
  reference = float
  candidate = hybrid
  data = holdout
  metrics = [cosine, top1]
  require top1_agreement >= 98.5%
}

target board {
  soc = A311D
  quantize = hybrid
  export source {
    kind = c-project
    out = "out/net"
  }
}
"""

Times = tuple[float, float]
"""Wall and CPU seconds of one process."""


def program(rules: int) -> str:
    """A program with so many override rules."""
    lines = []
    for index in range(rules):
        if index % 8 == 0:
            lines.append(f"  # block {index // 8}")
        reason = f'because "cosine 0.{900 + index % 90} in u8"'
        lines.append(f'  layer "${{net}}/expanded_conv_{index}/project" type=i16 {reason}')
    return HEAD + "\n".join(lines) + "\n" + TAIL


def times_of(command: list[str]) -> Times:
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--rules", type=int, default=10_000)
    options = parser.parse_args()
    floor = [sys.executable, "-c", "pass"]
    npu = [sys.executable, "-m", "npudsl.cli"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "compiled")
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        small, large = Path(folder) / "small.npu", Path(folder) / "large.npu"
        small.write_text(program(117), encoding="utf-8")
        large.write_text(program(options.rules), encoding="utf-8")
        lines = small.read_text(encoding="utf-8").count("\n")
        commands = {
            "check --no-model": [*npu, "check", "--no-model", str(small)],
            "fmt --check": [*npu, "fmt", "--check", str(small)],
            "show --flat": [*npu, "show", "--flat", str(small)],
        }
        for name, command in commands.items():
            report(name, command, floor, options.runs, lines)
        cpu = [times_of([*npu, "check", "--no-model", str(large)])[1] for _ in range(3)]
        print(f"check --no-model, {options.rules} rules: {statistics.median(cpu):.2f} s of CPU time")


def report(name: str, command: list[str], floor: list[str], runs: int, lines: int) -> None:
    """One command against the floor, in turns."""
    times_of(command)
    pairs = [(times_of(command), times_of(floor)) for _ in range(runs)]
    wall, cpu = (statistics.median(ours[index] for ours, _ in pairs) * 1000 for index in (0, 1))
    ratios = [statistics.median(ours[index] / base[index] for ours, base in pairs) for index in (0, 1)]
    print(
        f"npu {name:18} {lines} lines: {wall:6.1f} ms wall, {cpu:6.1f} ms CPU; "
        f"{ratios[0]:5.2f} and {ratios[1]:5.2f} times `python -c pass` (median of {runs} pairs)"
    )


if __name__ == "__main__":
    main()
