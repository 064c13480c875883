"""Time and memory of calibration in units of plain onnxruntime inference of the same images, measured in turns.

    python benchmarks/calibrate.py [--samples 100] [--rounds 5] [--jobs 2] [--memory 100 400]

Model and photos come from the folder that NPUDSL_SHARED names (default ../shared). *Plain* is inference of images that
are already preprocessed, with a session that is already there: onnxruntime's default options with two threads, and with
one. *Calibration* is the whole step: decoding and preprocessing, the tapped session, statistics, and a store on disk.
Every round runs each of them once, and only ratios within a round count, so a busy machine slows all. Processor time
over that of one plain thread hardly feels other load. ``NPUDSL_NATIVE=off`` measures the numpy path.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

from npudsl import native
from npudsl.artifacts.blob import Blob, Tree
from npudsl.artifacts.float_model import FloatModel
from npudsl.data.load import load_sample
from npudsl.data.preprocess import preprocess_record
from npudsl.data.resolve import resolve_dataset
from npudsl.data.sample import Sample, SampleSet
from npudsl.keys import digest_bytes
from npudsl.language.program import Call, Dataset, Feed, Input, Model, PathValue, Program
from npudsl.numerics.pattern_counters import PatternCounters, pattern_counters
from npudsl.steps.calibrate import tap
from npudsl.steps.calibrate.kind import config_from, context_from
from npudsl.steps.calibrate.run import expand, join, run_part
from npudsl.steps.import_model.kind import ImportConfig
from npudsl.steps.import_model.run import import_model
from npudsl.store.content import ContentStore

SHARED = Path(os.environ.get("NPUDSL_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
MODEL = Path("models") / "mobilenet_v2_1.0_224" / "mobilenet_v2_1.0_224.onnx"
PHOTOS = Path("datasets") / "imagenet-cc" / "images"
SIZE = 224
INPUT = Input("input", mean=(127.5,), scale=(1 / 127.5,), crop=Call("center", (("height", SIZE), ("width", SIZE))))
PROGRAM = Program("bench", "bench.npu", 1, Model("bench", "onnx", PathValue(MODEL.name)), inputs=(INPUT,))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--memory", type=int, nargs="*", default=[100, 400])
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "SAMPLES", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, samples, folder = options.child
        print(peak_of(what, int(samples), Path(folder), options.jobs))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_photos(folder / "photos", max([options.samples, *options.memory]))
        file = SHARED / MODEL
        model = import_model(ImportConfig("onnx", file.name).record(), {file.name: file.read_bytes()})
        tree = model.save(ContentStore(folder / "store"))
        (folder / "model.json").write_text(json.dumps({name: blob.record() for name, blob in tree.items()}))
        report_pass()
        report_time(model, folder, options.samples, options.rounds, options.jobs)
        if options.memory:
            report_memory(folder, options.memory, options.jobs)


def make_photos(folder: Path, count: int) -> None:
    """``count`` different images: the photos, then other crops of them."""
    folder.mkdir()
    photos = sorted((SHARED / PHOTOS).iterdir())
    for number in range(count):
        photo = photos[number % len(photos)]
        turn = number // len(photos)
        target = folder / f"{number:04}.jpg"
        if turn == 0:
            shutil.copyfile(photo, target)
            continue
        with Image.open(photo) as image:
            left, top = (image.width - SIZE) * turn // 7, (image.height - SIZE) * turn // 5
            image.crop((left, top, left + SIZE, top + SIZE)).save(target, quality=95)


def sample_set(folder: Path, count: int) -> SampleSet:
    dataset = Dataset("bench", (Feed(None, "dir", PathValue("photos", str(folder / "photos"))),), samples=count)
    return resolve_dataset(dataset, [INPUT.name], lambda path: digest_bytes(path.read_bytes()))


def calibrate(model: Tree, samples: SampleSet, store: ContentStore, jobs: int) -> Tree:
    """The step as the engine runs it, with nothing kept from an earlier run."""
    tap._sessions.clear()
    record = config_from(PROGRAM, samples).record()
    parts = expand(record, {"model": model}, store, [], context_from(samples))
    with ThreadPoolExecutor(jobs) as pool:
        made = pool.map(lambda part: run_part(part.record, part.inputs, part.context, store), parts)
        trees = {part.name: tree for part, tree in zip(parts, made, strict=True)}
    return join(record, {"model": model}, trees, store)


def plain_session(model: bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def images_of(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    record = preprocess_record(INPUT, (1, 3, SIZE, SIZE), "NCHW")
    return [load_sample(sample.digest, sample.files, [record]) for sample in samples]


def infer(session: Any, images: list[dict[str, Any]]) -> None:
    for image in images:
        session.run(None, image)


# --- the pass over one tensor ---


def report_pass() -> None:
    random = np.random.default_rng(0)
    normal = random.normal(size=1_200_000).astype(np.float32)
    arrays = {"normal": normal, "after Relu": np.maximum(normal, 0), "after Relu6": np.clip(4 * normal, 0, 6)}
    counters = pattern_counters(1)
    print(f"statistics pass ({type(counters).__name__}; {native.why_not() or 'compiled'}), ns per value")
    for name, values in arrays.items():
        print(f"  {name:<12} {nanoseconds(counters, values):6.2f}   numpy min and max alone {extremes(values):6.2f}")


def nanoseconds(counters: PatternCounters, values: np.ndarray) -> float:
    return statistics.median(seconds(lambda: counters.add(0, values))[0] for _ in range(15)) / values.size * 1e9


def extremes(values: np.ndarray) -> float:
    return statistics.median(seconds(lambda: (values.min(), values.max()))[0] for _ in range(15)) / values.size * 1e9


# --- the step ---


def report_time(model: FloatModel, folder: Path, count: int, rounds: int, jobs: int) -> None:
    samples = sample_set(folder, count)
    images = images_of(samples.samples)
    sessions = {threads: plain_session(model.onnx, threads) for threads in (2, 1)}

    def whole_step() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            store = ContentStore(Path(name))
            tree = model.save(store)
            measured.append(seconds(lambda: calibrate(tree, samples, store, jobs)))

    def plain(threads: int, workers: int) -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda start: infer(sessions[threads], images[start::workers]), range(workers)))

    measured: list[tuple[float, float]] = []
    workers = f"plain, {jobs} x 1 thread"
    cases = {"plain, 2 threads": (2, 1), workers: (1, jobs), "plain, 1 thread": (1, 1)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    whole_step()
    measured.clear()
    for session in sessions.values():
        infer(session, images[:5])
    for _ in range(rounds):
        for name, (threads, side_by_side) in cases.items():
            times[name].append(seconds(partial(plain, threads, side_by_side)))
        whole_step()
    print(f"\n{count} images, medians of {rounds} rounds      wall s     processor s")
    for name, pairs in {**times, f"calibration, {jobs} jobs": measured}.items():
        print(f"  {name:<32} {middle(pairs, 0):8.3f} {middle(pairs, 1):12.3f}")
    for name in cases:
        print(f"  calibration over {name:<24} {ratio(measured, times[name], 0):6.2f} x")
    print(f"  the same in processor time, 1 thread     {ratio(measured, times['plain, 1 thread'], 1):6.2f} x")


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time and processor time (of all threads)."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def ratio(ours: list[tuple[float, float]], base: list[tuple[float, float]], which: int) -> float:
    return statistics.median(mine[which] / other[which] for mine, other in zip(ours, base, strict=True))


def middle(times: list[tuple[float, float]], which: int) -> float:
    return statistics.median(pair[which] for pair in times)


# --- memory ---


def report_memory(folder: Path, counts: list[int], jobs: int) -> None:
    print("\npeak resident memory of a process, MiB")
    for what in ("plain", "calibration"):
        for count in counts:
            command = [sys.executable, __file__, "--jobs", str(jobs), "--child", what, str(count), str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"  {what:<12} {count:>5} images {float(done.stdout):8.0f}")


def peak_of(what: str, count: int, folder: Path, jobs: int) -> float:
    """Peak resident memory of this process after the work, MiB; plain inference too reads one image at a time."""
    samples = sample_set(folder, count)
    store = ContentStore(folder / "store")
    tree = {name: Blob.from_record(blob) for name, blob in json.loads((folder / "model.json").read_text()).items()}
    if what == "calibration":
        calibrate(tree, samples, store, jobs)
    else:
        session = plain_session(store.read_bytes(tree["model.onnx"]), jobs)
        for sample in samples.samples:
            infer(session, images_of((sample,)))
    status = Path("/proc/self/status").read_text()
    # Not getrusage: a child's figure there begins with its parent's.
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


if __name__ == "__main__":
    main()
