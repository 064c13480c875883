"""The calibrate step on a small network: borders, parts, join, keys, and samples that spoil it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npudsl.artifacts.float_model import FloatModel
from npudsl.artifacts.statistics import load_statistics, statistics_entries
from npudsl.data.load import load_sample
from npudsl.data.preprocess import preprocess_record
from npudsl.data.resolve import resolve_dataset
from npudsl.data.sample import SampleSet
from npudsl.diagnostics import NpuError
from npudsl.ir.float_run import session
from npudsl.ir.graph import Graph, Node, TensorType
from npudsl.ir.groups import Clamp, LayerGroup
from npudsl.ir.onnx_proto import to_onnx
from npudsl.keys import digest_bytes, digest_record
from npudsl.language.program import Dataset, Feed, Input, Model, PathValue, Program
from npudsl.numerics.pattern_counters import NumpyCounters
from npudsl.numerics.ranges_counters import Observation
from npudsl.steps.calibrate.kind import KIND, CalibrateConfig, config_from, context_from
from npudsl.steps.calibrate.run import expand, join, run_part
from npudsl.steps.calibrate.tap import find_taps

INPUT = Input("data", mean=(2.0,), scale=(0.5,))


def small_model(name: str = "data") -> FloatModel:
    """Conv + Relu, Flatten (passthrough), Log: the last one spoils samples with zeros."""
    shape = TensorType((1, 2, 4, 4))
    weight = np.random.default_rng(1).normal(size=(2, 2, 1, 1)).astype(np.float32)
    graph = Graph(
        name="small",
        inputs=(name,),
        outputs=("out",),
        nodes=(
            Node("conv", "Conv", (name, "weight"), ("conv_out",), {"kernel_shape": [1, 1]}),
            Node("relu", "Relu", ("conv_out",), ("relu_out",)),
            Node("flat", "Flatten", ("relu_out",), ("flat_out",), {"axis": 1}),
            Node("exp", "Exp", ("flat_out",), ("out",)),
        ),
        types={
            name: shape,
            "weight": TensorType((2, 2, 1, 1)),
            "conv_out": shape,
            "relu_out": shape,
            "flat_out": TensorType((1, 32)),
            "out": TensorType((1, 32)),
        },
        constants={"weight": weight},
    )
    groups = (
        LayerGroup("conv", "Conv", ("conv", "relu"), (name,), ("relu_out",), ("weight",), clamp=Clamp(0.0, None)),
        LayerGroup("flat", "Flatten", ("flat",), ("relu_out",), ("flat_out",), passthrough=True),
        LayerGroup("exp", "Exp", ("exp",), ("flat_out",), ("out",)),
    )
    return FloatModel(graph, groups, to_onnx(graph))


def make_samples(folder: Path, count: int, large: tuple[int, ...] = ()) -> SampleSet:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        values = np.random.default_rng(number).normal(size=(1, 2, 4, 4)).astype(np.float32)
        np.save(folder / f"{number:03}.npy", values * np.float32(1e4 if number in large else 1))
    dataset = Dataset("calib", (Feed(None, "dir", PathValue("calib", str(folder))),), samples=count)
    return resolve_dataset(dataset, ["data"], lambda path: digest_bytes(path.read_bytes()))


def program(**more: Any) -> Program:
    return Program("small", "small.npu", 1, Model("small", "onnx", PathValue("small.onnx")), inputs=(INPUT,), **more)


def parts_of(space: Any, samples: SampleSet, previous: list[Any] | None = None) -> list[Any]:
    tree = small_model().save(space)
    record = config_from(program(), samples).record()
    return expand(record, {"model": tree}, space, previous or [], context_from(samples))


def calibrate(space: Any, samples: SampleSet, previous: list[Any] | None = None) -> dict[str, Any]:
    record = config_from(program(), samples).record()
    trees = {
        part.name: run_part(part.record, part.inputs, part.context, space)
        for part in parts_of(space, samples, previous)
    }
    return dict(join(record, {}, trees, space))


def test_borders_are_inputs_and_layer_outputs_without_passthrough() -> None:
    model = small_model()
    taps = find_taps(model.graph, model.groups)
    assert taps.tensors == ("data", "relu_out", "out")
    assert taps.inputs == {"data": ((1, 2, 4, 4), "float32")}


def test_statistics_are_those_of_the_float_model(space: Any, tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "calib", 20)
    tree = calibrate(space, samples)
    assert list(statistics_entries(tree, space)) == ["data", "relu_out", "out"]

    model = small_model()
    loaded = session(to_onnx(model.graph, outputs=["relu_out", "out"]))
    record = preprocess_record(INPUT, (1, 2, 4, 4), "NCHW")
    seen: dict[str, list[np.ndarray]] = {"data": [], "relu_out": [], "out": []}
    for sample in samples.samples:
        tensors = load_sample(sample.digest, sample.files, [record])
        for name, values in {
            **tensors,
            **dict(zip(["relu_out", "out"], loaded.run(None, tensors), strict=True)),
        }.items():
            seen[name].append(values)
    for name, values in seen.items():
        expected = Observation.of(np.stack(values))
        found = load_statistics(tree, space, name)
        assert (found.minimum, found.maximum) == (expected.minimum, expected.maximum)
        assert np.array_equal(found.counts, expected.counts)
        assert found.extremes[7].tolist() == [values[7].min(), values[7].max()]


def test_shards_that_are_kept_change_no_bit(space: Any, tmp_path: Path) -> None:
    first = parts_of(space, make_samples(tmp_path / "calib", 20))
    samples = make_samples(tmp_path / "calib", 37)
    previous = [part.record for part in first]
    assert calibrate(space, samples, previous) == calibrate(space, samples)


def test_sixteen_new_samples_are_one_new_part(space: Any, tmp_path: Path) -> None:
    before = parts_of(space, make_samples(tmp_path / "calib", 20))
    samples = make_samples(tmp_path / "calib", 36)
    after = parts_of(space, samples, [part.record for part in before])
    assert [(part.name, part.record, part.inputs) for part in after[:2]] == [
        (part.name, part.record, part.inputs) for part in before
    ]
    assert after[2].record["samples"] == [sample.digest for sample in samples.samples[20:]]


def test_the_same_samples_twice_are_two_parts_with_two_names(space: Any, tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "calib", 16)
    twice = replace(samples, samples=samples.samples * 2)
    parts = parts_of(space, twice)
    assert len({part.name for part in parts}) == 2
    assert parts[0].record == parts[1].record
    tree, once = calibrate(space, twice), calibrate(space, samples)
    assert load_statistics(tree, space, "out").count == 2 * load_statistics(once, space, "out").count


def test_a_part_is_given_only_its_own_files(space: Any, tmp_path: Path) -> None:
    for part in parts_of(space, make_samples(tmp_path / "calib", 20)):
        assert set(part.context["files"]) == set(part.record["samples"])
        assert str(tmp_path) not in str(part.record)


def test_a_tensor_that_overflows_is_named_with_its_sample(space: Any, tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "calib", 3, large=(1,))
    with pytest.raises(NpuError) as caught:
        calibrate(space, samples)
    found = caught.value.diagnostics[0]
    assert (found.code, found.subject) == ("E0506", "dataset[calib]")
    assert found.message.startswith('tensor "out" has inf at index [0, ')
    assert found.message.endswith("for the sample calib/001.npy")


def test_values_per_channel_are_checked_before_anything_runs(space: Any, tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "calib", 1)
    config = config_from(replace(program(), inputs=(replace(INPUT, mean=(1.0, 2.0, 3.0)),)), samples)
    with pytest.raises(NpuError) as caught:
        expand(config.record(), {"model": small_model().save(space)}, space, [], context_from(samples))
    assert caught.value.diagnostics[0].code == "E0404"


def other_value(name: str) -> Any:
    return {
        "inputs": (Input("data", mean=(1.0,)),),
        "layout": "NHWC",
        "samples": ("other",),
    }[name]


def test_every_field_of_the_config_reaches_the_key() -> None:
    config = CalibrateConfig((INPUT,), "NCHW", ("one", "two"))
    for field in fields(CalibrateConfig):
        changed = replace(config, **{field.name: other_value(field.name)})
        assert digest_record(changed.record()) != digest_record(config.record()), field.name
    assert replace(config, samples=("two", "one")).record() != config.record()


def test_the_order_of_input_blocks_and_the_datasets_name_are_in_no_key(tmp_path: Path) -> None:
    one, two = Input("a"), Input("b")
    assert CalibrateConfig((one, two), "NCHW", ()).record() == CalibrateConfig((two, one), "NCHW", ()).record()
    samples = make_samples(tmp_path / "calib", 2)
    assert config_from(program(), samples) == config_from(program(), replace(samples, name="other"))


def test_every_module_that_decides_a_value_is_part_of_the_key(repository: Path) -> None:
    for name in KIND.code:
        path = repository / Path(*name.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


def test_parts_may_run_in_threads_side_by_side(space: Any, tmp_path: Path) -> None:
    samples = make_samples(tmp_path / "calib", 64)
    record = config_from(program(), samples).record()
    parts = parts_of(space, samples)
    with ThreadPoolExecutor(4) as pool:
        trees = list(pool.map(lambda part: run_part(part.record, part.inputs, part.context, space), parts))
    together = join(record, {}, {part.name: tree for part, tree in zip(parts, trees, strict=True)}, space)
    assert together == calibrate(space, samples)


def test_the_compiled_pass_changes_no_bit(space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(tmp_path / "calib", 20)
    compiled = calibrate(space, samples)
    monkeypatch.setattr("npudsl.steps.calibrate.observe.pattern_counters", NumpyCounters)
    assert calibrate(space, samples) == compiled


def test_a_tensor_that_overflows_is_found_without_the_compiled_pass(
    space: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("npudsl.steps.calibrate.observe.pattern_counters", NumpyCounters)
    with pytest.raises(NpuError) as caught:
        calibrate(space, make_samples(tmp_path / "calib", 3, large=(1,)))
    assert caught.value.diagnostics[0].message.startswith('tensor "out" has inf at index [0, ')
