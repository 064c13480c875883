"""Real networks reach their documented accuracy: decoding, crop, mean, scale and layout are as in training."""

from __future__ import annotations

from pathlib import Path

import pytest

from npudsl.data.load import load_sample
from npudsl.data.preprocess import preprocess_record
from npudsl.data.resolve import resolve_dataset
from npudsl.ir.float_run import session
from npudsl.keys import digest_bytes
from npudsl.language.program import Call, Dataset, Feed, Input, Labels, PathValue

CROP = Call("center", (("height", 224), ("width", 224)))
IMAGENET_STD = (58.395, 57.12, 57.375)


def top1(model: Path, dataset: Dataset, input_: Input, shape: tuple[int, ...], offset: int = 0) -> float:
    loaded = session(model.read_bytes())
    samples = resolve_dataset(dataset, [input_.name], lambda path: digest_bytes(path.read_bytes())).samples
    record = preprocess_record(input_, shape, "NCHW")
    right = 0
    for sample in samples:
        outputs = loaded.run(None, load_sample(sample.digest, sample.files, [record]))
        right += int(outputs[0].argmax()) - offset == sample.label
    return right / len(samples)


def photos(shared: Path, count: int | None) -> Dataset:
    path = shared / "datasets" / "imagenet-cc" / "labels.txt"
    return Dataset(
        "photos", (Feed(None, "list", PathValue("labels.txt", str(path))),), 0, count, labels=Labels("column")
    )


def test_digits_are_read_right(shared: Path) -> None:
    folder = shared / "datasets" / "mnist"
    feed = Feed(None, "idx", PathValue("images", str(folder / "t10k-first1000-images-idx3-ubyte")))
    labels = Labels("idx", PathValue("labels", str(folder / "t10k-first1000-labels-idx1-ubyte")))
    model = shared / "models" / "mnist" / "mnist-8.onnx"
    dataset = Dataset("digits", (feed,), labels=labels)
    assert top1(model, dataset, Input("Input3", color="gray"), (1, 1, 28, 28)) == 0.987


@pytest.mark.slow
def test_squeezenet_reaches_its_accuracy(shared: Path) -> None:
    model = shared / "models" / "squeezenet1.1" / "squeezenet1.1-7.onnx"
    scale = tuple(1 / value for value in IMAGENET_STD)
    input_ = Input("data", mean=(123.675, 116.28, 103.53), scale=scale, crop=CROP)
    assert top1(model, photos(shared, None), input_, (1, 3, 224, 224)) == pytest.approx(0.6667, abs=0.007)


@pytest.mark.slow
def test_mobilenet_reaches_its_accuracy(shared: Path) -> None:
    model = shared / "models" / "mobilenet_v2_1.0_224" / "mobilenet_v2_1.0_224.onnx"
    input_ = Input("input", mean=(127.5,), scale=(1 / 127.5,), crop=CROP)
    assert top1(model, photos(shared, None), input_, (1, 3, 224, 224), 1) == pytest.approx(0.75, abs=0.007)
