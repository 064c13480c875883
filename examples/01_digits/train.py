"""Train the digit net of this lesson and write everything the lesson needs beside this file.

    python3 -m venv .venv-train && .venv-train/bin/pip install torch scikit-learn onnx pillow
    .venv-train/bin/python examples/01_digits/train.py

Writes ``digits.onnx``, ``images/*.png`` and ``labels.txt``; they are committed, so the lesson itself needs no PyTorch.

The data are the 1797 handwritten digits that come with scikit-learn (8x8, 17 grey levels; UCI "Optical Recognition of
Handwritten Digits", CC BY 4.0), doubled to 16x16 and stored as 8-bit grey PNG. The net sees what the PNG decoder
gives, divided by 255, so training and the NPU agree on the input down to the last bit.

Design of the net: one of each thing that small nets are made of. A convolution with BatchNorm and ReLU6, a depthwise-
separable block, a residual block whose Add joins two differently scaled tensors, a global average pool and a linear
classifier. BatchNorm stays in the file as nodes of its own: folding it is the importer's work.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
SEED = 20240607
SIDE = 16
TRAINED_ON = 1297
WRITTEN = 150
"""So many of the held-out digits become images: the first 50 calibrate, the other 100 measure."""
EPOCHS = 40


class DigitNet(nn.Module):
    """1x1x16x16 grey values in 0..1 to ten class scores."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvBlock(1, 16, kernel=3)
        self.depthwise = ConvBlock(16, 16, kernel=3, stride=2, groups=16)
        self.pointwise = ConvBlock(16, 32, kernel=1)
        self.residual = ResidualBlock(32)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pointwise(self.depthwise(self.stem(x)))
        return self.classifier(self.flatten(self.pool(self.residual(x))))


class ConvBlock(nn.Module):
    """Convolution, BatchNorm, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.activation = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """``ReLU(x + norm(conv(block(x))))``."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvBlock(channels, channels, kernel=3)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(x + self.norm(self.conv(self.first(x))))


def main() -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    pixels, labels = digits()
    net = train(pixels[:TRAINED_ON], labels[:TRAINED_ON])
    print(f"accuracy on {len(labels) - TRAINED_ON} held-out digits: {accuracy(net, pixels, labels):.2%}")
    export(net)
    write_images(pixels[TRAINED_ON:][:WRITTEN], labels[TRAINED_ON:][:WRITTEN])


def digits() -> tuple[np.ndarray, np.ndarray]:
    """All digits as uint8 (1797, 16, 16) with their classes, in an order that mixes the writers."""
    data = load_digits()
    order = np.random.default_rng(SEED).permutation(len(data.target))
    small = np.rint(data.images[order] * (255 / 16)).astype(np.uint8)
    doubled = [np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in small]
    return np.stack(doubled), data.target[order]


def to_input(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / 255).unsqueeze(1)


def train(pixels: np.ndarray, labels: np.ndarray) -> DigitNet:
    net = DigitNet()
    x, y = to_input(pixels), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(y)).split(64):
            optimizer.zero_grad()
            loss_of(net(shifted(x[batch])), y[batch]).backward()
            optimizer.step()
        schedule.step()
    return net.eval()


def shifted(x: Tensor) -> Tensor:
    """The batch, moved by up to one pixel each way: 1297 digits are few."""
    down, right = (int(step) for step in torch.randint(-1, 2, (2,)))
    return torch.roll(x, (down, right), dims=(2, 3))


def accuracy(net: DigitNet, pixels: np.ndarray, labels: np.ndarray) -> float:
    """Share of right answers among the digits that were not trained on."""
    with torch.no_grad():
        answers = net(to_input(pixels[TRAINED_ON:])).argmax(dim=1).numpy()
    return float((answers == labels[TRAINED_ON:]).mean())


def export(net: DigitNet) -> None:
    """Write ``digits.onnx``; PRESERVE keeps the exporter from folding BatchNorm."""
    torch.onnx.export(
        net,
        (torch.zeros(1, 1, SIDE, SIDE),),
        str(HERE / "digits.onnx"),
        input_names=["image"],
        output_names=["scores"],
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
        dynamo=False,
    )
    onnx.checker.check_model(str(HERE / "digits.onnx"), full_check=True)


def write_images(pixels: np.ndarray, labels: np.ndarray) -> None:
    (HERE / "images").mkdir(exist_ok=True)
    lines = []
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True), start=1):
        name = f"images/{number:04}.png"
        Image.fromarray(image).save(HERE / name, optimize=True)
        lines.append(f"{name} {label}\n")
    (HERE / "labels.txt").write_text("".join(lines))


if __name__ == "__main__":
    main()
