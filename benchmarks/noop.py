"""Time of an up-to-date build in units of ``python -c pass``, measured in turns on this machine.

    python benchmarks/noop.py [--runs 21] [--program examples/01_digits/digits.npu]

Prints the medians and the ratio. The two commands run alternately, so a busy machine slows both.

"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def seconds_of(command: list[str]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=21)
    parser.add_argument("--program", type=Path, default=REPOSITORY / "examples" / "01_digits" / "digits.npu")
    options = parser.parse_args()
    floor = [sys.executable, "-c", "pass"]
    build = [str(Path(sys.executable).with_name("npu")), "build", os.fspath(options.program)]
    for _ in range(2):
        subprocess.run(build, check=False, stdout=subprocess.DEVNULL)
    pairs = [(seconds_of(build), seconds_of(floor)) for _ in range(options.runs)]
    ratio = statistics.median(ours / base for ours, base in pairs)
    print(f"up-to-date build  {statistics.median(p[0] for p in pairs) * 1000:7.1f} ms")
    print(f"python -c pass    {statistics.median(p[1] for p in pairs) * 1000:7.1f} ms")
    print(f"ratio             {ratio:7.2f}   (median of {options.runs} pairs)")


if __name__ == "__main__":
    main()
