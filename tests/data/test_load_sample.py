"""From files to tensors: every stage by hand, and every damaged or unfitting file with its message."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from npudsl.data.load import load_sample
from npudsl.data.preprocess import preprocess_record
from npudsl.data.sample import SampleFile, sample_digest
from npudsl.diagnostics import NpuError
from npudsl.keys import digest_bytes
from npudsl.language.program import Call, Input


def file_at(path: Path, format_: str, **more: Any) -> SampleFile:
    return SampleFile("data", str(path), path.name, format_, **more)


def load(
    file: SampleFile, input_: Input, shape: tuple[int, ...], layout: str = "NCHW", row: bytes | None = None
) -> np.ndarray:
    contents = row if row is not None else Path(file.path).read_bytes()
    digest = sample_digest([(file, digest_bytes(contents))])
    tensors = load_sample(digest, [file], [preprocess_record(input_, shape, layout)])
    assert list(tensors) == ["data"]
    tensor = tensors["data"]
    assert tensor.shape == shape
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    return tensor


def refusal(run: Callable[[], object]) -> Any:
    with pytest.raises(NpuError) as caught:
        run()
    return caught.value.diagnostics[0]


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (4, 6, 3), dtype=np.uint8)


@pytest.fixture
def png(tmp_path: Path, pixels: np.ndarray) -> SampleFile:
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return file_at(tmp_path / "photo.png", "image")


def test_an_image_becomes_planes_of_its_pixels(png: SampleFile, pixels: np.ndarray) -> None:
    tensor = load(png, Input("data"), (1, 3, 4, 6))
    assert np.array_equal(tensor[0], pixels.transpose(2, 0, 1))


def test_nhwc_keeps_the_order_of_pixels(png: SampleFile, pixels: np.ndarray) -> None:
    assert np.array_equal(load(png, Input("data"), (1, 4, 6, 3), "NHWC")[0], pixels)
    assert np.array_equal(load(png, Input("data", layout="NHWC"), (1, 4, 6, 3), "NCHW")[0], pixels)


def test_bgr_and_reorder_turn_channels(png: SampleFile, pixels: np.ndarray) -> None:
    expected = pixels[:, :, ::-1].transpose(2, 0, 1)
    assert np.array_equal(load(png, Input("data", color="bgr"), (1, 3, 4, 6))[0], expected)
    assert np.array_equal(load(png, Input("data", reorder=(2, 1, 0)), (1, 3, 4, 6))[0], expected)
    both = Input("data", color="bgr", reorder=(2, 1, 0))
    assert np.array_equal(load(png, both, (1, 3, 4, 6))[0], pixels.transpose(2, 0, 1))


def test_gray_is_pillows_luma(png: SampleFile, pixels: np.ndarray) -> None:
    expected = np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.array_equal(load(png, Input("data", color="gray"), (1, 1, 4, 6))[0, 0], expected)
    exact = (pixels.astype(np.float64) @ np.array([299, 587, 114])) / 1000
    assert np.abs(expected - exact).max() <= 1


def test_mean_and_scale_are_rounded_one_after_the_other(png: SampleFile, pixels: np.ndarray) -> None:
    mean, scale = (123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375)
    tensor = load(png, Input("data", mean=mean, scale=scale), (1, 3, 4, 6))
    for channel in range(3):
        for y in range(4):
            for x in range(6):
                difference = np.float32(np.float32(pixels[y, x, channel]) - np.float32(mean[channel]))
                assert tensor[0, channel, y, x] == np.float32(difference * np.float32(scale[channel]))


def test_mean_is_per_channel_after_color(png: SampleFile, pixels: np.ndarray) -> None:
    tensor = load(png, Input("data", color="bgr", mean=(1.0, 2.0, 3.0)), (1, 3, 4, 6))
    assert np.array_equal(tensor[0, 0], pixels[:, :, 2].astype(np.float32) - 1)
    assert np.array_equal(tensor[0, 2], pixels[:, :, 0].astype(np.float32) - 3)


def test_resize_comes_before_crop(png: SampleFile) -> None:
    resize = Call("stretch", (("height", 8), ("width", 12), ("filter", "nearest")))
    crop = Call("center", (("height", 2), ("width", 2)))
    tensor = load(png, Input("data", resize=resize, crop=crop), (1, 3, 2, 2))
    plain = load(png, Input("data"), (1, 3, 4, 6))[0]
    assert np.array_equal(tensor[0], plain.repeat(2, axis=1).repeat(2, axis=2)[:, 3:5, 5:7])


def test_letterbox_fills_before_mean_and_scale(png: SampleFile) -> None:
    call = Call("letterbox", (("height", 6), ("width", 6), ("fill", (10, 20, 30))))
    tensor = load(png, Input("data", resize=call, mean=(10.0, 20.0, 30.0)), (1, 3, 6, 6))
    assert (tensor[0, :, 0] == 0).all()
    assert (tensor[0, :, 5] == 0).all()


def test_orientation_and_transparency_of_an_image_are_not_applied(tmp_path: Path, pixels: np.ndarray) -> None:
    rotated = Image.fromarray(pixels)
    exif = rotated.getexif()
    exif[0x0112] = 6
    rotated.save(tmp_path / "rotated.png", exif=exif)
    assert np.array_equal(
        load(file_at(tmp_path / "rotated.png", "image"), Input("data"), (1, 3, 4, 6))[0], pixels.transpose(2, 0, 1)
    )
    alpha = np.dstack([pixels, np.zeros((4, 6), dtype=np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "clear.png")
    assert np.array_equal(
        load(file_at(tmp_path / "clear.png", "image"), Input("data"), (1, 3, 4, 6))[0], pixels.transpose(2, 0, 1)
    )


def test_rows_of_bytes_are_images(tmp_path: Path) -> None:
    row = bytes(range(6))
    idx = tmp_path / "images"
    idx.write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 2, 2, 3) + bytes(6) + row)
    file = file_at(idx, "idx", index=1, dtype="uint8", shape=(2, 3))
    gray = load(file, Input("data", color="gray", scale=(2.0,)), (1, 1, 2, 3), row=row)
    assert gray.reshape(-1).tolist() == [0, 2, 4, 6, 8, 10]
    resize = Call("stretch", (("height", 4), ("width", 6), ("filter", "nearest")))
    assert load(file, Input("data", color="gray", resize=resize), (1, 1, 4, 6), row=row).max() == 5
    assert load(file, Input("data"), (1, 3, 2, 3), row=row)[0, 2].reshape(-1).tolist() == list(range(6))


def test_other_rows_are_numbers_in_network_order(tmp_path: Path) -> None:
    row = struct.pack(">3h", -1, 256, 7)
    idx = tmp_path / "vectors"
    idx.write_bytes(b"\0\0\x0b\x02" + struct.pack(">2I", 1, 3) + row)
    file = file_at(idx, "idx", index=0, dtype="int16", shape=(3,))
    assert load(file, Input("data"), (1, 3), row=row).tolist() == [[-1, 256, 7]]


def test_numbers_get_mean_and_scale_but_nothing_else(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float32).reshape(1, 3, 2, 4)
    np.save(tmp_path / "x.npy", values)
    file = file_at(tmp_path / "x.npy", "npy", dtype="float32")
    settings = Input(
        "data",
        color="bgr",
        reorder=(2, 1, 0),
        mean=(1.0, 2.0, 3.0),
        scale=(0.5,),
        resize=Call("stretch", (("height", 9), ("width", 9))),
        crop=Call("center", (("height", 1), ("width", 1))),
    )
    expected = (values - np.array([1, 2, 3], dtype=np.float32).reshape(1, 3, 1, 1)) * np.float32(0.5)
    assert np.array_equal(load(file, settings, (1, 3, 2, 4)), expected)


def test_per_channel_values_follow_the_layout(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 2, 4, 3), dtype=np.float32))
    file = file_at(tmp_path / "x.npy", "npy", dtype="float32")
    tensor = load(file, Input("data", mean=(1.0, 2.0, 3.0)), (1, 2, 4, 3), "NHWC")
    assert tensor[0, 1, 3].tolist() == [-1, -2, -3]


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 3)])
def test_a_leading_one_may_be_missing(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.arange(6, dtype=np.float32).reshape(shape)
    np.save(tmp_path / "x.npy", values)
    assert np.array_equal(
        load(file_at(tmp_path / "x.npy", "npy", dtype="float32"), Input("data"), (1, 2, 3)), values.reshape(1, 2, 3)
    )


def test_column_major_arrays_are_read_by_index(tmp_path: Path) -> None:
    values = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    np.save(tmp_path / "x.npy", values)
    assert np.array_equal(load(file_at(tmp_path / "x.npy", "npy", dtype="float32"), Input("data"), (2, 3)), values)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint16", "int32", "float16", "float64", "bool"])
def test_raw_files_are_little_endian_values_of_their_type(tmp_path: Path, dtype: str) -> None:
    values = np.array([0, 1, 1, 0, 1, 1]).astype(dtype)
    (tmp_path / "x.bin").write_bytes(values.astype(np.dtype(dtype).newbyteorder("<")).tobytes())
    file = file_at(tmp_path / "x.bin", "bin", dtype=dtype)
    assert load(file, Input("data"), (1, 6)).reshape(-1).tolist() == [0, 1, 1, 0, 1, 1]


def test_text_files_are_numbers_with_blanks_between(tmp_path: Path) -> None:
    (tmp_path / "x.tensor").write_text("1.5\n-2e3 0.1\n\n4")
    tensor = load(file_at(tmp_path / "x.tensor", "txt", dtype="float32"), Input("data"), (1, 4))
    assert tensor.tolist() == [[1.5, -2000.0, float(np.float32(0.1)), 4.0]]


def test_two_inputs_are_two_tensors(tmp_path: Path) -> None:
    contents = []
    records = []
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.full((1, 2), ord(name), dtype=np.float32))
        file = SampleFile(name, str(tmp_path / f"{name}.npy"), name, "npy", dtype="float32")
        contents.append((file, digest_bytes(Path(file.path).read_bytes())))
        records.append(preprocess_record(Input(name), (1, 2), "NCHW"))
    tensors = load_sample(sample_digest(contents), [file for file, _ in contents], records)
    assert {name: tensor[0, 0] for name, tensor in tensors.items()} == {"a": 97, "b": 98}


# What does not fit, and what is broken.


def test_nothing_is_resized_unasked(png: SampleFile) -> None:
    found = refusal(lambda: load(png, Input("data"), (1, 3, 2, 3)))
    assert found.code == "E0502"
    assert found.message == ('photo.png is 4x6 (HxW); the input "data" is 2x3, and nothing is resized unasked')
    assert found.helps == (
        'write in input "data": resize = stretch(2, 3)',
        "or cut the middle out: crop = center(2, 3)",
    )
    assert found.subject == "input[data]"


def test_a_crop_larger_than_the_picture_is_refused(png: SampleFile) -> None:
    crop = Call("center", (("height", 5), ("width", 5)))
    found = refusal(lambda: load(png, Input("data", crop=crop), (1, 3, 5, 5)))
    assert found.message == "photo.png is 4x6 (HxW), smaller than crop = center(5, 5)"


def test_an_image_for_a_tensor_without_pixels_is_refused(png: SampleFile) -> None:
    assert "is an image" in refusal(lambda: load(png, Input("data"), (1, 72))).message
    assert "is an image" in refusal(lambda: load(png, Input("data"), (2, 3, 4, 6))).message


def test_a_wrong_number_of_channels_names_the_color_to_write(png: SampleFile) -> None:
    found = refusal(lambda: load(png, Input("data"), (1, 1, 4, 6)))
    assert found.code == "E0502"
    assert found.helps == ("write color = gray",)
    assert refusal(lambda: load(png, Input("data", color="gray"), (1, 3, 4, 6))).helps == ("write color = rgb",)


def broken_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def encoded(image: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind)
    return buffer.getvalue()


BIG = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"hello", "no image that can be decoded"),
        (encoded(BIG, "PNG")[:2000], "no image that can be decoded"),
        (encoded(BIG, "JPEG")[:600], "no image that can be decoded"),
        (encoded(BIG, "PNG")[:20], "no image that can be decoded"),
        (broken_png(60000, 60000), "declares an image that is too large"),
        (broken_png(10000, 10000), "declares an image that is too large"),
        (broken_png(0, 5), "no image that can be decoded"),
        (encoded(np.zeros((4, 6), dtype=np.uint16), "PNG"), "more than 8 bits per channel"),
        (encoded(BIG, "GIF"), "no image that can be decoded"),
    ],
)
def test_broken_images_are_refused_with_their_name(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    found = refusal(lambda: load(file_at(path, "image"), Input("data"), (1, 3, 64, 64)))
    assert found.code == "E0502"
    assert found.message.startswith("bad.png ")
    assert words in found.message


def save_npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


GOOD = save_npy(np.zeros((1, 2, 3), dtype=np.float32))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (save_npy(np.zeros((1, 3, 2), dtype=np.float32)), "x.npy has the shape 1x3x2; 1x2x3 expected"),
        (save_npy(np.zeros((1, 2, 3))), "x.npy holds float64; float32 expected"),
        (save_npy(np.zeros((1, 2, 3), dtype=np.uint8)), "x.npy holds uint8; float32 expected"),
        (GOOD[:-4], "x.npy has 20 bytes of data; its header says 1x2x3 float32"),
        (GOOD + b"\0", "x.npy has 25 bytes of data; its header says 1x2x3 float32"),
        (GOOD[:7], "x.npy is no npy file that can be read"),
        (b"", "x.npy is no npy file that can be read"),
        (GOOD.replace(b"(1, 2, 3)", b"(9,9,9,9,"), "x.npy is no npy file that can be read"),
        (GOOD.replace(b"'<f4'", b"'|O8'"), "x.npy holds object; float32 expected"),
    ],
)
def test_npy_files_that_do_not_fit_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    found = refusal(lambda: load(file_at(tmp_path / "x.npy", "npy", dtype="float32"), Input("data"), (1, 2, 3)))
    assert found.code == "E0502"
    assert found.message.startswith(message)
    assert found.helps


def test_a_wrong_element_type_names_the_line_to_write(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 2), dtype=np.uint8))
    found = refusal(lambda: load(file_at(tmp_path / "x.npy", "npy", dtype="float32"), Input("data"), (1, 2)))
    assert 'say what the files hold: feed "data" files="PATTERN" dtype=uint8' in found.helps


def test_raw_files_of_a_wrong_size_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(23))
    found = refusal(lambda: load(file_at(tmp_path / "x.bin", "bin", dtype="float32"), Input("data"), (1, 6)))
    assert found.message == "x.bin has 23 bytes; float32 1x6 is 24 bytes"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2", "x.txt has 2 numbers; 1x3 is 3"),
        ("1 two 3", "x.txt is not a list of numbers"),
        ("", "x.txt has 0 numbers"),
    ],
)
def test_text_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.txt").write_text(text)
    found = refusal(lambda: load(file_at(tmp_path / "x.txt", "txt"), Input("data"), (1, 3)))
    assert found.code == "E0502"
    assert found.message.startswith(message)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_with_their_index(tmp_path: Path, value: float) -> None:
    values = np.zeros((1, 2, 3), dtype=np.float32)
    values[0, 1, 2] = value
    np.save(tmp_path / "x.npy", values)
    found = refusal(lambda: load(file_at(tmp_path / "x.npy", "npy", dtype="float32"), Input("data"), (1, 2, 3)))
    assert found.code == "E0504"
    assert found.message == f"x.npy has {np.float32(value)} at index [0, 1, 2]"


def test_a_double_too_large_for_float32_is_not_finite(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1e300]]))
    found = refusal(lambda: load(file_at(tmp_path / "x.npy", "npy", dtype="float64"), Input("data"), (1, 1)))
    assert found.code == "E0504"


def test_a_file_that_changed_or_went_away_is_noticed(png: SampleFile) -> None:
    digest = sample_digest([(png, digest_bytes(Path(png.path).read_bytes()))])
    record = preprocess_record(Input("data"), (1, 3, 4, 6), "NCHW")
    Path(png.path).write_bytes(encoded(BIG, "PNG"))
    found = refusal(lambda: load_sample(digest, [png], [record]))
    assert found.code == "E0505"
    assert found.message == "photo.png changed while the build was reading it"
    Path(png.path).unlink()
    assert refusal(lambda: load_sample(digest, [png], [record])).code == "E0505"


def test_a_many_sample_file_that_lost_rows_is_noticed(tmp_path: Path) -> None:
    idx = tmp_path / "images"
    idx.write_bytes(b"\0\0\x08\x03" + struct.pack(">3I", 1, 2, 2) + bytes(4))
    file = file_at(idx, "idx", index=1, dtype="uint8", shape=(2, 2))
    assert refusal(lambda: load(file, Input("data", color="gray"), (1, 1, 2, 2), row=bytes(4))).code == "E0505"
