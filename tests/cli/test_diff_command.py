"""``npu diff`` as a reviewer meets it: revisions, folders, tables; text, Markdown, JSON; from committed text alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from review_bench import HYBRID_LINES, PROGRAM, Repository, after, before, repository

WHOLE = """\
net.npu  hybrid: 3 tensors changed, +1 type converter, 2 requirements now pass

source
  + quantize hybrid layer "MobilenetV2/Conv_1/Conv2D" type=i16
      "entropy 0.81, cosine 0.962 at u8"
tensors hybrid (3 of 5)
  +  act input/to_i16                i16 dfp             -1..0.992188  step 6.10352e-5  by converter
  ~  wgt MobilenetV2/Conv_1/weights  u8 asym -> i16 dfp  step 0.00550884 -> 3.05176e-5  by default -> layer
  ~  act MobilenetV2/Conv_1/Relu6    u8 asym -> i16 dfp  step 0.0235294 -> 0.000244141  by default -> layer
metrics (compare accept)
  cosine logits          0.98713 -> 0.99241  +0.00528     require >= 0.99   FAIL -> pass
  top1_agreement logits  98.1% -> 98.9%      +0.8 points  require >= 98.5%  FAIL -> pass
cost (static)
  hybrid  weight constants i16 0 -> 1, u8 1 -> 0; type converters +1
unchanged: 6 tensors (1 moved by less than 0.01 of a step), target a311d
"""


@pytest.fixture
def repo(tmp_path) -> Repository:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    return repository(tmp_path / "project")


@pytest.fixture
def changed(repo) -> Repository:
    """The change is in the working tree."""
    after().write(repo.folder)
    return repo


@pytest.fixture
def committed(changed) -> Repository:
    """The change is the second commit."""
    changed.commit("one layer in i16")
    return changed


def test_nothing_changed_is_one_line_and_exit_code_0(repo):
    assert repo.npu("diff", "--exit-code") == "no difference: net.npu\n"


def test_a_change_is_told_with_source_reason_tensors_metrics_and_cost(changed):
    assert changed.npu("diff") == WHOLE


def test_two_revisions_say_the_same_as_the_working_tree_did(committed):
    assert committed.npu("diff", "HEAD~1", "HEAD") == WHOLE
    assert committed.npu("diff", "HEAD~1..HEAD") == WHOLE
    assert committed.npu("diff", "HEAD~1", "HEAD", "net.npu") == WHOLE
    assert committed.npu("diff", "HEAD~1") == WHOLE


def test_the_exit_code_says_that_something_changed_only_when_asked(committed):
    committed.npu("diff", "HEAD~1", "--exit-code", code=3)
    committed.npu("diff", "HEAD~1")


def test_three_dots_compare_with_the_common_ancestor(committed):
    committed.git("checkout", "-q", "-b", "topic", "HEAD~1")
    (committed.folder / "notes.txt").write_text("something else")
    committed.commit()

    assert committed.npu("diff", "main...topic") == "no difference: net.npu\n"
    assert "requirements now FAIL" in committed.npu("diff", "main..topic")


def test_a_clone_says_the_same(committed, tmp_path):
    subprocess.run(["git", "clone", "-q", str(committed.folder), str(tmp_path / "clone")], check=True)

    assert Repository(tmp_path / "clone").npu("diff", "HEAD~1", "HEAD") == WHOLE


def test_two_folders_are_compared_without_git(tmp_path):
    before().write(tmp_path / "old")
    after().write(tmp_path / "new")

    assert Repository(tmp_path).npu("diff", "old", "new") == WHOLE


def test_a_program_in_a_folder_below_is_compared_from_anywhere(repo):
    after().write(repo.folder / "zoo" / "deep")
    repo.commit()
    before().write(repo.folder / "zoo" / "deep")

    assert "zoo/deep/net.npu  hybrid: 3 tensors changed" in repo.npu("diff")
    assert repo.npu("diff", folder="zoo").startswith("deep/net.npu  hybrid:")
    assert repo.npu("diff", "net.npu", folder="zoo/deep").startswith("net.npu  hybrid:")
    assert "no difference: net.npu" in repo.npu("diff", "net.npu")


def test_two_tables_are_compared_by_name(changed):
    shown = changed.npu("diff", "net.u8.quant", "net.hybrid.quant")

    assert "tensors (3 of 5)\n" in shown
    assert "unchanged: 2 tensors (1 moved by less than 0.01 of a step)\n" in shown


def test_the_tolerance_decides_what_is_noise(changed):
    assert "range -12..18.5 -> -12.0001..18.5 (moved 0.000836 steps)" in changed.npu("diff", "--tol", "0")
    assert "moved" not in changed.npu("diff", "--tol", "1/2lsb").split("unchanged")[0]
    assert "--tol takes a share of a step" in changed.npu("diff", "--tol", "much", code=2)


def test_a_comment_or_another_layout_is_no_change(repo):
    program = repo.folder / "net.npu"
    program.write_text(
        "# Another remark.\n" + program.read_text().replace("algorithm = kl", "algorithm   =  kl  # why not")
    )

    shown = repo.npu("diff", "--exit-code")

    assert shown == "no difference: net.npu\n"
    assert json.loads(repo.npu("diff", "--json"))["programs"][0]["layout_only"] is True


def test_a_setting_that_two_variants_share_is_told_once(repo):
    replace(before(), program=PROGRAM.replace("algorithm = kl", "algorithm = percentile(99.99%)")).write(repo.folder)

    shown = repo.npu("diff")

    assert "  ~ quantize hybrid, u8 algorithm = kl(bins=2048) -> percentile(keep=99.99%)\n" in shown


def test_a_table_that_was_not_built_again_is_seen_without_the_model(repo):
    replace(after(), hybrid=before().hybrid, fitting=False).write(repo.folder)

    shown = repo.npu("diff")

    assert "note: the table of variant hybrid of working tree is of other settings: run npu build\n" in shown


def test_tables_that_a_build_wrote_fit_the_program_they_were_built_from(own_digits):
    repo = Repository(own_digits.folder)
    repo.git("init", "-q", "-b", "main")
    (own_digits.folder / ".gitignore").write_text("out/\n.npudsl/\n")
    repo.commit()

    assert repo.npu("diff") == "no difference: digits.npu\n"
    own_digits.edit("type = u8", "type = i8")
    assert "note: the table of variant u8 of working tree is of other settings: run npu build\n" in repo.npu("diff")


def test_a_broken_program_is_compared_as_text(changed):
    program = changed.folder / "net.npu"
    program.write_text(program.read_text().replace("scale = 1/128", "scael = 1/128"))

    shown = changed.npu("diff")

    assert "note: net.npu:" in shown
    assert "E0202" in shown
    assert "source (text, not meaning)\n" in shown
    assert '  - input "input" scale = 1/128\n' in shown
    assert '  + input "input" scael = 1/128\n' in shown
    assert "tensors hybrid (3 of 5)\n" in shown


def test_what_is_wrong_on_both_sides_alike_is_no_difference(repo):
    (repo.folder / "net.npu").write_text(PROGRAM.replace("1/128", "1 128"))
    repo.commit()

    assert repo.npu("diff", "HEAD") == "no difference: net.npu\n"


def test_a_table_with_conflict_marks_is_a_note_and_not_the_end(changed):
    table = changed.folder / "net.hybrid.quant"
    table.write_text("<<<<<<< HEAD\n" + table.read_text())

    shown = changed.npu("diff")

    assert "note: net.hybrid.quant of working tree: the quantization table holds the mark of a merge conflict" in shown
    assert "cosine logits" in shown


def test_a_new_and_a_removed_program_are_named(repo):
    after().write(repo.folder / "more")
    for file in repo.folder.glob("net.*"):
        file.unlink()

    shown = repo.npu("diff")

    assert "more/net.npu  new program\n" in shown
    assert "net.npu  program removed" in shown


def test_fragments_of_a_revision_are_those_of_the_revision(repo):
    (repo.folder / "values.npu").write_text("npu 1\n\nlet most = 100\n")
    program = PROGRAM.replace("npu 1\n", 'npu 1\nuse "values.npu"\n').replace(
        '  list = "calib.txt"\n', '  list = "calib.txt"\n  samples = most\n'
    )
    replace(before(), program=program).write(repo.folder)
    repo.commit()
    (repo.folder / "values.npu").write_text("npu 1\n\nlet most = 200\n")

    assert "  ~ dataset calib samples = 100 -> 200\n" in repo.npu("diff", "net.npu")


def test_named_roots_need_not_be_set_here(repo):
    program = PROGRAM.replace('"net.onnx"', '"@zoo/net.onnx"')
    replace(before(), program=program, fitting=False).write_program_only(repo.folder)

    assert '  ~ model net file = "net.onnx" -> "@zoo/net.onnx"\n' in repo.npu("diff")


def test_markdown_begins_with_the_summary_and_folds_the_rest(changed):
    shown = changed.npu("diff", "--markdown")

    lines = shown.splitlines()
    assert lines[0] == "### npu diff: `HEAD` → `working tree`"
    assert lines[2].startswith("- **net.npu**: hybrid: 3 tensors changed")
    assert shown.count("<details") == shown.count("</details>") == 4
    assert "<details open><summary>metrics (compare accept)</summary>" in shown
    assert shown.count("```") == 8


def test_markdown_never_gets_longer_than_allowed_and_says_what_is_left_out(repo):
    lines = tuple(f"act layer_{index} u8 asym lo=0 hi=1 scale=0.00392157 zp=0 by=default" for index in range(3000))
    replace(before(), u8=lines, hybrid=lines[:2000]).write(repo.folder)

    shown = repo.npu("diff", "--markdown", "--max-bytes", "6000")

    assert len(shown.encode()) <= 6000
    assert shown.startswith("### npu diff")
    assert "lines left out" in shown
    assert shown.count("<details") == shown.count("</details>")
    assert "layer_0 " in shown
    assert "layer_2999 " in shown


def test_json_has_everything_in_one_document(changed):
    document = json.loads(changed.npu("diff", "--json"))

    (program,) = document["programs"]
    hybrid = next(table for table in program["tables"] if table["variant"] == "hybrid")
    assert (document["format"], document["old"], document["new"]) == (1, "HEAD", "working tree")
    assert document["changed"] is True
    assert program["source"][0]["because"] == "entropy 0.81, cosine 0.962 at u8"
    assert hybrid["converters"] == {"added": 1, "removed": 0}
    assert hybrid["weights_by_type"] == {"old": {"u8": 1}, "new": {"i16": 1}}
    assert hybrid["weight_bytes"] is None
    assert [metric["verdict"] for metric in program["metrics"]] == [{"old": "FAIL", "new": "pass"}] * 2


def test_a_word_that_is_nothing_has_a_near_name(repo):
    shown = repo.npu("diff", "mian", code=1)

    assert "error[E0213]: `mian` is no revision and no folder" in shown
    assert "did you mean `main`?" in shown


def test_a_word_that_looks_like_an_option_never_reaches_git(repo):
    assert "No such option" in repo.npu("diff", "--upload-pack=x", code=2)
    assert "E0213" in repo.npu("diff", "--", "--output=stolen", code=1)
    assert not (repo.folder / "stolen").exists()


def test_outside_of_a_repository_folders_are_offered(tmp_path):
    shown = Repository(tmp_path).npu("diff", code=1)

    assert "error[E0004]" in shown
    assert "npu diff OLD NEW" in shown


def test_a_program_that_neither_side_has_is_an_error(repo):
    shown = repo.npu("diff", "nett.npu", code=1)

    assert "neither HEAD nor working tree has a program nett.npu" in shown
    assert "did you mean net.npu?" in shown


def test_git_can_call_it_for_tables(changed):
    changed.npu("init", "--git")
    script = changed.folder.parent / "external"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m npudsl.cli diff --git "$@"\n')
    script.chmod(0o755)

    shown = changed.git("-c", f"diff.npuquant.command={script}", "diff", "--", "net.hybrid.quant")

    assert shown.startswith("net.hybrid.quant\n")
    assert "tensors (3 of 5)" in shown


def test_light_things_only_are_loaded(changed):
    probe = (
        "import sys; sys.argv = ['npu', 'diff']\n"
        "from npudsl.cli.start import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'onnx', 'onnxruntime', 'networkx', 'diskcache', 'PIL'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=changed.folder, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_no_file_of_the_repository_is_touched(committed):
    state = {path: path.stat().st_mtime_ns for path in committed.folder.rglob("*") if path.is_file()}

    committed.npu("diff", "HEAD~1")

    assert {path: path.stat().st_mtime_ns for path in committed.folder.rglob("*") if path.is_file()} == state


def test_the_bench_is_what_it_says(tmp_path):
    after().write(tmp_path)

    assert tuple((tmp_path / "net.hybrid.quant").read_text().splitlines()[1:]) == HYBRID_LINES
    assert Path(tmp_path / "net.lock").read_text().startswith("npu-lock 1 ")
