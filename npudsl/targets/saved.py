"""The chip data as one JSON text, so that a command that checks a program need not read 33 YAML files.

The YAML files are the truth: ``saved.json`` carries their checksum, and where they do not fit (a checkout with an
edited file) they are read themselves. ``python -m npudsl.targets.saved`` writes it anew; a test says when that is
due.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
SAVED = FOLDER / "saved.json"


def chip_data() -> dict[str, Any]:
    """``sources`` as in ``sources.yaml``, and ``files``: name -> title and record of each file of ``data/``."""
    texts = _texts()
    try:
        saved: dict[str, Any] = json.loads(SAVED.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        saved = {}
    return saved if saved.get("crc") == _checksum(texts) else _read(texts)


def title_of(text: str) -> str:
    """What the first line of a chip's file calls it."""
    return text.splitlines()[0].removeprefix("# ").removesuffix(".")


def saved_text() -> str:
    """What ``saved.json`` should hold: one chip per line."""
    data = _read(_texts())
    lines = [f"{json.dumps(name)}: {json.dumps(chip, ensure_ascii=False)}" for name, chip in data["files"].items()]
    sources = json.dumps(data["sources"], ensure_ascii=False)
    return f'{{"crc": {data["crc"]}, "sources": {sources}, "files": {{\n' + ",\n".join(lines) + "\n}}\n"


def _texts() -> dict[str, str]:
    """The YAML files by name, chips in the order of their names."""
    files = [FOLDER / "sources.yaml", *sorted((FOLDER / "data").glob("*.yaml"))]
    return {file.name: file.read_text(encoding="utf-8") for file in files}


def _checksum(texts: dict[str, str]) -> int:
    return zlib.crc32("\0".join(f"{name}\0{text}" for name, text in texts.items()).encode())


def _read(texts: dict[str, str]) -> dict[str, Any]:
    from npudsl.targets.read import read_yaml

    chips = {name: text for name, text in texts.items() if name != "sources.yaml"}
    files = {name: {"title": title_of(text), "record": read_yaml(text)} for name, text in chips.items()}
    return {"crc": _checksum(texts), "sources": dict(read_yaml(texts["sources.yaml"])), "files": files}


if __name__ == "__main__":
    SAVED.write_text(saved_text(), encoding="utf-8")
