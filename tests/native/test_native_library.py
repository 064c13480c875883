"""Compiled libraries: made once, found again, never loaded when something is wrong with them, and never a failure."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from npudsl.native.compiler import CannotCompile, Compiler
from npudsl.native.folder import PrivateFolder
from npudsl.native.library import Libraries, default_folder

ANSWER = {"answer.c": b'#include "answer.h"\nint answer(void) { return ANSWER; }\n', "answer.h": b"#define ANSWER 42\n"}
OTHER = {**ANSWER, "answer.h": b"#define ANSWER 7\n"}

LOAD = """
import os, pathlib, sys
from npudsl.native.library import Libraries
sources = {"answer.c": sys.argv[2].encode(), "answer.h": sys.argv[3].encode()}
libraries = Libraries(pathlib.Path(sys.argv[1]), os.environ)
if sys.argv[4:]:
    sys.stdin.readline()
library = libraries.load("answer", sources)
print(library.answer() if library else libraries.why_not())
"""


@pytest.fixture
def environment() -> dict[str, str]:
    """This process's environment, in which there is a compiler and nobody has switched it off."""
    found = {name: value for name, value in os.environ.items() if name != "NPUDSL_NATIVE"}
    try:
        Compiler.find(found)
    except CannotCompile as error:
        pytest.skip(str(error))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "native"


@pytest.fixture
def counted(environment: dict[str, str], tmp_path: Path) -> tuple[dict[str, str], Path]:
    """An environment whose compiler writes down each compilation, and where it does."""
    (real, *_) = Compiler.find(environment).command
    log, script = tmp_path / "log", tmp_path / "counting-cc"
    log.touch()
    script.write_text(f'#!/bin/sh\n[ "$1" = --version ] || echo compiled >> "{log}"\nexec "{real}" "$@"\n')
    script.chmod(0o700)
    return {**environment, "NPUDSL_CC": str(script)}, log


def command(folder: Path, sources: dict[str, bytes], *more: str) -> list[str]:
    return [sys.executable, "-c", LOAD, str(folder), *(sources[name].decode() for name in sorted(sources)), *more]


def answer_of_a_new_process(folder: Path, environment: dict[str, str], sources: dict[str, bytes] = ANSWER) -> str:
    done = subprocess.run(command(folder, sources), env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def library_in(folder: Path) -> Path:
    (library,) = folder.glob("*.so")
    return library


def put(library: Path, data: bytes) -> None:
    """Other bytes under the same name; the old file stays as it is for whoever has it mapped."""
    library.unlink()
    library.write_bytes(data)
    library.chmod(0o500)


def test_a_library_is_compiled_once_and_found_by_the_next_process(folder, counted):
    environment, log = counted

    for _ in range(2):
        library = Libraries(folder, environment).load("answer", ANSWER)
        assert library.answer() == 42

    assert log.read_text() == "compiled\n"
    assert Libraries(folder, environment).why_not() is None


def test_only_the_finished_pair_stays_in_a_private_folder(folder, environment):
    Libraries(folder, environment).load("answer", ANSWER)

    assert folder.stat().st_mode & 0o777 == 0o700
    record = library_in(folder).with_name(f"{Compiler.find(environment).key(ANSWER)}.sha256")
    assert {file.name for file in folder.iterdir()} == {library_in(folder).name, record.name}
    assert record.read_text().strip() == hashlib.sha256(library_in(folder).read_bytes()).hexdigest()


def test_other_sources_are_another_library(folder, environment):
    assert answer_of_a_new_process(folder, environment) == "42"
    assert answer_of_a_new_process(folder, environment, OTHER) == "7"
    assert len(list(folder.glob("*.so"))) == 2


def test_the_key_covers_command_compiler_processor_and_every_source(monkeypatch):
    compiler = Compiler(("cc",), "cc 12.2")
    keys = {
        compiler.key(ANSWER),
        compiler.key(OTHER),
        compiler.key({**ANSWER, "more.h": b""}),
        Compiler(("cc", "-m32"), "cc 12.2").key(ANSWER),
        Compiler(("cc",), "cc 13").key(ANSWER),
    }
    monkeypatch.setattr("npudsl.native.compiler.processor", lambda: "another")
    keys.add(compiler.key(ANSWER))
    monkeypatch.setattr("npudsl.native.compiler.FLAGS", ("-O0",))
    keys.add(compiler.key(ANSWER))

    assert len(keys) == 7


def test_a_library_with_other_bytes_is_not_loaded_but_made_anew(folder, tmp_path, environment):
    answer_of_a_new_process(folder, environment)
    answer_of_a_new_process(tmp_path / "other", environment, OTHER)
    library = library_in(folder)
    good, planted = library.read_bytes(), library_in(tmp_path / "other").read_bytes()

    for data in (planted, good[:-1], b""):
        put(library, data)
        assert answer_of_a_new_process(folder, environment) == "42"
        assert library.read_bytes() == good


def test_a_library_without_a_record_that_can_be_trusted_is_made_anew(folder, counted):
    environment, log = counted
    Libraries(folder, environment).load("answer", ANSWER)
    (record,) = folder.glob("*.sha256")

    for text in ("", "0" * 64, "../" * 21 + "x", "\N{SNOWMAN}"):
        record.write_text(text)
        assert Libraries(folder, environment).load("answer", ANSWER).answer() == 42
    record.unlink()
    assert Libraries(folder, environment).load("answer", ANSWER).answer() == 42

    assert log.read_text() == "compiled\n" * 6


def test_a_link_to_a_library_elsewhere_is_not_followed(folder, tmp_path, environment):
    answer_of_a_new_process(folder, environment)
    library = library_in(folder)
    elsewhere = library.rename(tmp_path / "elsewhere.so")
    library.symlink_to(elsewhere)

    key = Compiler.find(environment).key(ANSWER)
    assert PrivateFolder(folder).find(key) is None
    assert answer_of_a_new_process(folder, environment) == "42"
    assert not library.is_symlink()


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_folder_that_others_may_write_is_not_used(folder, mode, environment):
    folder.mkdir()
    folder.chmod(mode)
    libraries = Libraries(folder, environment)

    assert libraries.load("answer", ANSWER) is None
    assert "others may write into" in libraries.why_not()
    assert list(folder.iterdir()) == []


def test_a_link_in_place_of_the_folder_is_not_used(folder, tmp_path, environment):
    (tmp_path / "real").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "real")
    libraries = Libraries(folder, environment)

    assert libraries.load("answer", ANSWER) is None
    assert "is no folder of its own" in libraries.why_not()


def test_a_folder_of_another_user_is_not_used(folder, monkeypatch, environment):
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    libraries = Libraries(folder, environment)

    assert libraries.load("answer", ANSWER) is None
    assert "belongs to another user" in libraries.why_not()


def test_a_folder_that_cannot_be_made_is_a_reason_and_no_failure(tmp_path, environment):
    (tmp_path / "file").touch()
    libraries = Libraries(tmp_path / "file" / "native", environment)

    assert libraries.load("answer", ANSWER) is None
    assert "cannot be used" in libraries.why_not()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"NPUDSL_NATIVE": "off"}, "NPUDSL_NATIVE=off"),
        ({"PATH": "nowhere"}, "there is no C compiler (cc, gcc, clang; NPUDSL_CC names another)"),
        ({"NPUDSL_CC": 'cc "'}, "NPUDSL_CC cannot be read: No closing quotation"),
        ({"NPUDSL_CC": "no-such-compiler -m64"}, "NPUDSL_CC names no-such-compiler -m64, which is no program here"),
    ],
    ids=["switched off", "no compiler", "half a quotation", "a compiler that is not there"],
)
def test_without_a_compiler_there_is_no_library_and_one_reason(folder, changes, reason):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NPUDSL_")}
    libraries = Libraries(folder, {**inherited, **changes})

    assert libraries.why_not() is None
    assert libraries.load("answer", ANSWER) is None
    assert libraries.load("answer", ANSWER) is None
    assert libraries.why_not() == reason
    assert not folder.exists()


def test_a_compile_error_is_said_once_and_leaves_nothing_behind(folder, counted):
    environment, log = counted
    libraries = Libraries(folder, environment)

    for _ in range(2):
        assert libraries.load("answer", {"answer.c": b"int answer(void) { return missing; }\n"}) is None

    assert "missing" in libraries.why_not()
    assert log.read_text() == "compiled\n"
    assert list(folder.iterdir()) == []


def test_a_compiler_that_fails_in_silence_is_no_failure(folder, tmp_path):
    script = tmp_path / "broken-cc"
    script.write_text('#!/bin/sh\n[ "$1" = --version ]\n')
    script.chmod(0o700)
    libraries = Libraries(folder, {"PATH": os.defpath, "NPUDSL_CC": str(script)})

    assert libraries.load("answer", ANSWER) is None
    assert libraries.why_not() == f"{script} failed (1): no message"


def test_threads_that_ask_at_once_share_one_compilation(folder, counted):
    environment, log = counted
    libraries = Libraries(folder, environment)
    found = []
    threads = [threading.Thread(target=lambda: found.append(libraries.load("answer", ANSWER))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [library.answer() for library in found] == [42] * 4
    assert log.read_text() == "compiled\n"


def test_processes_that_build_at_once_end_with_one_intact_library(folder, environment):
    waiting = [
        subprocess.Popen(
            command(folder, ANSWER, "wait"), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in waiting:
        process.stdin.write("go\n")
        process.stdin.flush()

    assert [process.communicate()[0].strip() for process in waiting] == ["42"] * 3
    assert len(list(folder.iterdir())) == 2
    assert PrivateFolder(folder).find(Compiler.find(environment).key(ANSWER)) == library_in(folder)


def test_the_default_folder_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder({}) == tmp_path / ".cache" / "npudsl" / "native"
    assert default_folder({"XDG_CACHE_HOME": str(tmp_path / "x")}) == tmp_path / "x" / "npudsl" / "native"


def test_importing_the_room_loads_no_ctypes_and_compiles_nothing():
    probe = (
        "import sys, npudsl.native, npudsl.native.statistics; print('ctypes' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]
