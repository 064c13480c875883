"""The export step with exporters made for the test."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from memory_space import StepRunner
from small_network import INPUT, ProgramMaker, float_model, write_samples

from npudsl.artifacts import export_bundle
from npudsl.artifacts.export_bundle import ExportBundle
from npudsl.diagnostics import Problem, StepFailed
from npudsl.keys.code import code_digest
from npudsl.language.program import Call, PathValue, Size
from npudsl.machine.execute import Machine
from npudsl.steps.export import run
from npudsl.steps.export.kind import ExportConfig, context_from, export_kind, export_step, option_value
from npudsl.steps.export.run import ZERO_SAMPLE_NOTE

REQUESTS = []


class Bench:
    def __init__(self, folder):
        self.runner = StepRunner()
        space = self.runner.space
        self.samples, self.tensors = write_samples(folder, 2)
        model = float_model()
        self.program = ProgramMaker(model, self.tensors, space).program(mixed=True)
        self.inputs = {"model": model.save(space), "quantized": self.program.save(space)}

    def tree(self, *, sample=True, **settings):
        chosen = self.samples.samples[0] if sample else None
        config = ExportConfig("toy", "small", {"level": 3}, (INPUT,), sample=chosen and chosen.digest)
        step = export_step(config, name="board.toy", inputs={}, context=context_from(chosen, "target[b].export[toy]"))
        return self.runner.run(run, step, self.inputs)

    def read(self, tree, name):
        return self.runner.space.read_bytes(tree[name])


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def exporter(monkeypatch):
    """Makes ``toy`` a known exporter that answers with the given bundle."""

    def install(bundle):
        def export(request):
            REQUESTS.append(request)
            return bundle

        module = ModuleType("toy_exporter_module")
        module.export = export
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(export_bundle.BUILT_IN_EXPORTERS, "toy", f"{module.__name__}:export")

    REQUESTS.clear()
    return install


def test_files_of_the_bundle_are_blobs_of_the_tree(bench, exporter):
    exporter(ExportBundle({"main.c": b"int main;", "bin/run": b"#!"}, frozenset({"bin/run"}), ("run make",)))

    tree = bench.tree()

    assert bench.read(tree, "files/main.c") == b"int main;"
    assert bench.runner.space.read_json(tree["bundle.json"]) == {
        "files": ["bin/run", "main.c"],
        "executable": ["bin/run"],
        "notes": ["run make"],
    }
    assert set(tree) == {"bundle.json", "files/main.c", "files/bin/run"}


def test_an_exporter_gets_the_program_its_options_and_a_golden_run(bench, exporter):
    exporter(ExportBundle({"a": b""}))

    bench.tree()

    request = REQUESTS[0]
    assert (request.name, request.options, request.subject) == ("small", {"level": 3}, "target[b].export[toy]")
    assert request.quantized == bench.program
    assert request.model.groups == float_model().groups
    machine = Machine(bench.program, bench.runner.space)
    entering = machine.quantize_input(bench.tensors[0], "data")
    expected = {"data": entering, **machine.run({"data": entering}, keep="all")}
    assert set(request.golden.values) == set(expected)
    assert all(np.array_equal(request.golden.values[name], expected[name]) for name in expected)


def test_a_bundle_may_be_a_single_file(bench, exporter):
    exporter(ExportBundle({"": b"onnx"}))

    assert bench.read(bench.tree(), "files/") == b"onnx"


def test_without_a_sample_the_golden_input_is_zeros_and_says_so(bench, exporter):
    exporter(ExportBundle({"a": b""}))

    tree = bench.tree(sample=False)

    zero = bench.program.tensors["data"].zero_point
    assert np.all(REQUESTS[0].golden.values["data"] == zero)
    assert bench.runner.space.read_json(tree["bundle.json"])["notes"] == [ZERO_SAMPLE_NOTE]


@pytest.mark.parametrize("path", ["../out.c", "/etc/passwd", "a/../../b", "a\\b", "."])
def test_a_file_outside_the_exports_folder_is_refused(bench, exporter, path):
    exporter(ExportBundle({path: b"", "fine": b""}))

    with pytest.raises(StepFailed, match="E0901"):
        bench.tree()


def test_an_unknown_kind_names_the_known_ones():
    with pytest.raises(Problem) as caught:
        export_kind("c-projekt", "target[b].export[x].kind")

    diagnostic = caught.value.diagnostics[0]
    assert (diagnostic.code, diagnostic.subject) == ("E0211", "target[b].export[x].kind")
    assert diagnostic.message == "`c-projekt` is not a kind of export here"
    assert "c-project" in diagnostic.helps[0]


def test_the_exporters_source_is_part_of_the_key(monkeypatch):
    monkeypatch.setitem(export_bundle.BUILT_IN_EXPORTERS, "one", "npudsl.numerics.types:export")
    monkeypatch.setitem(export_bundle.BUILT_IN_EXPORTERS, "other", "json.decoder:export")

    assert "npudsl.numerics" in export_kind("one").code
    assert "json" in export_kind("other").code
    assert code_digest(export_kind("one").code) != code_digest(export_kind("other").code)


def test_options_are_plain_values_in_the_record():
    assert option_value(PathValue("out/x", "/elsewhere/out/x")) == "out/x"
    assert option_value(Size((1, 3, 0, 224))) == [1, 3, 0, 224]
    assert option_value([True, 2, 0.5, "x", None]) == [True, 2, 0.5, "x", None]
    assert option_value(Call("kl", (("bins", 2048),))) == "kl(bins=2048)"
