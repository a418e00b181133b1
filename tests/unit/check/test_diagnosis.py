"""Every cause is seen in its pair of fixtures, and none where there is none."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from gbuild.check.diagnose.causes import ORDER, all_causes
from gbuild.check.diagnose.diagnosis import Known, diagnose, diagnose_files

from .pairs import KNOWN, UNKNOWN, Pair, elf, gzipped, tarred

CAUSES = Path(__file__).parents[3] / "docs/reference/causes.md"


@pytest.mark.parametrize("pair", KNOWN, ids=str)
def test_a_cause_is_named_and_no_other(pair: Pair) -> None:
    for one, two in ((pair.a, pair.b), (pair.b, pair.a)):
        found = diagnose(pair.name, one, two)
        assert {trace.cause for trace in found.traces} == {pair.cause}
        assert not found.unknown


@pytest.mark.parametrize("pair", UNKNOWN, ids=str)
def test_no_cause_is_named_where_none_is_known(pair: Pair) -> None:
    found = diagnose(pair.name, pair.a, pair.b)
    assert (found.traces, found.unknown) == ((), True)


def test_every_cause_has_a_pair_and_a_section() -> None:
    following = {cause.name for cause in all_causes() if cause.follows}
    assert {cause.name for cause in all_causes()} == {pair.cause for pair in KNOWN} | following
    *sections, last = re.findall(r"^## (.+)$", CAUSES.read_text(), re.MULTILINE)
    assert last == "How good are they"
    assert sections == [cause.name for cause in all_causes()]
    assert [name.replace("_", "-") for name in ORDER] == sections


def test_what_follows_is_named_beside_a_cause_only() -> None:
    note = {"note_gnu_build-id": b"\1" * 20}, {"note_gnu_build-id": b"\2" * 20}
    alone = diagnose("p", elf(**note[0]), elf(**note[1]))
    assert (alone.traces, alone.unknown) == ((), True)
    stamped = (
        elf(data=day, **n) for day, n in zip((b"Nov 21 2026", b"Nov 22 2026"), note, strict=True)
    )
    assert {t.cause for t in diagnose("p", *stamped).traces} == {"timestamp", "build-id"}


def test_traces_lead_to_the_place() -> None:
    one, two = (gzipped(tarred(("a", {"mtime": t}))) for t in (1, 2))
    (trace,) = diagnose("x.tar.gz", one, two).traces
    assert (trace.where, trace.evidence) == ("x.tar.gz > a", "mtime 1 / 2")
    assert "SOURCE_DATE_EPOCH" in trace.mend


def test_what_is_known_of_the_builds_is_found_as_it_was() -> None:
    known = (Known("user", "ubuntu", "varied"), Known("hostname", "gitian", "far.example"))
    found = diagnose("f", b"x = gitian;", b"x = far.example;", known=known)
    assert [trace.cause for trace in found.traces] == ["hostname"]


@pytest.mark.parametrize(
    ("fact", "texts"),
    [
        (Known("user", "1000", "4321", "ids"), ("built as 1000;", "built as 4321;")),
        (Known("processor", "", "Nehalem", "cpu-model"), ("x: Foo", "x: Nehalem-v2")),
        (Known("environment", "", "/opt/none/bin", "exec-path"), ("x", "x:/opt/none/bin")),
    ],
    ids=lambda value: value.variation if isinstance(value, Known) else "",
)
def test_a_value_that_was_varied_is_evidence(fact: Known, texts: tuple[str, str]) -> None:
    one, two = (text.encode() for text in texts)
    assert {trace.cause for trace in diagnose("f", one, two, known=(fact,)).traces} == {fact.cause}
    turned = diagnose("f", two, one, known=(fact,))
    assert fact.cause not in {trace.cause for trace in turned.traces}


def test_a_number_is_found_as_a_whole() -> None:
    known = (Known("user", "1000", "4321", "ids"),)
    assert diagnose("f", b"n = 91000;", b"n = 94321;", known=known).unknown


def test_dates_that_lie_days_apart_are_those_of_a_table() -> None:
    one, two = ("".join(f"{n},{y}-0{n}-05\n" for n in range(1, 6)) for y in (2023, 2024))
    found = diagnose("releases.csv", one.encode(), two.encode())
    assert (found.traces, found.unknown) == ((), True)


def test_weak_evidence_counts_only_where_all_is_explained() -> None:
    alone = diagnose("f", b"author: anna\n", b"author: marek\n")
    assert [trace.cause for trace in alone.traces] == ["user"]
    other = diagnose("f", b"author: anna\nn = 4\n", b"author: marek\nn = 5\n")
    assert (other.traces, other.unknown) == ((), True)


def test_values_that_are_proven_once_are_known_elsewhere() -> None:
    one, two = (b"Built-By: %s\nx %s y\n" % (name, name) for name in (b"anna", b"marek"))
    found = diagnose("f", one, two)
    assert {trace.cause for trace in found.traces} == {"user"}
    assert not found.unknown


def test_a_date_may_be_of_another_time_and_another_zone() -> None:
    one, two = b"Built: 2024-03-05 14:22:11 +0100\n", b"Built: 2025-08-21 03:08:59 +0300\n"
    found = {trace.cause for trace in diagnose("f", one, two).traces}
    assert found == {"timestamp", "timezone"}


def _ogg(serial: int) -> bytes:
    return b"OggS\0\2" + bytes(8) + struct.pack("<III", serial, 0, serial ^ 0x55AA55AA) + b"\1\3abc"


def _fat(serial: int) -> bytes:
    head = bytearray(512)
    head[39:43], head[54:62], head[510:512] = struct.pack("<I", serial), b"FAT16   ", b"\x55\xaa"
    return bytes(head)


def _font(created: int) -> bytes:
    head = bytes(20) + struct.pack(">QQ", created, created) + bytes(18)
    table = struct.pack(">4sIII", b"head", created % 97, 28, len(head))
    return b"\0\1\0\0\0\1" + bytes(6) + table + head


@pytest.mark.parametrize(
    ("one", "two", "cause"),
    [
        (_ogg(0x3F9A1C2E), _ogg(0x607B2D41), "random-identifier"),
        (_fat(0x3F9A1C2E), _fat(0x607B2D41), "random-identifier"),
        (_font(3_792_500_000), _font(3_792_900_000), "timestamp"),
    ],
    ids=["ogg", "fat", "font"],
)
def test_headers_are_read(one: bytes, two: bytes, cause: str) -> None:
    found = diagnose("f", one, two)
    assert ({trace.cause for trace in found.traces}, found.unknown) == ({cause}, False)


def test_many_traces_of_one_cause_are_counted(tmp_path: Path) -> None:
    for side, year in (("a", 2026), ("b", 2027)):
        lines = "".join(f"{n}: {year}-01-09 10:00:{n:02}\n" for n in range(1, 20))
        (tmp_path / side).write_text(lines)
    traces = diagnose_files(tmp_path / "a", tmp_path / "b").traces
    assert len(traces) == 3
    assert traces[-1].evidence.endswith("(and 16 more)")


@pytest.mark.parametrize(
    "magic", [b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\0", b"PK\3\4", b"!<arch>\n"]
)
def test_a_broken_container_is_looked_at_as_bytes(magic: bytes) -> None:
    found = diagnose("f", magic + b"\0" * 80, magic + b"\1" * 80)
    assert (found.traces, found.unknown) == ((), True)
