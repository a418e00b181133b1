"""Maps of users."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gbuild.errors import HostFailure, UsageFailure
from gbuild.host import idmap

_BASE = 0x70000000
_SOMEONE = ("ann", _BASE + 10, 100)


def test_root_gets_a_range_that_nobody_has() -> None:
    assert idmap._for_root(None, (), ()).uids == ((0, _BASE, 65536),)
    assert idmap._for_root(None, (_SOMEONE,), ()).uids == ((0, _BASE + 65536, 65536),)
    assert idmap._for_root(None, (), (_SOMEONE,)).label == f"{_BASE + 65536}+65536"


def test_roots_own_line_wins() -> None:
    own = (("ann", 100000, 65536), ("root", 200000, 65536))
    assert idmap._for_root(None, own, own).uids == ((0, 200000, 65536),)


def test_roots_line_counts_only_for_users_and_groups_alike() -> None:
    own = (("root", 200000, 65536),)
    assert idmap._for_root(None, own, ()).uids == ((0, _BASE, 65536),)


def test_a_chosen_base_is_used_and_checked() -> None:
    assert idmap._for_root("300000", (), ()).uids == ((0, 300000, 65536),)
    for wrong in ("x", "0", "1000", str(_BASE)):
        with pytest.raises(UsageFailure, match="GBUILD_SUBUID_BASE"):
            idmap._for_root(wrong, (_SOMEONE,), ())


def test_a_person_is_root_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "getegid", lambda: 1235)
    monkeypatch.setattr(idmap, "read_ranges", lambda _: (("1234", 100000, 65536),))
    found = idmap.current({})
    assert found.uids == ((0, 1234, 1), (1, 100000, 65535))
    assert found.gids == ((0, 1235, 1), (1, 100000, 65535))
    assert found.label == "1234+100000"
    assert (found.outside(0), found.outside(1), found.outside(1000)) == (1234, 100000, 100999)
    with pytest.raises(UsageFailure, match="not in the map"):
        found.outside(65536)


@pytest.mark.parametrize("ranges", [(), (("1234", 100000, 1000),), (("9999", 100000, 65536),)])
def test_a_person_without_a_range_is_told_the_command(
    monkeypatch: pytest.MonkeyPatch, ranges: tuple[tuple[str, int, int], ...]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(idmap, "read_ranges", lambda _: ranges)
    with pytest.raises(HostFailure) as caught:
        idmap.current({})
    first = max((base + count for _, base, count in ranges), default=100000)
    range_ = f"{first}-{first + 65535}"
    hint = f"sudo usermod --add-subuids {range_} --add-subgids {range_} 1234"
    assert caught.value.hint == hint


def test_a_person_without_groups_alone_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    lines = {"subuid": (("1234", 200000, 65536),), "subgid": ()}
    monkeypatch.setattr(idmap, "read_ranges", lambda path: lines[path.name])
    with pytest.raises(
        HostFailure, match="/etc/subgid gives 1234 no range of 65536 gids"
    ) as caught:
        idmap.current({})
    assert caught.value.hint == "sudo usermod --add-subgids 265536-331071 1234"


def test_the_files_of_ranges_are_read_tolerantly(tmp_path: Path) -> None:
    place = tmp_path / "subuid"
    assert idmap.read_ranges(place) == ()
    place.write_text("ann:100000:65536\n# no\nbob:x:1\nshort:1\n1001:165536:65536\n")
    assert idmap.read_ranges(place) == (("ann", 100000, 65536), ("1001", 165536, 65536))
