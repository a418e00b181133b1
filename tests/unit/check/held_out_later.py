"""The second set: written after the diagnosers were mended, and never mended for."""

from __future__ import annotations

import bz2
import lzma
import struct

from tests.unit.check.held_out import Pair, gcc, pair, texts
from tests.unit.check.held_out_archives import (
    MARCH_5,
    MARCH_6,
    Member,
    Zipped,
    ar,
    cpio,
    gz,
    pyc,
    tar,
    zipped,
)


def coff(time: int, checksum: int) -> bytes:
    """A Windows program's headers, as mingw's linker writes them."""
    dos = b"MZ" + bytes(0x3A) + struct.pack("<I", 0x40)
    header = struct.pack("<HHIIIHH", 0x8664, 0, time, 0, 0, 240, 0x22E)
    optional = bytearray(240)
    struct.pack_into("<H", optional, 0, 0x20B)
    struct.pack_into("<I", optional, 64, checksum)
    return dos + b"PE\0\0" + header + bytes(optional)


def second() -> list[Pair]:
    """All of the second set."""
    held = gcc()
    old = [Member(name="usr/bin/foo", mode=0o755), Member(name="usr/share/foo", mode=0o644)]
    new = [
        Member(name="usr/bin/foo", mode=0o775, time=MARCH_6),
        Member(name="usr/share/foo", mode=0o664, time=MARCH_6),
    ]
    sums = [Member(name="./md5sums", data=b"%032x  usr/bin/foo\n" % n) for n in (3**60, 7**40)]
    controls = [
        gz(tar(member), when) for member, when in zip(sums, (MARCH_5, MARCH_6), strict=True)
    ]
    debs = [ar(Member(name="control.tar.gz", data=data)) for data in controls]
    mavens = [
        b"#Created by Apache Maven 3.8.7\n#%s\nversion=1.2\n" % day
        for day in (b"Tue Mar 05 14:22:11 UTC 2024", b"Wed Mar 06 09:01:47 UTC 2024")
    ]
    jars = [
        zipped(Zipped(name="META-INF/pom.properties", data=data, date=date))
        for data, date in zip(
            mavens, ((2024, 3, 5, 14, 22, 12), (2024, 3, 6, 9, 1, 48)), strict=True
        )
    ]
    upper, lower = Zipped(name="README"), Zipped(name="alpha.txt")
    zebra = Zipped(name="Zebra.txt")
    source = "NAMES = ['a', 'b']\nVERSION = %r\n"
    samples = [b"RIFF$\2\0\0WAVEfmt " + bytes((n * k) % 251 for n in range(512)) for k in (3, 7)]
    return [
        *texts("held_out_second.txt"),
        pair("clock.o", held["time_a.o"], held["time_b.o"], "timestamp"),
        pair("where.o", held["home_a.o"], held["home_b.o"], "home"),
        pair("added.o", held["add_a.o"], held["add_b.o"]),
        pair(
            "root.tar.bz2",
            bz2.compress(tar(*old)),
            bz2.compress(tar(*new)),
            "tar-dates file-modes",
        ),
        pair("control.deb", debs[0], debs[1], "gzip-header"),
        pair("maven.jar", jars[0], jars[1], "zip-dates timestamp"),
        pair(
            "sorted.zip",
            zipped(upper, zebra, lower),
            zipped(lower, upper, zebra),
            "locale-order",
            "archive-order",
        ),
        pair("foo.exe", coff(MARCH_5, 0x1A2B), coff(MARCH_6, 0x1B40), "timestamp"),
        pair(
            "old.cpio",
            cpio(Member(name="init"), inode=1),
            cpio(Member(name="init", time=MARCH_6), inode=1),
            "timestamp",
            "tar-dates",
        ),
        pair(
            "names.pyc",
            pyc(source % "1.2", "names.py", MARCH_5),
            pyc(source % "1.3", "names.py", MARCH_5),
        ),
        pair("tone.wav", samples[0], samples[1]),
        pair(
            "more.tar.xz",
            lzma.compress(tar(*old)),
            lzma.compress(tar(*old, Member(name="usr/share/man/foo.1"))),
        ),
    ]
