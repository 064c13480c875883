"""Resizing 8-bit images, defined exactly.

All filters but ``bilinear_antialias`` are ours and compute with whole numbers (held in float64, below 2**53), so they
give the same bytes on every machine. Centre of pixel k is k + 1/2 (half-pixel centres); results are rounded half up
to 8 bits, because a camera or a decoder hands over 8-bit pixels too. ``bilinear_antialias`` is Pillow's BILINEAR.
Images are uint8 (height, width, channels).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Image = np.ndarray[Any, Any]


def resize(image: Image, height: int, width: int, filter_: str) -> Image:
    """``image`` stretched to ``height`` x ``width`` with one of ``preprocess.FILTERS``."""
    if image.shape[:2] == (height, width):
        return image
    resized: Image = _FILTERS[filter_](image, height, width)
    return resized


def letterbox(image: Image, height: int, width: int, fill: Sequence[int], filter_: str) -> Image:
    """``image`` made as large as fits with its proportions kept, centred on ``fill``.

    The smaller extent is rounded half up and at least 1; of an odd border the extra row or column is below or right.
    """
    inner_height, inner_width = letterbox_size(image.shape[0], image.shape[1], height, width)
    inner = resize(image, inner_height, inner_width, filter_)
    canvas = np.empty((height, width, image.shape[2]), dtype=np.uint8)
    canvas[...] = np.asarray(fill, dtype=np.uint8)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    canvas[top : top + inner_height, left : left + inner_width] = inner
    return canvas


def letterbox_size(height: int, width: int, wanted_height: int, wanted_width: int) -> tuple[int, int]:
    """Extents of the resized image inside a letterbox."""
    if height * wanted_width <= width * wanted_height:
        return max(1, (2 * height * wanted_width + width) // (2 * width)), wanted_width
    return wanted_height, max(1, (2 * width * wanted_height + height) // (2 * height))


def center_crop(image: Image, height: int, width: int) -> Image:
    """The middle ``height`` x ``width`` pixels; of an odd rest the extra row or column is cut below or right."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _bilinear(image: Image, height: int, width: int) -> Image:
    """Half-pixel centres, two neighbours per axis, edges repeated, no averaging when it shrinks."""
    top, bottom, down = _neighbours(image.shape[0], height)
    left, right, across = _neighbours(image.shape[1], width)
    pixels = image.astype(np.float64)
    weight = down[:, None, None]
    rows = pixels[top] * (2 * height - weight) + pixels[bottom] * weight
    weight = across[None, :, None]
    total = rows[:, left] * (2 * width - weight) + rows[:, right] * weight
    return _rounded(total, 4 * height * width)


def _neighbours(source: int, target: int) -> tuple[Image, Image, Image]:
    """Per target pixel both neighbours and the weight of the second one, in units of 1 / (2 target).

    Position (k + 1/2) source / target - 1/2 = ((2 k + 1) source - target) / (2 target), cut off at the outer centres.
    """
    position = np.clip((2 * np.arange(target) + 1) * source - target, 0, (source - 1) * 2 * target)
    first, weight = np.divmod(position, 2 * target)
    return first, np.minimum(first + 1, source - 1), weight.astype(np.float64)


def _nearest(image: Image, height: int, width: int) -> Image:
    """The source pixel in which the target pixel's centre lies."""
    rows = (2 * np.arange(height) + 1) * image.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * image.shape[1] // (2 * width)
    picked: Image = image[rows][:, columns]
    return picked


def _area(image: Image, height: int, width: int) -> Image:
    """The mean over the source area that the target pixel covers."""
    down = _coverage(image.shape[0], height)
    across = _coverage(image.shape[1], width)
    planes = image.astype(np.float64).transpose(2, 0, 1)
    # Sums of whole numbers below 2**53: any order of additions gives the same bits.
    total = (down @ planes @ across.T).transpose(1, 2, 0)
    return _rounded(total, image.shape[0] * image.shape[1])


def _coverage(source: int, target: int) -> Image:
    """(target, source): how much of each source pixel a target pixel covers, in units of 1 / target."""
    start = np.arange(target)[:, None] * source
    pixel = np.arange(source)[None, :] * target
    covered = np.minimum(start + source, pixel + target) - np.maximum(start, pixel)
    weights: Image = np.maximum(covered, 0).astype(np.float64)
    return weights


def _rounded(total: Image, divisor: int) -> Image:
    rounded: Image = np.floor((2 * total + divisor) / (2 * divisor)).astype(np.uint8)
    return rounded


def _bilinear_antialias(image: Image, height: int, width: int) -> Image:
    from PIL import Image as Pillow

    source = Pillow.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    resized: Image = np.asarray(source.resize((width, height), Pillow.Resampling.BILINEAR))
    return resized.reshape(height, width, image.shape[2])


_FILTERS: Mapping[str, Any] = {
    "bilinear": _bilinear,
    "bilinear_antialias": _bilinear_antialias,
    "nearest": _nearest,
    "area": _area,
}
