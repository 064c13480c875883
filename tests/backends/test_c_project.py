"""The c-project exporter: exported, compiled and run, it gives the numpy machine's bytes."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest
from c_project_cases import Cases, compiler, export_to, golden_values, make, request_for, run
from c_project_layers import LAYERS

from npudsl.artifacts.quantized_model import IntegerLayer, Requantization
from npudsl.backends.c_project import export
from npudsl.backends.c_project.golden import little_endian
from npudsl.diagnostics import Problem
from npudsl.machine.execute import Machine

pytestmark = pytest.mark.skipif(
    compiler() is None or shutil.which("make") is None, reason="needs gcc and make to build the exported project"
)

STRICT = "CFLAGS=-O2 -pedantic -Wconversion -Wshadow -Wcast-align -Werror"
"""-Wall -Wextra are in the Makefile."""


def random_program(seed, count):
    cases = Cases(seed)
    for layer in LAYERS.values():
        for _ in range(count):
            layer(cases)
    return cases


@pytest.fixture(scope="module")
def batch(tmp_path_factory):
    """Ten random layers of every operation, exported and built with all warnings as errors."""
    folder = tmp_path_factory.mktemp("batch")
    cases = random_program(0, 10)
    export_to(folder, cases.model(), cases.blobs, cases.values)
    built = make(folder, STRICT)
    assert built.status == 0, built.text
    return folder, cases


def inputs_of(folder, cases):
    return [folder / "golden" / f"input_{index}.dat" for index in range(len(cases.inputs))]


def test_every_operation_gives_the_bytes_of_the_numpy_machine(batch):
    folder, cases = batch
    checked = make(folder, STRICT, "check")

    assert checked.status == 0, checked.text
    assert f"ok   {len(cases.inputs) + len(cases.layers)} tensors, byte for byte" in checked.text


def test_a_dump_has_every_tensor_and_the_same_list_as_the_known_answer(batch, tmp_path):
    folder, cases = batch
    dump, outputs = tmp_path / "dump", tmp_path / "outputs"
    dump.mkdir()
    outputs.mkdir()
    done = run(folder, "./cases", "weights.bin", *inputs_of(folder, cases), "--dump", dump, "--output", outputs)
    model = cases.model()
    golden = golden_values(model, cases.blobs, cases.values)

    assert done.status == 0, done.text
    assert (dump / "layers.txt").read_bytes() == (folder / "golden" / "layers.txt").read_bytes()
    lines = [line.split(maxsplit=4) for line in (dump / "layers.txt").read_text().splitlines()[1:]]
    assert [name for _, _, _, _, name in lines] == [*model.inputs, *(layer.outputs[0] for layer in model.layers)]
    for _, file, type_name, _, name in lines:
        assert type_name == model.tensors[name].type
        assert (dump / file).read_bytes() == little_endian(golden[name], model.tensors[name])
    for index, name in enumerate(model.outputs):
        dimensions = "".join(f"_{extent}" for extent in model.tensors[name].shape)
        assert (outputs / f"output{index}{dimensions}.dat").read_bytes() == little_endian(
            golden[name], model.tensors[name]
        )


@pytest.mark.parametrize(
    "arguments",
    [["CFLAGS=-O0"], ["CFLAGS=-O3"], ["CFLAGS=-O1 -g", "SANITIZE=address,undefined"], ["build_type=debug"]],
    ids=["O0", "O3", "sanitizers", "debug"],
)
def test_no_optimization_level_changes_a_byte_and_sanitizers_are_silent(arguments, batch, tmp_path):
    folder, _ = batch
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("build", "cases"))
    checked = make(copy, *arguments, "check")

    assert checked.status == 0, checked.text


def test_layers_larger_than_one_tile_and_rows_longer_than_one_dot_product(tmp_path):
    cases = Cases(5)
    source = cases.input((1, 300, 9, 9), "u8", 120)
    cases.layer(
        "conv",
        [source],
        (1, 6, 9, 9),
        "u8",
        attributes={"strides": [1, 1], "pads": [2] * 4, "dilations": [1, 1], "group": 1, "weight_zero_point": 130},
        constants={"weight": cases.codes("u8", (6, 300, 5, 5)), "bias": np.arange(6, dtype=np.int32)},
        requantize=Requantization((1 << 30,), (45,), "half_even", 128, 0, 255),
    )
    row = cases.input((3, 40000), "u8", 128)
    cases.layer(
        "linear",
        [row],
        (3, 5),
        "i16",
        attributes={"weight_zero_point": 128},
        constants={"weight": cases.random.integers(0, 100, (5, 40000)).astype(np.uint8)},
        requantize=Requantization((1,), (8,), "half_away", 0, -32768, 32767),
    )
    pair = cases.input((2, 70, 33), "i8", -3), cases.input((2, 33, 130), "u8", 7)
    cases.layer("matmul", pair, (2, 70, 130), "i8", requantize=cases.requantization("i8", 20000))
    export_to(tmp_path, cases.model(), cases.blobs, cases.values)
    checked = make(tmp_path, "check")

    assert checked.status == 0, checked.text


def chain():
    """A small network with names that are hard for C: conv, relu, reshape, linear, softmax."""
    cases = Cases(3)
    image = cases.tensor("int", (1, 3, 8, 8), "u8", 128, 0.0173)
    cases.inputs.append(image.name)
    cases.values[image.name] = cases.codes("u8", image.shape)
    per_channel = cases.requantization("u8", 40000, 4, "half_even", 10)
    hidden = cases.layer(
        "conv",
        [image],
        (1, 4, 8, 8),
        "u8",
        attributes={"strides": [1, 1], "pads": [1] * 4, "dilations": [1, 1], "group": 1, "weight_zero_point": 0},
        constants={"weight": cases.codes("i8", (4, 3, 3, 3)), "bias": np.array([5, -7, 900, 0], dtype=np.int32)},
        requantize=per_channel,
    )
    flat = cases.layer("reshape", [hidden], (1, 256), "u8", point=10)
    scores = cases.layer(
        "linear",
        [flat],
        (1, 10),
        "i8",
        attributes={"weight_zero_point": 0},
        constants={"weight": cases.codes("i8", (10, 256))},
        requantize=cases.requantization("i8", 100000, rounding="double", zero_point=-5),
    )
    cases.layer("rescale", [scores], (1, 10), "i16", requantize=cases.requantization("i16", 130))
    return cases


def renamed(cases, names):
    """The layers and tensors of a chain under other names, in order."""
    words = dict(zip([name for name in cases.tensors if name not in cases.inputs], names, strict=True))
    layers = []
    for layer, name in zip(cases.layers, names, strict=True):
        layers.append(
            IntegerLayer(
                name,
                layer.operation,
                tuple(words.get(item, item) for item in layer.inputs),
                (name,),
                layer.attributes,
                layer.constants,
                layer.requantize,
            )
        )
    cases.layers = layers
    cases.tensors = {words.get(name, name): tensor for name, tensor in cases.tensors.items()}
    cases.tensors = {
        name: type(tensor)(name, tensor.shape, tensor.type, tensor.scheme, tensor.scale, tensor.zero_point)
        for name, tensor in cases.tensors.items()
    }
    return cases


@pytest.fixture(scope="module")
def built_chain(tmp_path_factory):
    """The chain, exported and built."""
    folder = tmp_path_factory.mktemp("chain")
    cases = chain()
    export_to(folder, cases.model([cases.layers[-1].outputs[0]]), cases.blobs, cases.values, "lenet")
    built = make(folder)
    assert built.status == 0, built.text
    return folder


@pytest.fixture
def project(built_chain, tmp_path):
    """A copy of the built chain that a test may damage."""
    return shutil.copytree(built_chain, tmp_path / "lenet")


def flip_bit(file, position):
    data = bytearray(file.read_bytes())
    data[position] ^= 4
    file.write_bytes(bytes(data))


def test_a_flipped_bit_in_the_weights_is_found_and_the_constant_is_named(project):
    flip_bit(project / "weights.bin", -20)
    checked = make(project, "check")

    assert checked.status != 0
    assert 'weights.bin: the constant "linear/2/weight" is damaged (checksum)' in checked.text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"something else entirely, not weights", "not a weights file"),
        (None, "the weights file is cut off or too long"),
        ("other", "the weights belong to another model or to another export of this one"),
    ],
    ids=["other content", "cut off", "other model"],
)
def test_weights_that_do_not_belong_are_refused(data, message, project, tmp_path_factory):
    file = project / "weights.bin"
    if data is None:
        file.write_bytes(file.read_bytes()[:-16])
    elif data == "other":
        other = chain()
        other.layers[0].constants["bias"] = other.blobs.write_array(np.array([5, -7, 901, 0], dtype=np.int32))
        export_to(tmp_path_factory.mktemp("other"), other.model(), other.blobs, other.values)
        model = other.model()
        file.write_bytes(export(request_for(model, other.blobs, other.values)).files["weights.bin"])
    else:
        file.write_bytes(data)
    checked = make(project, "check")

    assert checked.status != 0
    assert message in checked.text


def test_a_changed_golden_output_is_found_and_the_layer_is_named(project):
    flip_bit(project / "golden" / "output0_1_10.dat", 6)
    checked = make(project, "check")

    assert checked.status != 0
    assert "ok   5 tensors, byte for byte" in checked.text
    found = re.search(
        r'FAIL output 0 \(layer "rescale/3", .*1 of 10 codes, the first at 3: -?\d+, expected', checked.text
    )
    assert found, checked.text


def test_a_changed_golden_input_is_named_as_the_first_difference(project):
    flip_bit(project / "golden" / "input_0.dat", 50)
    checked = make(project, "check")

    assert checked.status != 0
    assert 'FAIL first difference: input "int": md5' in checked.text


def test_a_changed_digest_names_its_layer(project):
    file = project / "golden" / "layers.txt"
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace(lines[3][:4], "0000", 1)
    file.write_text("\n".join(lines) + "\n")
    checked = make(project, "check")

    assert checked.status != 0
    assert 'FAIL first difference: layer "reshape/1"' in checked.text


def test_embedded_weights_need_no_file(tmp_path):
    cases = chain()
    bundle = export_to(
        tmp_path, cases.model(), cases.blobs, cases.values, "lenet", {"embed_weights": True, "build_type": "debug"}
    )
    checked = make(tmp_path, "check")

    assert "weights.bin" not in bundle.files
    assert checked.status == 0, checked.text
    assert "-O0 -g" in checked.text


def save_floats(file, reals):
    np.save(file, reals.astype(np.float32))
    return file


def test_float_inputs_are_quantized_by_the_machines_rule(project, tmp_path):
    cases = chain()
    model = cases.model([cases.layers[-1].outputs[0]])
    tensor = model.tensors["int"]
    reals = cases.random.normal(0, 1.5, tensor.shape).astype(np.float32)
    ties = (np.arange(-40, 40) + np.float64(0.5)) * tensor.scale
    reals.flat[:80] = ties
    reals.flat[80:84] = [1e30, -1e30, np.inf, -np.inf]
    machine = Machine(model, cases.blobs)
    codes = machine.quantize_input(reals, tensor)
    dump = tmp_path / "dump"
    dump.mkdir()
    done = run(project, "./lenet", "weights.bin", save_floats(tmp_path / "x.npy", reals), "--dump", dump, "--top", 5)

    assert done.status == 0, done.text
    assert (dump / "int.dat").read_bytes() == codes.tobytes()
    output = machine.run({"int": codes})[model.outputs[0]].reshape(-1)
    best = np.argsort(-output.astype(int), kind="stable")[:5]
    assert [int(index) for index in re.findall(r"index (\d+) ", done.text)] == best.tolist()


def test_exact_ties_go_to_the_even_code(tmp_path):
    cases = Cases(1)
    source = cases.tensor("x", (12,), "i8", 3, 0.25)
    cases.inputs.append("x")
    cases.values["x"] = cases.codes("i8", (12,))
    cases.layer("identity", [source], (12,), "i8", point=3)
    export_to(tmp_path, cases.model(), cases.blobs, cases.values)
    reals = np.array([0.125, 0.375, 0.625, -0.125, -0.375, 0.12500001, 0.1249999, 31.0, 100, -100, 0, -0.0])
    assert make(tmp_path).status == 0
    done = run(tmp_path, "./cases", "weights.bin", save_floats(tmp_path / "x.npy", reals))

    assert done.status == 0, done.text
    codes = np.frombuffer((tmp_path / "output0_12.dat").read_bytes(), dtype=np.int8)
    assert codes.tolist() == [3, 5, 5, 3, 1, 4, 3, 127, 127, -128, 3, 3]


def test_codes_are_read_from_npy_files_too_and_wrong_inputs_are_explained(project, tmp_path):
    cases = chain()
    codes = cases.values["int"]
    folder = tmp_path / "inputs"
    folder.mkdir()
    good = folder / "codes.npy"
    np.save(good, codes)
    np.save(folder / "short.npy", codes[:, :2])
    np.save(folder / "wide.npy", codes.astype(np.int64))
    np.save(folder / "fortran.npy", np.asfortranarray(codes))
    save_floats(folder / "nan.npy", np.full(codes.shape, np.nan))
    (folder / "floats.dat").write_bytes(codes.astype(np.float32).tobytes())
    (folder / "short.dat").write_bytes(b"123")
    explained = {
        name: run(project, "./lenet", "weights.bin", folder / name).text
        for name in ("short.npy", "wide.npy", "fortran.npy", "nan.npy", "floats.dat", "short.dat", "none.dat")
    }

    assert run(project, "./lenet", "weights.bin", good, "--check", "golden").status == 0
    assert "has another number of elements than the input" in explained["short.npy"]
    assert "has to hold little-endian float32 or codes of the input's type" in explained["wide.npy"]
    assert "is stored in Fortran order" in explained["fortran.npy"]
    assert "holds a value that is not a number" in explained["nan.npy"]
    assert "has the size of float32 values, codes are expected" in explained["floats.dat"]
    assert "has another size than the codes of the input" in explained["short.dat"]
    assert "No such file" in explained["none.dat"]


def test_the_program_says_what_it_takes(project):
    info = run(project, "./lenet", "--info").text

    assert 'input 0 "int" 1x3x8x8 u8, real = (code - 128) * 0.0173' in info
    assert "usage: lenet weights.bin input_0" in run(project, "./lenet", "--help").text
    assert run(project, "./lenet", "weights.bin").status == 2
    assert "unknown option" in run(project, "./lenet", "--fast", "1").text
    assert "needs a number" in run(project, "./lenet", "--top", "many").text
    assert "runs, " in run(project, "./lenet", "weights.bin", "golden/input_0.dat", "--repeat", "2").text


HARD_NAMES = ["while", "*/ exit(1); /* ??/", 'a"b\\n%s\\', "3x3/Conv\n2", "WHILE"]


@pytest.mark.parametrize("model_name", ["int", "3 nets", "npu_kernels", "main", "*/", "Überfälle!", "printf", "check"])
def test_any_name_becomes_c_that_compiles(model_name, tmp_path):
    cases = renamed(chain(), HARD_NAMES[: len(chain().layers)])
    bundle = export_to(tmp_path, cases.model(), cases.blobs, cases.values, model_name)
    name = re.search(r"^all: (\w+)$", bundle.files["Makefile"].decode(), re.MULTILINE)[1]
    checked = subprocess.run(
        [compiler(), "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"{name}.c", "main.c"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert re.fullmatch(r"[A-Za-z]\w*", name)
    assert checked.returncode == 0, checked.stderr


def test_hard_names_survive_into_the_list(tmp_path):
    cases = renamed(chain(), HARD_NAMES[: len(chain().layers)])
    export_to(tmp_path, cases.model(), cases.blobs, cases.values)
    checked = make(tmp_path, "check")
    files = [line.split()[1] for line in (tmp_path / "golden" / "layers.txt").read_text().splitlines()[1:]]

    assert checked.status == 0, checked.text
    assert len({file.lower() for file in files}) == len(files) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+\.dat", file) for file in files)


def test_there_is_no_floating_point_outside_main(batch):
    folder, _ = batch
    for file in [*folder.glob("*.c"), *folder.glob("*.h")]:
        text = re.sub(r"/\*.*?\*/|\"(?:\\.|[^\"\\])*\"", "", file.read_text(), flags=re.DOTALL)
        if file.name != "main.c":
            assert not re.search(r"\b(?:float|double|math\.h)\b", text), file.name


def symbols(*arguments):
    done = subprocess.run(["nm", *[str(item) for item in arguments]], capture_output=True, text=True, check=True)
    return [line.split()[-2:] for line in done.stdout.splitlines() if line.strip() and not line.endswith(":")]


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm")
def test_model_and_kernels_need_only_memory_functions_and_have_no_variables(batch):
    folder, _ = batch
    objects = [file for file in (folder / "build").glob("*.o") if file.name not in ("main.o", "npu_md5.o")]
    found = symbols(*objects)
    missing = {name for kind, name in found if kind == "U"}

    assert {name for name in missing if not name.startswith("npu_")} <= {
        "memcpy",
        "memset",
        "memcmp",
        "__stack_chk_fail",
        "_GLOBAL_OFFSET_TABLE_",
    }
    tables_of_addresses = {"tensors", "constants"}
    assert {name for kind, name in found if kind in "bBdDC"} <= tables_of_addresses


def test_the_same_request_gives_the_same_bytes():
    first, second = chain(), chain()

    assert (
        export(request_for(first.model(), first.blobs, first.values)).files
        == export(request_for(second.model(), second.blobs, second.values)).files
    )


def test_notes_and_sources_state_the_memory():
    cases = chain()
    bundle = export(request_for(cases.model(), cases.blobs, cases.values, "lenet"))
    arena = int(re.search(r"LENET_ARENA_SIZE (\d+)u", bundle.files["lenet.h"].decode())[1])

    assert f"activations take {arena} bytes" in bundle.notes[1]
    assert f"arena {arena} bytes, lower bound" in bundle.files["lenet.c"].decode()
    readme = bundle.files["README.txt"].decode()
    assert 'Profile "exact"' in readme
    assert "codes 0..255, scale 0.0173, zero point 128" in readme
    assert not re.search(r"@\w+@", readme + bundle.files["main.c"].decode() + bundle.files["Makefile"].decode())


def refused(cases, **changes):
    """The diagnostic of an export that has to fail."""
    with pytest.raises(Problem) as caught:
        export(request_for(cases.model(), cases.blobs, cases.values, golden={}, **changes))
    return caught.value.diagnostics[0]


def test_an_unknown_option_names_the_known_ones():
    problem = refused(chain(), options={"embed_weight": True})

    assert problem.code == "E0202"
    assert problem.subject == "target[host].export[c]"
    assert "build_type, embed_weights" in problem.message
    assert problem.helps == ("did you mean `embed_weights`?",)


@pytest.mark.parametrize(
    ("options", "code"), [({"build_type": "fast"}, "E0211"), ({"embed_weights": "maybe"}, "E0210")]
)
def test_a_wrong_option_value_is_refused(options, code):
    assert refused(chain(), options=options).code == code


def test_float_layers_are_refused_by_name():
    cases = chain()
    cases.tensor("real", (1, 10), "f32", 0)
    last = cases.layers[-1].outputs[0]
    cases.layers.append(IntegerLayer("back", "dequantize", (last,), ("real",), {"scale": 1.0}))
    cases.layers.append(IntegerLayer("norm", "float", ("real",), ("real",), {"op": "LayerNormalization"}))
    problem = refused(cases)

    assert problem.code == "E0610"
    assert '"back" (dequantize), "norm" (LayerNormalization)' in problem.message
    assert any("type=i16" in text for text in problem.helps)
    assert any("output block" in text for text in problem.helps)


def test_an_operation_that_c_does_not_have_is_refused_by_name():
    cases = chain()
    last = cases.tensors[cases.layers[-1].outputs[0]]
    cases.layer("fold", [last], (1, 10), "i16", point=0)
    problem = refused(cases)

    assert problem.code == "E0610"
    assert 'layer "fold/4" (fold)' in problem.message


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 13))
def test_many_random_programs_give_the_bytes_of_the_numpy_machine(seed, tmp_path):
    cases = random_program(seed, 40)
    export_to(tmp_path, cases.model(), cases.blobs, cases.values)
    checked = make(tmp_path, ["CFLAGS=-O2", "CFLAGS=-O3 -march=native", "CFLAGS=-Os"][seed % 3], "check")

    assert checked.status == 0, checked.text
