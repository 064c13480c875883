"""Which samples a dataset block means: order, digests, labels; and every way in which it can mean none."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npudsl.data.resolve import resolve_dataset, shuffled
from npudsl.data.rows import open_rows
from npudsl.data.sample import SampleSet, file_from_record
from npudsl.diagnostics import NpuError
from npudsl.keys import digest_bytes
from npudsl.language.program import Dataset, Feed, Labels, PathValue


def digest_of(path: Path) -> str:
    return digest_bytes(path.read_bytes())


def resolve(dataset: Dataset, inputs: Sequence[str] = ("data",), **more: Any) -> SampleSet:
    return resolve_dataset(dataset, inputs, digest_of, **more)


def refusal(run: Callable[[], object]) -> Any:
    with pytest.raises(NpuError) as caught:
        run()
    return caught.value.diagnostics[0]


def names(samples: SampleSet) -> list[str]:
    return [Path(sample.files[0].path).name for sample in samples.samples]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five files called like images, each with its own contents."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("e", "a", "c", "b", "d"):
        (images / f"{name}.jpg").write_bytes(name.encode())
    return tmp_path


def feed(kind: Any, path: Path, **more: Any) -> Feed:
    return Feed(more.pop("input", None), kind, PathValue(path.name, str(path)), **more)


def listed(folder: Path, text: str, labels: Labels | None = None, **more: Any) -> Dataset:
    (folder / "calib.txt").write_text(text)
    return Dataset("calib", (feed("list", folder / "calib.txt"),), labels=labels, **more)


def test_a_list_keeps_its_order_and_skips_comments_and_blank_lines(folder: Path) -> None:
    text = "# calibration\nimages/c.jpg\n\n  images/a.jpg  # the dog\r\n\timages/b.jpg\n"
    samples = resolve(listed(folder, text))
    assert names(samples) == ["c.jpg", "a.jpg", "b.jpg"]
    assert samples.samples[1].files[0].shown == "images/a.jpg (calib.txt:4)"
    assert samples.name == "calib"


def test_a_name_with_blanks_or_a_hash_inside_can_be_listed(folder: Path) -> None:
    (folder / "images" / "my dog.jpg").write_bytes(b"dog")
    (folder / "images" / "x#1.jpg").write_bytes(b"x")
    assert names(resolve(listed(folder, '"images/my dog.jpg"\nimages/x#1.jpg\n'))) == ["my dog.jpg", "x#1.jpg"]


def test_a_list_with_a_byte_order_mark_reads_the_same(folder: Path) -> None:
    assert names(resolve(listed(folder, "\ufeffimages/a.jpg\n"))) == ["a.jpg"]


def test_columns_of_a_list_are_the_inputs_in_order(folder: Path) -> None:
    np.save(folder / "x.npy", np.zeros(3))
    samples = resolve(listed(folder, "images/a.jpg x.npy\n"), ["left", "right"])
    assert [(file.input, file.format) for file in samples.samples[0].files] == [("left", "image"), ("right", "npy")]


def test_absolute_paths_and_dots_in_a_list_lead_where_they_say(folder: Path) -> None:
    text = f"{folder}/images/a.jpg\nimages/../images/b.jpg\n"
    assert names(resolve(listed(folder, text))) == ["a.jpg", "b.jpg"]


def test_labels_stand_in_the_last_column(folder: Path) -> None:
    dataset = listed(folder, "images/a.jpg 7\nimages/b.jpg 0\n", Labels("column", offset=1))
    assert [sample.label for sample in resolve(dataset).samples] == [8, 1]


def test_a_directory_is_its_files_in_name_order(folder: Path) -> None:
    (folder / "images" / ".hidden").write_bytes(b"")
    samples = resolve(Dataset("calib", (feed("dir", folder / "images"),)))
    assert names(samples) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert str(folder / "images") in samples.inputs_read


def test_a_directory_of_directories_has_one_sample_each(tmp_path: Path) -> None:
    for number in ("01", "00"):
        for name in ("a_0", "b.bin_"):
            path = tmp_path / "set" / number / f"{name}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(number.encode() + name.encode())
    samples = resolve(Dataset("calib", (feed("dir", tmp_path / "set"),)), ["a:0", "b.bin/"])
    assert [[file.shown for file in sample.files] for sample in samples.samples] == [
        ["set/00/a_0.bin", "set/00/b.bin_.bin"],
        ["set/01/a_0.bin", "set/01/b.bin_.bin"],
    ]
    assert {str(tmp_path / "set"), str(tmp_path / "set" / "00"), str(tmp_path / "set" / "01")} <= set(
        samples.inputs_read
    )


def test_patterns_stay_in_a_segment_and_two_stars_do_not(folder: Path) -> None:
    deep = folder / "images" / "more"
    deep.mkdir()
    (deep / "f.jpg").write_bytes(b"f")
    (deep / "g.png").write_bytes(b"g")
    (folder / "images" / ".secret").mkdir()
    (folder / "images" / ".secret" / "h.jpg").write_bytes(b"h")

    def found(pattern: str) -> list[str]:
        return names(resolve(Dataset("calib", (feed("files", folder, pattern=pattern),))))

    assert found("images/*.jpg") == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert found("images/[a-b].jpg") == ["a.jpg", "b.jpg"]
    assert found("images/?.jpg") == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert found("**/{f,a}.jpg") == ["a.jpg", "f.jpg"]
    assert found("**/*.png") == ["g.png"]
    assert found("images/**") == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.jpg", "g.png"]
    assert found("images/more/*.{png,jpg}") == ["f.jpg", "g.png"]


def test_every_directory_that_a_pattern_looked_into_is_watched(folder: Path) -> None:
    (folder / "images" / "empty").mkdir()
    samples = resolve(Dataset("calib", (feed("files", folder, pattern="**/*.jpg"),)))
    assert {str(folder), str(folder / "images"), str(folder / "images" / "empty")} <= set(samples.inputs_read)


def test_feeds_of_two_inputs_are_paired_by_folder(tmp_path: Path) -> None:
    for number in range(3):
        for name in ("740_x", "state"):
            path = tmp_path / str(number) / f"{name}.bin"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(f"{number}{name}".encode())
    feeds = (
        feed("files", tmp_path, input="state", pattern="*/state*.bin"),
        feed("files", tmp_path, input="740", pattern="*/740*.bin", dtype="int8"),
    )
    samples = resolve(Dataset("clips", feeds), ["740", "state"])
    assert [[Path(file.path).read_text() for file in sample.files] for sample in samples.samples] == [
        [f"{number}740_x", f"{number}state"] for number in range(3)
    ]
    assert samples.samples[0].files[0].dtype == "int8"
    assert samples.samples[0].files[1].dtype == "float32"


def idx_file(path: Path, values: np.ndarray, code: int) -> Path:
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, code, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(values.dtype.newbyteorder(">")).tobytes())
    return path


def test_rows_of_an_idx_file_are_samples_with_idx_labels(tmp_path: Path) -> None:
    images = np.arange(5 * 4, dtype=np.uint8).reshape(5, 2, 2)
    path = idx_file(tmp_path / "images", images, 0x08)
    labels = idx_file(tmp_path / "labels", np.array([3, 1, 4, 1, 5], dtype=np.uint8), 0x08)
    dataset = Dataset(
        "digits", (feed("idx", path),), skip=1, samples=2, labels=Labels("idx", PathValue("labels", str(labels)))
    )
    samples = resolve(dataset)
    assert [sample.label for sample in samples.samples] == [1, 4]
    file = samples.samples[0].files[0]
    assert (file.index, file.dtype, file.shape, file.shown) == (1, "uint8", (2, 2), "images[1]")


@pytest.mark.parametrize("compressed", [False, True])
def test_rows_of_an_npz_array_are_samples(tmp_path: Path, compressed: bool) -> None:
    values = np.random.default_rng(0).normal(size=(6, 3, 4)).astype(np.float32)
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "a.npz", x=values, other=np.zeros(2))
    dataset = Dataset("calib", (feed("npz", tmp_path / "a.npz", pattern="x"),), shuffle_seed=1)
    samples = resolve(dataset, input_shapes={"data": (1, 3, 4)})
    rows = [sample.files[0].index for sample in samples.samples]
    assert sorted(rows) == list(range(6))
    assert rows == shuffled(6, 1)
    assert samples.samples[0].files[0].shown == f'a.npz["x"][{rows[0]}]'


def test_the_same_row_has_the_same_digest_wherever_it_lies(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", x=values)
    np.savez_compressed(tmp_path / "b.npz", y=np.concatenate([values[2:], values]))
    one = resolve(Dataset("one", (feed("npz", tmp_path / "a.npz", pattern="x"),))).samples
    two = resolve(Dataset("two", (feed("npz", tmp_path / "b.npz", pattern="y"),))).samples
    assert [sample.digest for sample in two[2:]] == [sample.digest for sample in one]
    assert two[0].digest == one[2].digest
    assert len({sample.digest for sample in one}) == 4


def test_a_digest_tells_contents_not_places(folder: Path) -> None:
    (folder / "images" / "copy.jpg").write_bytes(b"a")
    samples = resolve(listed(folder, "images/a.jpg\nimages/copy.jpg\nimages/b.jpg\n")).samples
    assert samples[0].digest == samples[1].digest != samples[2].digest


def test_a_digest_tells_how_raw_bytes_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(8))

    def digest(**more: Any) -> str:
        found = resolve(Dataset("calib", (feed("files", tmp_path, input="data", pattern="x.bin", **more),)))
        return found.samples[0].digest

    assert len({digest(), digest(dtype="int8"), digest(shape=(1, 2))}) == 3
    assert digest() == digest(dtype="float32")


def test_skip_and_samples_come_after_the_shuffle(folder: Path) -> None:
    def chosen(**more: Any) -> list[str]:
        return names(resolve(Dataset("calib", (feed("dir", folder / "images"),), **more)))

    everything = chosen(shuffle_seed=7)
    assert sorted(everything) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    assert chosen(shuffle_seed=7, samples=2) + chosen(shuffle_seed=7, skip=2) == everything
    assert chosen(skip=1, samples=2) == ["b.jpg", "c.jpg"]


def test_the_shuffle_is_documented_and_stable_when_samples_are_added() -> None:
    expected = sorted(range(20), key=lambda i: hashlib.sha256(f"7:{i}".encode()).hexdigest())
    assert shuffled(20, 7) == expected
    assert [i for i in shuffled(25, 7) if i < 20] == expected
    assert shuffled(20, 8) != expected


def test_a_label_file_matches_by_path_and_by_unique_name(folder: Path) -> None:
    (folder / "labels.txt").write_text("images/a.jpg 1\nelsewhere/b.jpg 2\n# c\nimages/c.jpg 3\nother/c.jpg 4\n")
    labels = Labels("file", PathValue("labels.txt", str(folder / "labels.txt")))
    dataset = listed(folder, "images/c.jpg\nimages/a.jpg\nimages/b.jpg\n", labels)
    samples = resolve(dataset)
    assert [sample.label for sample in samples.samples] == [3, 1, 2]
    assert str(folder / "labels.txt") in samples.inputs_read


def test_a_label_file_with_one_column_goes_by_position(folder: Path) -> None:
    (folder / "labels.txt").write_text("1\n2\n3\n4\n5\n")
    labels = Labels("file", PathValue("labels.txt", str(folder / "labels.txt")))
    dataset = Dataset("calib", (feed("dir", folder / "images"),), skip=3, labels=labels)
    assert [sample.label for sample in resolve(dataset).samples] == [4, 5]


def test_a_label_file_among_the_images_is_no_sample(folder: Path) -> None:
    path = folder / "images" / "labels.txt"
    path.write_text("1\n2\n3\n4\n5\n")
    labels = Labels("file", PathValue("images/labels.txt", str(path)))
    assert len(resolve(Dataset("calib", (feed("dir", folder / "images"),), labels=labels)).samples) == 5


def test_labels_are_in_no_digest(folder: Path) -> None:
    with_labels = resolve(listed(folder, "images/a.jpg 7\n", Labels("column")))
    without = resolve(listed(folder, "images/a.jpg\n"))
    assert with_labels.records() == without.records()


def test_the_context_finds_every_file_again(folder: Path) -> None:
    samples = resolve(listed(folder, "images/a.jpg\nimages/b.jpg\n"))
    context = samples.context()
    for sample in samples.samples:
        assert tuple(file_from_record(record) for record in context[sample.digest]) == sample.files


# What is refused.


@pytest.mark.parametrize("text", ["", "# nothing\n\n"])
def test_an_empty_list_is_an_error(folder: Path, text: str) -> None:
    found = refusal(lambda: resolve(listed(folder, text)))
    assert (found.code, found.subject) == ("E0501", "dataset[calib].list")
    assert found.message == 'dataset "calib" is empty: no sample found'


def test_a_pattern_without_a_match_is_an_error(folder: Path) -> None:
    found = refusal(lambda: resolve(Dataset("calib", (feed("files", folder, pattern="*.jpeg"),))))
    assert (found.code, found.subject) == ("E0501", "dataset[calib].files")


@pytest.mark.parametrize("pattern", ["../*.jpg", "/etc/*", "", "a/../../b"])
def test_a_pattern_stays_in_its_folder(folder: Path, pattern: str) -> None:
    assert refusal(lambda: resolve(Dataset("calib", (feed("files", folder, pattern=pattern),)))).code == "E0501"


def test_missing_files_are_named_with_their_lines_at_most_three(folder: Path) -> None:
    lines = ["images/a.jpg"] + [f"images/no{number}.jpg" for number in range(5)]
    found = refusal(lambda: resolve(listed(folder, "\n".join(lines))))
    assert found.code == "E0501"
    assert found.message == 'dataset "calib": 5 files do not exist'
    assert found.notes == (
        "images/no0.jpg (calib.txt:2)",
        "images/no1.jpg (calib.txt:3)",
        "images/no2.jpg (calib.txt:4)",
        "and 2 more",
    )


def test_only_chosen_samples_must_exist(folder: Path) -> None:
    assert names(resolve(listed(folder, "images/a.jpg\nimages/no.jpg\n", samples=1))) == ["a.jpg"]


def test_a_directory_in_a_list_is_no_file(folder: Path) -> None:
    (folder / "x.jpg").mkdir()
    assert refusal(lambda: resolve(listed(folder, "x.jpg\n"))).code == "E0501"


def test_more_samples_than_there_are_is_an_error(folder: Path) -> None:
    found = refusal(lambda: resolve(listed(folder, "images/a.jpg\nimages/b.jpg\n", samples=3)))
    assert (found.code, found.subject) == ("E0501", "dataset[calib].samples")
    assert found.message == 'dataset "calib" has 2 samples, and samples = 3 asks for more'
    found = refusal(lambda: resolve(listed(folder, "images/a.jpg\nimages/b.jpg\n", skip=1, samples=2)))
    assert found.message == 'dataset "calib" has 1 samples after skip = 1, and samples = 2 asks for more'
    assert refusal(lambda: resolve(listed(folder, "images/a.jpg\n", skip=1))).subject == "dataset[calib].skip"


def test_missing_lists_and_folders_are_errors(tmp_path: Path) -> None:
    for kind in ("list", "dir", "idx", "npz"):
        dataset = Dataset("calib", (feed(kind, tmp_path / "none", pattern="x"),))
        found = refusal(lambda dataset=dataset: resolve(dataset))
        assert (found.code, found.subject) == ("E0501", f"dataset[calib].{kind}")
        assert "none" in found.message


def test_a_list_that_is_no_text_is_an_error(folder: Path) -> None:
    (folder / "calib.txt").write_bytes(b"\xff\xd8\xff\xe0")
    found = refusal(lambda: resolve(Dataset("calib", (feed("list", folder / "calib.txt"),))))
    assert found.message == "calib.txt is not a list: byte 0 is not UTF-8 text"


def test_a_line_with_a_wrong_number_of_columns_is_an_error(folder: Path) -> None:
    found = refusal(lambda: resolve(listed(folder, "images/a.jpg\nimages/b.jpg 3\n")))
    assert found.code == "E0503"
    assert str(found.places[0]) == "calib.txt:2"
    assert found.message == "the line has 2 columns; 1 expected"
    assert "labels = true" in found.helps[0]
    found = refusal(lambda: resolve(listed(folder, "images/a.jpg\n"), ["a", "b"]))
    assert found.message == "the line has 1 column; 2 expected"


def test_an_unknown_suffix_is_an_error(folder: Path) -> None:
    (folder / "x.doc").write_bytes(b"")
    found = refusal(lambda: resolve(listed(folder, "x.doc\n")))
    assert found.code == "E0502"
    assert "x.doc (calib.txt:1)" in found.message


def test_a_folder_with_other_files_is_an_error(folder: Path) -> None:
    (folder / "images" / "notes.txt").write_text("hello")
    found = refusal(lambda: resolve(Dataset("calib", (feed("dir", folder / "images"),))))
    assert found.code == "E0502"
    assert "images/notes.txt" in found.message


def test_inputs_without_a_feed_and_feeds_without_an_input_are_errors(folder: Path) -> None:
    feeds = (feed("files", folder, input="a", pattern="images/*.jpg"),)
    found = refusal(lambda: resolve(Dataset("calib", feeds), ["a", "b"]))
    assert (found.code, found.message) == ("E0503", 'dataset "calib" has no feed for "b"')
    found = refusal(lambda: resolve(Dataset("calib", feeds), ["b"]))
    assert (found.code, found.message) == ("E0503", 'the model has no input "a"')
    assert found.subject == "dataset[calib].feed[a]"
    assert refusal(lambda: resolve(Dataset("calib", ()), ["b"])).code == "E0503"
    one = Dataset("calib", (feed("files", folder, pattern="images/*.jpg"),))
    assert refusal(lambda: resolve(one, ["a", "b"])).code == "E0503"


def test_counts_of_paired_feeds_must_agree(folder: Path) -> None:
    feeds = (
        feed("files", folder, input="a", pattern="images/*.jpg"),
        feed("files", folder, input="b", pattern="images/[a-c].jpg"),
    )
    found = refusal(lambda: resolve(Dataset("calib", feeds), ["a", "b"]))
    assert found.message == '"b" has 3 files and "a" has 5'


def test_files_of_one_sample_lie_in_one_folder(tmp_path: Path) -> None:
    for name in ("0/a.bin", "1/a.bin", "1/b.bin", "2/b.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    feeds = tuple(feed("files", tmp_path, input=name, pattern=f"*/{name}.bin") for name in ("a", "b"))
    found = refusal(lambda: resolve(Dataset("calib", feeds), ["a", "b"]))
    assert found.message == 'the folder 0 has a file for only one of "a" and "b"'


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["0/a.bin"], 'set/0 has no file called "b.*" for the input "b"'),
        (["0/a.bin", "0/b.bin", "0/b.npy"], 'set/0 has 2 files called "b.*"'),
        (["0/a.bin", "0/b.bin", "0/c.bin"], "set/0/c.bin belongs to no input"),
        (["0/a.bin", "0/b.bin", "readme.bin"], "set holds both files (readme.bin) and folders (0)"),
        (["a.bin"], "set has no folders"),
    ],
)
def test_folders_that_are_no_samples_are_errors(tmp_path: Path, files: list[str], words: str) -> None:
    for name in files:
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(b"")
    found = refusal(lambda: resolve(Dataset("calib", (feed("dir", tmp_path / "set"),)), ["a", "b"]))
    assert found.code == "E0503"
    assert words in found.message


def test_dtype_on_images_is_refused(folder: Path) -> None:
    feeds = (feed("files", folder, input="data", pattern="images/*.jpg", dtype="uint8"),)
    assert "say nothing about an image" in refusal(lambda: resolve(Dataset("calib", feeds))).message


def test_raw_files_of_a_wrong_size_are_found_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(10))
    dataset = Dataset("calib", (feed("files", tmp_path, pattern="*.bin"),))
    found = refusal(lambda: resolve(dataset, input_shapes={"data": (1, 10)}))
    assert found.code == "E0502"
    assert found.message.endswith('/x.bin has 10 bytes; float32 1x10 of "data" is 40 bytes')


GOOD_IDX = struct.pack(">BBBB2I", 0, 0, 0x08, 2, 2, 3) + bytes(6)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not an idx file"),
        (b"\x1f\x8b\x08\x00", "is compressed"),
        (b"\x89PNG\r\n", "is not an idx file"),
        (GOOD_IDX[:6], "ends inside its header"),
        (GOOD_IDX[:-1], "holds 5 bytes of data; its header says 6"),
        (GOOD_IDX + b"\0", "holds 7 bytes of data; its header says 6"),
        (struct.pack(">BBBB2I", 0, 0, 0x08, 2, 2**31, 2**31), "holds 0 bytes of data"),
    ],
)
def test_broken_idx_files_are_refused(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "images").write_bytes(data)
    found = refusal(lambda: resolve(Dataset("digits", (feed("idx", tmp_path / "images"),))))
    assert (found.code, found.subject) == ("E0502", "dataset[digits].idx")
    assert words in found.message


def test_npz_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((2, 3)), f=np.asfortranarray(np.zeros((2, 3), dtype=np.float32)), n=np.float32(1))

    def message(key: str, **more: Any) -> str:
        found = refusal(lambda: resolve(Dataset("calib", (feed("npz", path, pattern=key),)), **more))
        assert found.code == "E0502"
        return str(found.message)

    assert message("y") == 'a.npz has no array "y"'
    assert message("x") == "a.npz holds float64, and float32 is expected"
    assert message("f") == "a.npz is in column-major order"
    assert message("n") == "a.npz holds one number, not rows of samples"
    np.savez(path, x=np.zeros((2, 3), dtype=np.float32))
    assert "has the shape 3, and one sample is 1x4" in message("x", input_shapes={"data": (1, 4)})
    path.write_bytes(path.read_bytes()[:100])
    assert "cannot be read as npz" in message("x")
    np.savez(path, x=np.array([[1], ["a"]], dtype=object), allow_pickle=True)
    assert "holds object" in message("x")


def test_labels_that_do_not_fit_are_refused(folder: Path) -> None:
    path = folder / "labels.txt"
    by_file = Labels("file", PathValue("labels.txt", str(path)))
    text = "images/a.jpg\nimages/b.jpg\n"

    def refused(labels: Labels, content: str, lines: str = text) -> Any:
        path.write_text(content)
        found = refusal(lambda: resolve(listed(folder, lines, labels)))
        assert found.code == "E0507"
        return found

    assert refused(Labels("column"), "", "images/a.jpg cat\n").message == '"cat" is not a class index'
    assert str(refused(Labels("column"), "", "images/a.jpg -1\n").places[0]) == "calib.txt:1"
    found = refused(by_file, "images/a.jpg 1\n")
    assert found.message == "labels.txt has no class index for 1 of 2 samples"
    assert found.notes == ("images/b.jpg (calib.txt:2)",)
    assert refused(by_file, "1\n2\n3\n").message == "labels.txt has 3 class indices and the dataset has 2 samples"
    assert "columns" in refused(by_file, "images/a.jpg 1 2\n").message
    assert refused(by_file, "images/a.jpg x\n").message == '"x" is not a class index'
    by_column = Dataset("calib", (feed("dir", folder / "images"),), labels=Labels("column"))
    assert refusal(lambda: resolve(by_column)).code == "E0507"


def test_idx_labels_must_be_whole_numbers_for_every_sample(tmp_path: Path) -> None:
    images = idx_file(tmp_path / "images", np.zeros((3, 2, 2), dtype=np.uint8), 0x08)

    def refused(values: np.ndarray, code: int) -> str:
        labels = Labels("idx", PathValue("labels", str(idx_file(tmp_path / "labels", values, code))))
        found = refusal(lambda: resolve(Dataset("digits", (feed("idx", images),), labels=labels)))
        assert found.code == "E0507"
        return str(found.message)

    assert refused(np.zeros(2, dtype=np.uint8), 0x08) == "labels has 2 class indices and the dataset has 3 samples"
    assert "is no label file" in refused(np.zeros((3, 1), dtype=np.uint8), 0x08)
    assert "is no label file" in refused(np.zeros(3, dtype=np.float32), 0x0D)


def test_mnist_is_a_thousand_images_with_labels(shared: Path) -> None:
    folder = shared / "datasets" / "mnist"
    dataset = Dataset(
        "digits",
        (feed("idx", folder / "t10k-first1000-images-idx3-ubyte"),),
        labels=Labels("idx", PathValue("labels", str(folder / "t10k-first1000-labels-idx1-ubyte"))),
    )
    samples = resolve(dataset).samples
    assert len(samples) == 1000
    assert [sample.label for sample in samples[:5]] == [7, 2, 1, 0, 4]


def test_threads_that_read_one_archive_do_not_disturb_each_other(tmp_path: Path) -> None:
    values = np.arange(64 * 300, dtype=np.float32).reshape(64, 300)
    np.savez_compressed(tmp_path / "a.npz", x=values)

    def read(order: list[int]) -> bool:
        for index in order:
            rows = open_rows(str(tmp_path / "a.npz"), "npz", "x", "a.npz", None)
            if b"".join(rows.chunks(index)) != values[index].tobytes():
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, [shuffled(64, seed) for seed in range(4)]))
