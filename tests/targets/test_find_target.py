"""Identity is exact: one chip or an error that says why not."""

from __future__ import annotations

import pytest

from npudsl.diagnostics import Diagnostic, Problem
from npudsl.targets.load import by_serial, find_target


def refused(action) -> Diagnostic:
    with pytest.raises(Problem) as caught:
        action()
    (diagnostic,) = caught.value.diagnostics
    return diagnostic


@pytest.mark.parametrize(
    ("identity", "id_"),
    [
        ({"soc": "A311D"}, "amlogic-a311d"),
        ({"soc": "a311d", "pid": 0x88, "vendor": "amlogic"}, "amlogic-a311d"),
        ({"soc": "VIM3L"}, "amlogic-s905d3"),
        ({"pid": 0xE8}, "amlogic-0xe8"),
        ({"vendor": "verisilicon", "optimize": "VIP9000PICO_PID0XEE"}, "allwinner-v853"),
        ({"soc": "RK3588S"}, "rockchip-rk3588"),
        ({"id": "ingenic-t40", "soc": "T40XP"}, "ingenic-t40"),
        ({"soc": "A311D", "pid": None, "optimize": None}, "amlogic-a311d"),
    ],
)
def test_every_spelling_of_a_chip_finds_it(identity, id_):
    assert find_target(identity).id == id_


def test_an_unknown_chip_is_refused_with_near_names():
    diagnostic = refused(lambda: find_target({"soc": "RK3558"}, "target[board]"))

    assert diagnostic.code == "E0604"
    assert diagnostic.message == "no target has `soc = RK3558`"
    assert diagnostic.subject == "target[board].soc"
    assert "RK3588" in diagnostic.helps[0]


def test_an_unknown_product_id_is_refused_with_the_known_ones_in_hex():
    diagnostic = refused(lambda: find_target({"pid": 0x89}))

    assert diagnostic.message == "no target has `pid = 0x89`"
    assert "0x88" in diagnostic.helps[0]


def test_words_that_name_different_chips_are_refused():
    diagnostic = refused(lambda: find_target({"soc": "RK3588", "pid": 0x88}, "target[board]"))

    assert diagnostic.code == "E0605"
    assert diagnostic.notes == ("`soc = RK3588` is rockchip-rk3588", "`pid = 0x88` is amlogic-a311d")


def test_a_vendor_alone_is_not_enough():
    diagnostic = refused(lambda: find_target({"vendor": "allwinner"}))

    assert diagnostic.code == "E0604"
    assert "allwinner-v853" in diagnostic.message


def test_no_words_find_no_default():
    assert refused(lambda: find_target({})).code == "E0604"


@pytest.mark.parametrize(
    ("serial", "id_"),
    [
        ("290b70004ba55adb38423231474c4d4", "amlogic-a311d"),
        ("290a7000", "amlogic-0x7d"),
        ("2F0B0600", "amlogic-0xb9"),
        ("2b0b0f00", "amlogic-s905d3"),
        ("380c", "amlogic-0xe8"),
    ],
)
def test_a_serial_finds_its_chip_by_four_digits_or_else_by_three(serial, id_):
    assert [target.id for target in by_serial(serial)] == [id_]


@pytest.mark.parametrize(
    ("serial", "ids"),
    [
        ("290", ["amlogic-0x7d", "amlogic-a311d"]),
        ("290c7000", ["amlogic-0x7d", "amlogic-a311d"]),
        ("2f0c", ["amlogic-0xb9", "amlogic-s905d3"]),
    ],
)
def test_three_digits_that_fit_two_chips_give_both(serial, ids):
    assert [target.id for target in by_serial(serial)] == ids


@pytest.mark.parametrize("serial", ["", "29", "abcd0000"])
def test_an_unknown_serial_is_refused(serial):
    assert "no target has serials" in refused(lambda: by_serial(serial)).message
