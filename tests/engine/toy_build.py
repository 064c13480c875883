"""A toy build as a program of its own, for tests that kill it: ``toy_build.py CACHE SEED [SLOW]`` prints the value.

Forty parts write 100 KB each, a second step reads them all. With ``SLOW`` each part takes that many seconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from npudsl.engine.events import SilentReporter
from npudsl.engine.memory import load_memory, save_memory
from npudsl.engine.run import Engine
from npudsl.keys import digest_bytes
from npudsl.plan.action import Host
from npudsl.plan.step import Part, Step, StepKind
from npudsl.store.cache import Cache

PARTS = 40
BYTES = 100_000

FILL = StepKind("fill", 1, "toy_build", ("npudsl.keys.canonical",))
DIGEST = StepKind("digest", 1, "toy_build", ("npudsl.keys.canonical",))


def plan(seed: int, seconds: float = 0.0) -> list[Step]:
    fill = Step(FILL, "fill", {"seed": seed}, context={"seconds": seconds})
    return [fill, Step(DIGEST, "digest", {}, {"filled": fill.id})]


def content(seed: int, index: int) -> bytes:
    return f"{seed} {index} ".encode() * (BYTES // 8)


def expected(seed: int) -> str:
    return digest_bytes("".join(digest_bytes(content(seed, index)) for index in range(PARTS)).encode())


def expand(record, inputs, reader, previous, context):
    if "filled" in inputs:
        return [Part("all", {}, dict(inputs["filled"]))]
    seed = record["seed"]
    return [Part(f"part-{index}", {"seed": seed, "index": index}, context=context) for index in range(PARTS)]


def run_part(record, inputs, context, space):
    if inputs:
        digests = [digest_bytes(space.read_bytes(inputs[f"part-{index}"])) for index in range(PARTS)]
        return {"value": space.write_json(digest_bytes("".join(digests).encode()))}
    time.sleep(context["seconds"])
    return {"data": space.write_bytes(content(record["seed"], record["index"]))}


def join(record, inputs, parts, space):
    if "all" in parts:
        return dict(parts["all"])
    return {name: tree["data"] for name, tree in parts.items()}


def main() -> None:
    folder, seed, *rest = sys.argv[1:]
    memory_path = Path(folder).with_suffix(".memory.json")
    cache = Cache(Path(folder))
    with cache.leased():
        engine = Engine(cache, Host("test", {}), jobs=2, reporter=SilentReporter())
        results, memory = engine.build(plan(int(seed), float(rest[0]) if rest else 0.0), load_memory(memory_path))
        save_memory(memory_path, memory)
        sys.stdout.write(cache.content.read_json(results["digest:digest"].tree["value"]) + "\n")
    cache.close()


if __name__ == "__main__":
    main()
