"""Resize filters against slow definitions with exact fractions, and against Pillow where Pillow is the definition."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from npudsl.data.resize import center_crop, letterbox, letterbox_size, resize

EXTENT = st.integers(1, 9)


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def slow_bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    result = np.zeros((height, width, image.shape[2]), dtype=np.uint8)

    def neighbours(k: int, target: int, source: int) -> tuple[int, int, Fraction]:
        position = (Fraction(2 * k + 1, 2)) * source / target - Fraction(1, 2)
        position = min(max(position, Fraction(0)), Fraction(source - 1))
        first = floor(position)
        return first, min(first + 1, source - 1), position - first

    for y in range(height):
        top, bottom, down = neighbours(y, height, image.shape[0])
        for x in range(width):
            left, right, across = neighbours(x, width, image.shape[1])
            for c in range(image.shape[2]):
                upper = int(image[top, left, c]) * (1 - across) + int(image[top, right, c]) * across
                lower = int(image[bottom, left, c]) * (1 - across) + int(image[bottom, right, c]) * across
                result[y, x, c] = half_up(upper * (1 - down) + lower * down)
    return result


def slow_area(image: np.ndarray, height: int, width: int) -> np.ndarray:
    result = np.zeros((height, width, image.shape[2]), dtype=np.uint8)

    def weights(k: int, target: int, source: int) -> list[tuple[int, Fraction]]:
        start, end = Fraction(k * source, target), Fraction((k + 1) * source, target)
        return [(i, min(end, Fraction(i + 1)) - max(start, Fraction(i))) for i in range(floor(start), ceil(end))]

    for y in range(height):
        for x in range(width):
            rows, columns = weights(y, height, image.shape[0]), weights(x, width, image.shape[1])
            total = sum(w for _, w in rows) * sum(w for _, w in columns)
            for c in range(image.shape[2]):
                value = sum(int(image[i, j, c]) * v * w for i, v in rows for j, w in columns)
                result[y, x, c] = half_up(Fraction(value) / total)
    return result


@settings(max_examples=40, deadline=None)
@given(EXTENT, EXTENT, EXTENT, EXTENT, st.integers(0, 99))
def test_bilinear_is_its_definition(h: int, w: int, height: int, width: int, seed: int) -> None:
    image = picture(h, w, 2, seed)
    assert np.array_equal(resize(image, height, width, "bilinear"), slow_bilinear(image, height, width))


@settings(max_examples=40, deadline=None)
@given(EXTENT, EXTENT, EXTENT, EXTENT, st.integers(0, 99))
def test_area_is_its_definition(h: int, w: int, height: int, width: int, seed: int) -> None:
    image = picture(h, w, 2, seed)
    assert np.array_equal(resize(image, height, width, "area"), slow_area(image, height, width))


@settings(max_examples=40, deadline=None)
@given(EXTENT, EXTENT, EXTENT, EXTENT)
def test_nearest_takes_the_pixel_under_the_centre(h: int, w: int, height: int, width: int) -> None:
    image = picture(h, w)
    rows = [floor(Fraction(2 * k + 1, 2) * h / height) for k in range(height)]
    columns = [floor(Fraction(2 * k + 1, 2) * w / width) for k in range(width)]
    assert np.array_equal(resize(image, height, width, "nearest"), image[np.ix_(rows, columns)])


def test_bilinear_by_hand() -> None:
    row = np.array([[[0], [100]]], dtype=np.uint8)
    # Positions -0.25 (cut to 0), 0.25, 0.75, 1.25 (cut to 1).
    assert resize(row, 1, 4, "bilinear").reshape(-1).tolist() == [0, 25, 75, 100]
    # Shrinking by two samples half-way, shrinking by four looks at two of four pixels only.
    row = np.array([[[0], [0], [100], [200]]], dtype=np.uint8)
    assert resize(row, 1, 2, "bilinear").reshape(-1).tolist() == [0, 150]
    assert resize(row, 1, 1, "bilinear").reshape(-1).tolist() == [50]
    assert resize(row, 1, 1, "area").reshape(-1).tolist() == [75]


def test_rounding_is_half_up() -> None:
    row = np.array([[[0], [1]]], dtype=np.uint8)
    assert resize(row, 1, 1, "bilinear").reshape(-1).tolist() == [1]
    assert resize(row, 1, 1, "area").reshape(-1).tolist() == [1]


@pytest.mark.parametrize("size", [(224, 224), (17, 301), (100, 60)])
@pytest.mark.parametrize("channels", [1, 3])
def test_bilinear_antialias_is_pillow(size: tuple[int, int], channels: int) -> None:
    image = picture(120, 173, channels)
    source = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    expected = np.asarray(source.resize(size[::-1], Image.Resampling.BILINEAR)).reshape(*size, channels)
    assert np.array_equal(resize(image, *size, "bilinear_antialias"), expected)


def test_antialias_matters_when_a_picture_shrinks() -> None:
    image = picture(200, 200)
    plain = resize(image, 50, 50, "bilinear").astype(int)
    smooth = resize(image, 50, 50, "bilinear_antialias").astype(int)
    assert np.abs(plain - smooth).mean() > 5


@pytest.mark.parametrize("name", ["bilinear", "bilinear_antialias", "nearest", "area"])
def test_the_same_size_is_the_same_picture(name: str) -> None:
    image = picture(31, 17)
    assert np.array_equal(resize(image, 31, 17, name), image)


@pytest.mark.parametrize("name", ["bilinear", "bilinear_antialias", "nearest", "area"])
def test_an_even_picture_stays_even(name: str) -> None:
    image = np.full((33, 20, 3), 201, dtype=np.uint8)
    assert (resize(image, 57, 11, name) == 201).all()


def test_bilinear_of_a_real_size_is_whole_numbers_below_two_to_the_53() -> None:
    image = np.full((2160, 3840, 1), 255, dtype=np.uint8)
    assert (resize(image, 1001, 999, "bilinear") == 255).all()
    assert (resize(image, 1001, 999, "area") == 255).all()


def test_letterbox_keeps_proportions_and_centres() -> None:
    image = np.full((10, 20, 3), 9, dtype=np.uint8)
    boxed = letterbox(image, 16, 16, [1, 2, 3], "nearest")
    assert boxed.shape == (16, 16, 3)
    assert (boxed[4:12] == 9).all()
    assert (boxed[:4] == [1, 2, 3]).all()
    assert (boxed[12:] == [1, 2, 3]).all()


def test_the_larger_half_of_an_odd_border_is_below_and_right() -> None:
    wide = letterbox(np.full((1, 3, 1), 9, dtype=np.uint8), 4, 9, [0], "nearest")
    assert (wide[:, :, 0].max(axis=1) > 0).tolist() == [True, True, True, False]
    tall = letterbox(np.full((3, 1, 1), 9, dtype=np.uint8), 9, 4, [0], "nearest")
    assert (tall[:, :, 0].max(axis=0) > 0).tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("size", "wanted", "inner"),
    [
        ((480, 640), (320, 320), (240, 320)),
        ((640, 480), (320, 320), (320, 240)),
        ((3, 1000), (10, 10), (1, 10)),
        ((5, 4), (2, 2), (2, 2)),
        ((7, 7), (3, 5), (3, 3)),
    ],
)
def test_letterbox_sizes(size: tuple[int, int], wanted: tuple[int, int], inner: tuple[int, int]) -> None:
    assert letterbox_size(*size, *wanted) == inner


def test_the_centre_crop_cuts_the_odd_rest_below_and_right() -> None:
    image = np.arange(25, dtype=np.uint8).reshape(5, 5, 1)
    assert center_crop(image, 2, 2)[:, :, 0].tolist() == [[6, 7], [11, 12]]
    assert center_crop(image, 3, 3)[:, :, 0].tolist() == [[6, 7, 8], [11, 12, 13], [16, 17, 18]]
