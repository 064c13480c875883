"""From a file to the checked program: values, defaults, presets, paths, origins."""

from __future__ import annotations

from pathlib import Path

import pytest

from npudsl.diagnostics import UserError
from npudsl.language.load import find_project, load_program
from npudsl.language.program import Call, Feed, PathValue, Program, Requirement, Selector

MODEL = 'npu 1\nmodel net {\n  format = onnx\n  file = "net.onnx"\n}\n'
CALIB = 'dataset calib {\n  list = "calib.txt"\n}\n'


def program(text: str, folder: Path, **arguments: object) -> Program:
    return load_program(folder / "test.npu", text=MODEL + text, **arguments)  # type: ignore[arg-type]


def problems(text: str, folder: Path, **arguments: object) -> list[tuple[str, str]]:
    with pytest.raises(UserError) as caught:
        program(text, folder, **arguments)
    return [(problem.code, problem.message) for problem in caught.value.diagnostics]


# Values


def test_an_input_has_its_preprocessing_as_floats(tmp_path):
    text = (
        'input "data" {\n  shape = 1x3x8x8\n  mean = [1, 2, 3]\n  std = 128\n  resize = letterbox(8, 8, fill=114)\n}\n'
    )
    value = program(text, tmp_path).inputs[0]
    assert value.mean == (1.0, 2.0, 3.0)
    assert value.scale == (1 / 128,)
    assert value.resize == Call("letterbox", (("height", 8), ("width", 8), ("fill", 114), ("filter", "bilinear")))
    assert (value.color, value.dtype, value.layout, value.crop) == ("rgb", "float32", None, None)


def test_a_size_may_stand_for_height_and_width(tmp_path):
    text = 'input "data" {\n  resize = stretch(24x32, filter=area)\n  crop = center(20, 30)\n}\n'
    value = program(text, tmp_path).inputs[0]
    assert value.resize == Call("stretch", (("height", 24), ("width", 32), ("filter", "area")))
    assert value.crop == Call("center", (("height", 20), ("width", 30)))


def test_none_is_no_resize(tmp_path):
    assert program('input "data" {\n  resize = none\n}\n', tmp_path).inputs[0].resize is None


@pytest.mark.parametrize(
    ("source", "feed"),
    [
        ('list = "a.txt"', Feed(None, "list", PathValue("a.txt"))),
        ('dir = "a"', Feed(None, "dir", PathValue("a"))),
        ('idx = "a.idx"', Feed(None, "idx", PathValue("a.idx"))),
        ('npz = "a.npz"\n  key = "x"', Feed(None, "npz", PathValue("a.npz"), "x")),
        ('files = "a/*.png"', Feed(None, "files", PathValue("."), "a/*.png")),
        ('dir = "a"\n  files = "*.png"', Feed(None, "files", PathValue("a"), "*.png")),
        ('dir = "a"\n  feed "x" files="*.bin" dtype=float32', Feed("x", "files", PathValue("a"), "*.bin", "float32")),
        ('feed "x" idx="a.idx" shape=1x28x28', Feed("x", "idx", PathValue("a.idx"), None, None, (1, 28, 28))),
        ('feed "x" dir="b" files="*.npy"', Feed("x", "files", PathValue("b"), "*.npy")),
    ],
)
def test_a_dataset_knows_where_its_samples_come_from(source, feed, tmp_path):
    assert program(f"dataset calib {{\n  {source}\n}}\n", tmp_path).datasets["calib"].feeds == (feed,)


def test_a_dataset_knows_which_samples(tmp_path):
    text = 'dataset test {\n  list = "a.txt"\n  skip = 10\n  samples = 20\n  shuffle = seed(7)\n  labels = true\n}\n'
    value = program(text, tmp_path).datasets["test"]
    assert (value.skip, value.samples, value.shuffle_seed, value.batch) == (10, 20, 7, 1)
    assert value.labels is not None
    assert value.labels.kind == "column"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("labels.txt", "file"), ("t10k-labels-idx1-ubyte", "idx"), ("t10k-labels.idx1-ubyte.gz", "idx"), ("a.idx", "idx")],
)
def test_labels_are_a_text_file_unless_the_name_says_idx(name, kind, tmp_path):
    text = f'dataset test {{\n  idx = "a.idx"\n  labels = "{name}"\n  label_offset = 1\n}}\n'
    labels = program(text, tmp_path).datasets["test"].labels
    assert labels is not None
    assert (labels.kind, labels.offset) == (kind, 1)


@pytest.mark.parametrize(
    ("written", "scheme", "type_name"),
    [
        ("", "asymmetric_affine", "u8"),
        ("type = i8", "asymmetric_affine", "i8"),
        ("type = i16", "dynamic_fixed_point", "i16"),
        ("scheme = dynamic_fixed_point", "dynamic_fixed_point", "i8"),
        ("scheme = perchannel_symmetric_affine", "perchannel_symmetric_affine", "i8"),
        ("scheme = dynamic_fixed_point\n  type = i16", "dynamic_fixed_point", "i16"),
    ],
)
def test_a_variant_fills_in_what_its_scheme_or_type_brings_along(written, scheme, type_name, tmp_path):
    settings = program(f"{CALIB}quantize q {{\n  calibrate = calib\n  {written}\n}}\n", tmp_path).variants["q"].settings
    assert (settings["scheme"], settings["type"]) == (scheme, type_name)
    assert settings["algorithm"] == Call("minmax")
    assert settings["profile"] is None


def test_arguments_of_an_algorithm_are_complete(tmp_path):
    text = f"{CALIB}quantize q {{\n  calibrate = calib\n  algorithm = kl\n  weights.algorithm = percentile(99.9%)\n}}\n"
    settings = program(text, tmp_path).variants["q"].settings
    assert settings["algorithm"] == Call("kl", (("bins", 2048),))
    assert settings["weights.algorithm"] == Call("percentile", (("keep", 0.999),))


def test_a_requirement_in_percent_is_a_fraction(tmp_path):
    text = f"""{CALIB}quantize q {{
  calibrate = calib
}}
compare accept {{
  reference = float
  candidate = q
  data = calib
  require top1_agreement >= 98.5%
  require cosine >= 0.99 on="conv1" because "first layer"
  require max_abs_error == 0 on=all
}}
"""
    requires = program(text, tmp_path).comparisons[0].requires
    assert requires == (
        Requirement("top1_agreement", ">=", 0.985, "outputs", percent=True),
        Requirement("cosine", ">=", 0.99, "conv1"),
        Requirement("max_abs_error", "==", 0.0, "all"),
    )


def test_the_only_variant_is_taken_where_none_is_named(tmp_path):
    variant = f"{CALIB}quantize q {{\n  calibrate = calib\n}}\n"
    text = f"{variant}simulate pc {{\n  data = calib\n}}\ntarget t {{\n  soc = A311D\n}}\n"
    value = program(text, tmp_path)
    assert value.simulations[0].of == ("q",)
    assert value.simulations[0].dump == ("outputs",)
    assert value.targets["t"].quantize == "q"
    assert {"simulate[pc].of", "target[t].quantize"} <= value.defaults


def test_an_export_has_its_options(tmp_path):
    text = f"""{CALIB}quantize q {{
  calibrate = calib
}}
target t {{
  pid = 0x88
  types = [u8, i16]
  export source {{
    kind = c-project
    embed_weights = true
  }}
}}
"""
    target = program(text, tmp_path).targets["t"]
    assert target.identity == {"pid": 0x88}
    assert target.limits == {"types": ("u8", "i16")}
    assert target.exports[0].options == {"embed_weights": True}


# Rules, presets and bases

DERIVED = f"""preset quantize heads {{
  op Softmax type=f32
}}
{CALIB}quantize base from heads {{
  calibrate = calib
  type = u8
  layer "conv1" type=i16 because "drifts"
}}
quantize derived from base {{
  type = i8
  layers "**/fc*" skip optional
  tensors re"sig.*$" min=0 max=1
}}
"""


def test_a_derived_variant_takes_keys_and_appends_rules(tmp_path):
    variants = program(DERIVED, tmp_path).variants
    assert variants["base"].settings["type"] == "u8"
    assert variants["derived"].settings["type"] == "i8"
    assert variants["derived"].calibrate == "calib"
    rules = variants["derived"].rules
    assert [(rule.index, rule.kind, rule.selector, rule.inherited) for rule in rules] == [
        (0, "op", Selector("exact", "Softmax"), True),
        (1, "layer", Selector("exact", "conv1"), True),
        (2, "layers", Selector("glob", "**/fc*"), False),
        (3, "tensors", Selector("regex", "sig.*$"), False),
    ]
    assert rules[2].sets == {"skip": True}
    assert rules[2].optional
    assert rules[3].sets == {"min": 0.0, "max": 1.0}


def test_an_inherited_value_points_at_where_it_was_written(tmp_path):
    origins = program(DERIVED, tmp_path).origins
    assert origins["quantize[derived].calibrate"] == origins["quantize[base].calibrate"]
    assert origins["quantize[derived].rules[1].type"] == origins["quantize[base].rules[1].type"]
    assert origins["quantize[derived].type"] != origins["quantize[base].type"]


def test_a_key_replaces_the_inherited_key_that_says_the_same(tmp_path):
    text = 'preset input p {\n  scale = 1/128\n  mean = 3\n}\ninput "data" from p {\n  std = 2\n}\n'
    value = program(text, tmp_path).inputs[0]
    assert value.scale == (0.5,)
    assert value.mean == (3.0,)


def test_a_later_base_wins_over_an_earlier_one(tmp_path):
    text = (
        'preset input p {\n  mean = 1\n  scale = 2\n}\npreset input q {\n  mean = 3\n}\ninput "data" from p, q {\n}\n'
    )
    value = program(text, tmp_path).inputs[0]
    assert (value.mean, value.scale) == ((3.0,), (2.0,))


def test_exports_of_a_preset_are_completed_key_by_key(tmp_path):
    text = f"""preset target p {{
  export source {{
    kind = c-project
    out = "a"
  }}
}}
{CALIB}quantize q {{
  calibrate = calib
}}
target t from p {{
  export source {{
    out = "b"
  }}
}}
"""
    (export,) = program(text, tmp_path).targets["t"].exports
    assert (export.kind, export.out) == ("c-project", PathValue("b"))


def test_reasons_take_no_part_in_equality(tmp_path):
    other = DERIVED.replace('because "drifts"', 'because "other"').replace(
        "\n  type = u8", "\n\n  # comment\n  type = u8"
    )
    assert program(DERIVED, tmp_path) == program(other, tmp_path)


# Fragments, paths and roots


def test_a_fragment_gives_constants_and_presets_in_its_own_scope(tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "values.npu").write_text(
        "npu 1\nlet middle = 128\npreset input centred {\n  mean = middle\n}\n"
        'preset dataset here {\n  list = "list.txt"\n}\n'
    )
    text = (
        'use "shared/values.npu" as v\ninput "data" from v.centred {\n  scale = 1/v.middle\n}\n'
        "dataset calib from v.here {\n}\n"
    )
    value = program(text, tmp_path)
    assert (value.inputs[0].mean, value.inputs[0].scale) == ((128.0,), (1 / 128,))
    assert value.datasets["calib"].feeds[0].path.path == str(tmp_path / "shared" / "list.txt")
    assert [Path(source.name).name for source in value.sources] == ["test.npu", "values.npu"]


def test_two_files_may_use_the_same_fragment(tmp_path):
    (tmp_path / "a.npu").write_text("npu 1\nlet one = 1\n")
    (tmp_path / "b.npu").write_text('npu 1\nuse "a.npu"\nlet two = one + one\n')
    value = program('use "a.npu"\nuse "b.npu"\ninput "data" {\n  mean = one + two\n}\n', tmp_path)
    assert value.inputs[0].mean == (3.0,)


def test_the_project_is_the_nearest_folder_with_settings(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "npudsl.yaml").write_text("roots:\n  zoo: ../zoo\ncache: .cache\n")
    root, settings = find_project(inner / "x.npu")
    assert root == tmp_path
    assert settings["cache"] == ".cache"
    text = 'dataset calib {\n  list = "../../calib.txt"\n}\ndataset other {\n  dir = "@zoo/pictures"\n}\n'
    value = program(text, inner)
    assert value.datasets["calib"].feeds[0].path.path == str(tmp_path / "calib.txt")
    assert Path(value.datasets["other"].feeds[0].path.path).resolve() == tmp_path.parent / "zoo" / "pictures"


def test_without_settings_the_project_is_the_folder_of_the_program(tmp_path):
    assert find_project(tmp_path / "x.npu") == (tmp_path, {})


def test_roots_of_the_caller_come_before_those_of_the_settings(tmp_path):
    (tmp_path / "npudsl.yaml").write_text("roots: {zoo: somewhere}\n")
    value = program('dataset d {\n  files = "@zoo/a/*.png"\n}\n', tmp_path, roots={"zoo": str(tmp_path / "mine")})
    assert value.datasets["d"].feeds[0] == Feed(None, "files", PathValue("@zoo"), "a/*.png")
    assert value.datasets["d"].feeds[0].path.path == str(tmp_path / "mine")


def test_a_path_may_not_leave_its_root(tmp_path):
    found = problems('dataset d {\n  list = "@zoo/../x"\n}\n', tmp_path, roots={"zoo": str(tmp_path)})
    assert [code for code, _ in found] == ["E0216"]


@pytest.mark.parametrize("text", ["roots: [a]", "- a", "roots: {a: 3}", "a: ["])
def test_unusable_settings_are_refused_with_their_place(text, tmp_path):
    (tmp_path / "npudsl.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        program("", tmp_path)
    (problem,) = caught.value.diagnostics
    assert problem.code == "E0902"
    assert problem.places[0].path.endswith("npudsl.yaml")


# Errors that have no golden program


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load_program(tmp_path / "nothing.npu")


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    (tmp_path / "latin.npu").write_bytes(b"npu 1\n# \xe9\n")
    with pytest.raises(UserError, match="not UTF-8"):
        load_program(tmp_path / "latin.npu")


def test_deep_nesting_is_refused(tmp_path):
    with pytest.raises(UserError, match="nested too deeply"):
        program(f"let a = {'(' * 3000}1{')' * 3000}\n", tmp_path)


def test_a_fragment_alone_is_no_program(tmp_path):
    with pytest.raises(UserError) as caught:
        load_program(tmp_path / "f.npu", text="npu 1\npreset input p {\n  mean = 1\n}\n")
    (problem,) = caught.value.diagnostics
    assert problem.code == "E0205"
    assert any("fragment" in text for text in problem.helps)


def test_a_preset_that_nobody_uses_is_checked(tmp_path):
    assert problems("preset input p {\n  mena = 1\n}\n", tmp_path) == [("E0202", "`mena` is not a key of `input`")]


def test_an_error_in_a_constant_is_not_repeated_where_it_is_used(tmp_path):
    text = 'let a = 1/0\nlet b = a + 1\ninput "data" {\n  mean = b\n  scale = a\n}\n'
    assert problems(text, tmp_path) == [("E0212", "division by zero")]


def test_a_lost_line_does_not_make_its_key_missing_or_its_name_unknown(tmp_path):
    text = 'dataset calib; {\n  list = "a"\n}\nquantize q {\n  calibrate = calib\n}\n'
    assert [code for code, _ in problems(text, tmp_path)] == ["E0101"]


def test_syntax_errors_do_not_hide_errors_of_other_blocks(tmp_path):
    found = problems('input "data" {\n  mean =\n}\nquantize q {\n  calibrate = calib\n}\n', tmp_path)
    assert [code for code, _ in found] == ["E0105", "E0213"]


def test_origins_have_every_written_value(tmp_path):
    text = f'{CALIB}quantize q {{\n  calibrate = calib\n  layer "conv" type=i16 min=0 max=1\n}}\n'
    value = program(text, tmp_path)
    spans = {
        subject: span.source.text[span.start : span.end]
        for subject, span in value.origins.items()
        if subject.startswith(("model", "dataset", "quantize"))
    }
    assert spans == {
        "model": "net",
        "model.format": "onnx",
        "model.file": '"net.onnx"',
        "dataset[calib]": "calib",
        "dataset[calib].list": '"calib.txt"',
        "quantize[q]": "q",
        "quantize[q].calibrate": "calib",
        "quantize[q].rules[0]": '"conv"',
        "quantize[q].rules[0].type": "type=i16",
        "quantize[q].rules[0].min": "min=0",
        "quantize[q].rules[0].max": "max=1",
    }
