"""A small project of program text alone, for commands that need no model."""

from __future__ import annotations

from pathlib import Path

from npu_command import Outcome
from npu_inside import npu_inside

PROGRAM = """npu 1

model net {
  format = onnx
  file = "net.onnx"
}

dataset calib {
  list = "calib.txt"
}

quantize u8 {
  calibrate = calib
  layer "conv1" type=i16
}
"""


class TextProject:
    """A folder with program files, and ``npu`` run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
        return path

    def read(self, name: str) -> str:
        return (self.folder / name).read_bytes().decode("utf-8")

    def __call__(self, *arguments: str, code: int | None = 0) -> Outcome:
        return npu_inside(self.folder, self.folder / "cache", *arguments, code=code)
