"""``npu fmt``: files, standard input, differences, exit codes."""

from __future__ import annotations

import io
import sys

import pytest
from language_project import PROGRAM, TextProject

MANGLED = PROGRAM.replace("  ", "\t").replace(" = ", "=")


@pytest.fixture
def project(tmp_path) -> TextProject:
    return TextProject(tmp_path)


def stdin(monkeypatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_a_file_is_written_in_its_layout_and_named(project):
    project.write("a.npu", MANGLED)
    assert project("fmt", "a.npu").out == "a.npu\n"
    assert project.read("a.npu") == PROGRAM
    assert project("fmt", "a.npu").text == ""


def test_without_a_name_it_is_the_only_program_here(project):
    project.write("a.npu", MANGLED)
    project.write("part.npu", "npu 1\nlet a=1\n")
    assert project("fmt").out == "a.npu\n"
    assert project.read("part.npu") == "npu 1\nlet a=1\n"


def test_a_folder_stands_for_the_programs_below_it(project):
    project.write("b/one.npu", MANGLED)
    project.write("b/deep/two.npu", "let a=1\n")
    project.write("b/other.txt", "let a=1\n")
    assert project("fmt", "b").out == "b/deep/two.npu\nb/one.npu\n"
    assert project.read("b/deep/two.npu") == "let a = 1\n"


def test_check_writes_nothing_lists_files_and_says_no(project):
    project.write("a.npu", MANGLED)
    project.write("b.npu", PROGRAM)
    assert project("fmt", "--check", "a.npu", "b.npu", code=1).out == "a.npu\n"
    assert project.read("a.npu") == MANGLED
    assert project("fmt", "--check", "b.npu").text == ""


def test_a_difference_is_printed_and_nothing_written(project):
    project.write("a.npu", "npu 1\nlet a=1\n")
    found = project("fmt", "--diff", "a.npu")
    assert found.out == "--- a.npu (now)\n+++ a.npu (then)\n@@ -1,2 +1,2 @@\n npu 1\n-let a=1\n+let a = 1\n"
    assert project.read("a.npu") == "npu 1\nlet a=1\n"
    assert project("fmt", "--diff", "--check", "a.npu", code=1).out == found.out


def test_standard_input_goes_to_standard_output(project, monkeypatch):
    stdin(monkeypatch, b"let a=1")
    assert project("fmt", "-").out == "let a = 1\n"
    stdin(monkeypatch, b"let a=1")
    assert project("fmt", "--check", "-", code=1).out == "<stdin>\n"


def test_errors_in_one_file_leave_it_alone_and_do_not_keep_the_others_from_their_layout(project):
    broken = "npu 1\nlet a =\n"
    project.write("a.npu", broken)
    project.write("b.npu", MANGLED)
    found = project("fmt", "a.npu", "b.npu", "missing.npu", code=1)
    assert found.out == "b.npu\n"
    assert "error[E0105]: `a=` needs a value\n --> a.npu:2:7" in found.err
    assert "missing.npu cannot be read" in found.err
    assert project.read("a.npu") == broken


def test_bytes_that_are_not_utf8_are_refused(project, monkeypatch):
    (project.folder / "a.npu").write_bytes(b"# \xff\n")
    assert "not UTF-8 (byte 2)" in project("fmt", "a.npu", code=1).err
    stdin(monkeypatch, b"# \xff\n")
    assert "not UTF-8 (byte 2)" in project("fmt", "-", code=1).err


def test_permissions_and_links_stay(project):
    path = project.write("real.npu", MANGLED)
    path.chmod(0o664)
    (project.folder / "link.npu").symlink_to("real.npu")
    project("fmt", "link.npu")
    assert (project.folder / "link.npu").is_symlink()
    assert path.stat().st_mode & 0o777 == 0o664
    assert project.read("real.npu") == PROGRAM
    assert sorted(entry.name for entry in project.folder.iterdir()) == ["link.npu", "real.npu"]


def test_what_cannot_be_written_says_so(project, monkeypatch):
    project.write("a.npu", MANGLED)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("npudsl.store.atomic.write_atomically", refuse)
    assert "a.npu cannot be written: Permission denied" in project("fmt", "a.npu", code=1).err
    assert project.read("a.npu") == MANGLED
