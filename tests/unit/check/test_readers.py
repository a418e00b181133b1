"""What the readers of single formats tell: each file is made by hand, as small as it can be."""

from __future__ import annotations

import struct
import zlib

import pytest

from gbuild.check.diagnose import git
from gbuild.check.diagnose.diagnosis import diagnose
from gbuild.check.diagnose.member import TooLarge
from gbuild.check.diagnose.symbols import functions

EARLY, LATE = 1_709_633_853, 1_763_588_642
"""Seconds since 1970 of two builds."""


def _rpm(when: int, host: bytes) -> bytes:
    store = struct.pack(">I", when) + host + b"\0"
    tags = struct.pack(">IIII", 1006, 4, 0, 1) + struct.pack(">IIII", 1007, 6, 4, 1)
    header = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", 2, len(store)) + tags + store
    signature = b"\x8e\xad\xe8\x01" + bytes(4) + struct.pack(">II", 0, 0)
    return b"\xed\xab\xee\xdb" + bytes(92) + signature + header + b"payload"


def _iso(written: bytes, day: int) -> bytes:
    """One folder with one file, and the descriptor of the volume."""
    image = bytearray(20 * 2048)

    def record(at: int, sector: int, *, folder: bool) -> None:
        struct.pack_into("<BxI4xI4x", image, at, 34, sector, 2048)
        image[at + 18 : at + 25] = bytes((124, 3, day, 10, 17, 33, 0))
        image[at + 25] = 2 * folder

    image[32768:32774] = b"\1CD001"
    record(32768 + 156, 18, folder=True)
    for at in (813, 830):
        image[32768 + at : 32768 + at + 16] = written
    record(18 * 2048, 18, folder=True)
    record(18 * 2048 + 34, 19, folder=False)
    return bytes(image)


def _fat(packed: int) -> bytes:
    sector = bytearray(512)
    sector[54:59], sector[510:512] = b"FAT12", b"\x55\xaa"
    entry = b"README  TXT\x20\0\0" + struct.pack(
        "<HHHHHHHI", *(packed,) * 3, 0, *(packed,) * 2, 3, 12
    )
    return bytes(sector) + entry + bytes(64)


def _index(when: int, inode: int) -> bytes:
    entry = struct.pack(">10I20sH", when, 0, when, 0, 57, inode, 0o100644, 0, 0, 3, bytes(20), 6)
    return b"DIRC" + struct.pack(">II", 2, 1) + entry + b"README".ljust(10, b"\0") + bytes(20)


def _commit(who: bytes, when: int) -> bytes:
    name = who + b" <" + who + b"@box-" + who + b"> " + str(when).encode() + b" +0000"
    return b"tree 00\nauthor " + name + b"\ncommitter " + name + b"\n\nMessage\n"


def _bundle(who: bytes, when: int) -> bytes:
    inner = _commit(who, when)
    size = len(inner)
    head = bytes((1 << 4 | size & 15 | 128, size >> 4 & 127 | 128, size >> 11))
    pack = b"PACK" + struct.pack(">II", 2, 1) + head + zlib.compress(inner)
    return b"# v2 git bundle\n0 HEAD\n\n" + pack + bytes(20)


def _object(who: bytes, when: int) -> bytes:
    inner = _commit(who, when)
    return zlib.compress(b"commit %d\0" % len(inner) + inner)


def _portable_cpio(when: int) -> bytes:
    def member(name: bytes, data: bytes) -> bytes:
        numbers = (1, 7, 0o100644, 0, 0, 1, 0)
        head = b"070707" + b"".join(b"%06o" % n for n in numbers) + b"%011o" % when
        return head + b"%06o%011o" % (len(name) + 1, len(data)) + name + b"\0" + data

    return member(b"a.txt", b"text\n") + member(b"TRAILER!!!", b"")


def _old_cpio(when: int) -> bytes:
    def member(name: bytes, data: bytes) -> bytes:
        numbers = (0o070707, 1, 7, 0o100644, 0, 0, 1, 0, when >> 16, when & 65535)
        name += b"\0" * (1 + (len(name) + 1) % 2)
        head = struct.pack("<13H", *numbers, len(name), 0, len(data))
        return head + name + data + b"\0" * (len(data) % 2)

    return member(b"a.txt", b"text\n") + member(b"TRAILER!!!", b"")


def _frame(window: int, data: bytes) -> bytes:
    """A frame of zstd with a checksum of its content, which nothing here unpacks."""
    return b"\x28\xb5\x2f\xfd\x04" + bytes((window,)) + data + b"\xc5\x1e\x0d\x77"


FILES = {
    "rpm": (_rpm(EARLY, b"box1"), _rpm(LATE, b"box2"), {"timestamp", "hostname"}),
    "iso": (_iso(b"2024030510173300", 5), _iso(b"2025112006440200", 20), {"timestamp"}),
    "squashfs": (
        b"hsqs" + struct.pack("<II", 3, EARLY) + bytes(84),
        b"hsqs" + struct.pack("<II", 3, LATE) + bytes(84),
        {"timestamp"},
    ),
    "fat": (_fat(0x5865), _fat(0x5B74), {"timestamp"}),
    "uimage": (
        b"\x27\x05\x19\x56" + struct.pack(">II", 0x11223344, EARLY) + bytes(60),
        b"\x27\x05\x19\x56" + struct.pack(">II", 0x55667788, LATE) + bytes(60),
        {"timestamp"},
    ),
    "index": (_index(EARLY, 456), _index(LATE, 789), {"timestamp", "file-system"}),
    "bundle": (_bundle(b"anna", EARLY), _bundle(b"jens", LATE), {"timestamp", "user", "hostname"}),
    "object": (_object(b"anna", EARLY), _object(b"jens", LATE), {"timestamp", "user", "hostname"}),
    "cpio-odc": (_portable_cpio(EARLY), _portable_cpio(LATE), {"tar-dates"}),
    "cpio-old": (_old_cpio(EARLY), _old_cpio(LATE), {"tar-dates"}),
    "zstd": (_frame(0x58, b"packed so"), _frame(0x68, b"packed otherwise"), {"compression"}),
}


@pytest.mark.parametrize(("one", "two", "causes"), FILES.values(), ids=FILES)
def test_the_fields_of_a_format_are_known(one: bytes, two: bytes, causes: set[str]) -> None:
    found = diagnose("file", one, two)
    assert {trace.cause for trace in found.traces} - {"digest"} == causes
    assert not found.unknown


@pytest.mark.parametrize(("one", "two", "causes"), FILES.values(), ids=FILES)
def test_what_is_cut_off_is_looked_at_as_bytes(one: bytes, two: bytes, causes: set[str]) -> None:
    assert causes
    for length in range(4, len(one), max(1, len(one) // 23)):
        diagnose("file", one[:length], two)


def test_objects_that_grow_too_large_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, size = _bundle(b"anna", EARLY), len(_commit(b"anna", EARLY))
    monkeypatch.setattr(git, "LARGEST", size)
    assert [len(member.data) for member in git.git_pack(bundle).members][1:] == [size]
    monkeypatch.setattr(git, "LARGEST", size - 1)
    with pytest.raises(TooLarge):
        git.git_pack(bundle)


def test_an_object_that_grows_too_large_is_no_equal_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = (zlib.compress(b"blob 10\0begins ok" + end) for end in (b"1", b"2"))
    assert git.git_object(one).members[0].data == b"begins ok1"
    monkeypatch.setattr(git, "LARGEST", 17)
    with pytest.raises(TooLarge):
        git.git_object(one)
    assert diagnose("object", one, two).unknown


def test_functions_are_named_as_they_lie_in_memory() -> None:
    names = b"\0late\0early\0datum\0elsewhere\0"
    rows = ((1, 2, 1, 64), (6, 2, 1, 16), (12, 1, 1, 32), (18, 2, 0, 0))
    table = b"".join(struct.pack("<IBBHQQ", n, kind, 0, s, at, 8) for n, kind, s, at in rows)
    assert list(functions(table, names, wide=True, order="<")) == ["early", "late"]
