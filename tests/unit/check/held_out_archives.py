"""Archives, compressed files and other binary formats for the held-out pairs."""

from __future__ import annotations

import bz2
import gzip
import importlib.util
import io
import lzma
import marshal
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass

from tests.unit.check.held_out import Pair, pair

PROSE = b"".join(b"%d the quick brown fox, %x\n" % (n, n * n * 7919) for n in range(900))
MARCH_5 = 1709645331
MARCH_6 = 1709712107


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of an archive: what tar, ar, cpio or zip would say of it."""

    name: str
    data: bytes = b"content\n"
    time: int = MARCH_5
    owner: int = 0
    mode: int = 0o644


def tar(*members: Member, pax: str = "") -> bytes:
    """A tar archive; with ``pax`` an extended header gives that time."""
    out = io.BytesIO()
    kind = tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.size, info.mtime, info.mode = len(member.data), member.time, member.mode
            info.uid = info.gid = member.owner
            info.uname = info.gname = "anna" if member.owner else "root"
            info.pax_headers = {"atime": pax} if pax else {}
            archive.addfile(info, io.BytesIO(member.data))
    return out.getvalue()


def ar(*members: Member) -> bytes:
    """A Unix archive as GNU ar writes it."""
    out = b"!<arch>\n"
    for member in members:
        owners = f"{member.time:<12}{member.owner:<6}{member.owner:<6}"
        head = (
            f"{member.name + '/':<16}{owners}{member.mode | 0o100000:<8o}{len(member.data):<10}`\n"
        )
        out += head.encode() + member.data + b"\n" * (len(member.data) % 2)
    return out


def cpio(*members: Member, inode: int) -> bytes:
    """A cpio archive in the "newc" format of the initramfs."""
    out = b""
    ended = (*members, Member(name="TRAILER!!!", data=b"", time=0))
    for number, member in enumerate(ended):
        name = member.name.encode() + b"\0"
        fields = (inode + number, 0o100644, 0, 0, 1, member.time, len(member.data), 8, 1, 0, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in (*fields, len(name), 0))
        out += _padded(head + name) + _padded(member.data)
    return out


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zipped:
    """A member of a zip file."""

    name: str
    data: bytes = b"content\n"
    date: tuple[int, int, int, int, int, int] = (2024, 3, 5, 14, 22, 10)
    mode: int = 0o100644
    extra: bytes = b""
    system: int = 3


def zipped(*members: Zipped, level: int = 6, comment: bytes = b"") -> bytes:
    """A zip file as Info-ZIP, jar and wheel write them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        archive.comment = comment
        for member in members:
            info = zipfile.ZipInfo(member.name, member.date)
            info.external_attr, info.extra = member.mode << 16, member.extra
            info.create_system, info.compress_type = member.system, zipfile.ZIP_DEFLATED
            archive.writestr(info, member.data, compresslevel=level)
    return out.getvalue()


def gz(data: bytes, time: int = 0, name: str = "", level: int = 9) -> bytes:
    """A gzip file with that time and name in its header."""
    out = io.BytesIO()
    with gzip.GzipFile(name, "wb", level, out, mtime=time) as packed:
        packed.write(data)
    return out.getvalue()


def pyc(source: str, path: str, time: int) -> bytes:
    """Bytecode as ``python3 -m compileall`` writes it."""
    code = compile(source, path, "exec")
    header = struct.pack("<4sIII", importlib.util.MAGIC_NUMBER, 0, time, len(source))
    return header + marshal.dumps(code)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of one grey pixel with more chunks."""
    pixel = (b"IDAT", zlib.compress(b"\0\x80"))
    size = (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    out = b"\x89PNG\r\n\x1a\n"
    for kind, data in (size, *chunks, pixel, (b"IEND", b"")):
        out += struct.pack(">I", len(data)) + kind + data
        out += struct.pack(">I", zlib.crc32(kind + data))
    return out


def mo(header: bytes) -> bytes:
    """A catalogue of gettext with only the header's message."""
    offset = 28 + 16 + 1
    table = struct.pack("<II", 0, 44) + struct.pack("<II", len(header), offset)
    return struct.pack("<7I", 0x950412DE, 0, 1, 28, 36, 0, 44) + table + b"\0" + header + b"\0"


def packed() -> list[Pair]:
    """Compressed files."""
    return [
        pair("changelog.gz", gz(PROSE, MARCH_5), gz(PROSE, MARCH_6), "gzip-header"),
        pair("NEWS.gz", gz(PROSE, 0, "NEWS"), gz(PROSE, 0, "NEWS.tmp"), "gzip-header"),
        pair("manual.gz", gz(PROSE, level=6), gz(PROSE, level=9), "compression"),
        pair(
            "foo.1.gz",
            gz(b'.TH FOO "1" "March 2024" "foo 1.2"\n', MARCH_5),
            gz(b'.TH FOO "1" "May 2024" "foo 1.2"\n', MARCH_6),
            "gzip-header timestamp",
        ),
        pair("data.gz", gz(PROSE), gz(PROSE.replace(b"fox", b"cat", 9))),
        pair(
            "data.xz",
            lzma.compress(PROSE, preset=1),
            lzma.compress(PROSE, preset=9),
            "compression",
        ),
        pair("data.bz2", bz2.compress(PROSE, 1), bz2.compress(PROSE, 9), "compression"),
    ]


def tars() -> list[Pair]:
    """Archives of tar, ar, cpio and dpkg-deb."""
    a, b, c = (Member(name=f"foo/{name}") for name in ("alpha", "beta", "gamma"))
    later = Member(name="foo/alpha", time=MARCH_6)
    debs = [
        ar(
            Member(name="debian-binary", data=b"2.0\n", time=when),
            Member(name="data.tar.xz", data=lzma.compress(tar(a, member)), time=when),
        )
        for when, member in ((MARCH_5, b), (MARCH_6, Member(name="foo/beta", time=MARCH_6)))
    ]
    return [
        pair("foo.tar", tar(a, b), tar(later, b), "tar-dates"),
        pair("pax.tar", tar(a, pax="1709645331.25"), tar(a, pax="1709712107.5"), "tar-dates"),
        pair("own.tar", tar(a), tar(Member(name="foo/alpha", owner=1000)), "tar-owners", "user"),
        pair("mode.tar", tar(a), tar(Member(name="foo/alpha", mode=0o664)), "file-modes"),
        pair("order.tar", tar(c, a, b), tar(b, c, a), "archive-order", "directory-order"),
        pair("real.tar", tar(a, b), tar(a, Member(name="foo/beta", data=b"other words\n"))),
        pair("foo.tar.gz", gz(tar(a), MARCH_5), gz(tar(later), MARCH_6), "gzip-header tar-dates"),
        pair("libfoo.a", ar(a), ar(Member(name="foo/alpha", time=MARCH_6)), "ar-members"),
        pair("libown.a", ar(a), ar(Member(name="foo/alpha", owner=1000)), "ar-members", "user"),
        pair("liborder.a", ar(c, a, b), ar(b, c, a), "archive-order", "directory-order"),
        pair("foo_1.2_amd64.deb", debs[0], debs[1], "ar-members tar-dates"),
        pair(
            "initrd.cpio",
            cpio(a, b, inode=721),
            cpio(later, b, inode=90313),
            "timestamp file-system",
            "tar-dates",
        ),
    ]


def zips() -> list[Pair]:
    """Zip files: plain, jar and wheel."""
    a, b, c = (Zipped(name=f"foo/{name}") for name in ("alpha", "beta", "gamma"))
    next_day = (2024, 3, 6, 9, 1, 46)
    unix = [b"UT\x05\x00\x01" + struct.pack("<I", when) for when in (MARCH_5, MARCH_6)]
    owners = [b"ux\x0b\x00\x01\x04" + struct.pack("<IBI", n, 4, n) for n in (1000, 1001)]
    manifests = [b"Manifest-Version: 1.0\r\nBuilt-By: %s\r\n\r\n" % who for who in (b"ann", b"ci")]
    jar = [Zipped(name="META-INF/MANIFEST.MF", data=data) for data in manifests]
    record = [b"foo/a.py,sha256=%s,12\nfoo/b.py,,\n" % (b"%x" % n * 9) for n in (64021, 48813)]
    wheel = [Zipped(name="foo-1.2.dist-info/RECORD", data=data) for data in record]
    return [
        pair("foo.zip", zipped(a), zipped(Zipped(name="foo/alpha", date=next_day)), "zip-dates"),
        pair(
            "ut.zip",
            zipped(Zipped(name="x", extra=unix[0])),
            zipped(Zipped(name="x", extra=unix[1])),
            "zip-dates",
        ),
        pair(
            "ux.zip",
            zipped(Zipped(name="x", extra=owners[0])),
            zipped(Zipped(name="x", extra=owners[1])),
            "zip-metadata",
            "user",
        ),
        pair("os.zip", zipped(a), zipped(Zipped(name="foo/alpha", system=0)), "zip-metadata"),
        pair("mode.zip", zipped(a), zipped(Zipped(name="foo/alpha", mode=0o100600)), "file-modes"),
        pair("order.zip", zipped(c, a, b), zipped(b, c, a), "archive-order", "directory-order"),
        pair(
            "level.zip",
            zipped(Zipped(name="x", data=PROSE), level=1),
            zipped(Zipped(name="x", data=PROSE), level=9),
            "compression",
        ),
        pair("more.zip", zipped(a), zipped(a, b)),
        pair("foo.jar", zipped(jar[0], a), zipped(jar[1], a), "user"),
        pair("foo-1.2-py3-none-any.whl", zipped(a, wheel[0]), zipped(a, wheel[1]), "digest"),
    ]


def others() -> list[Pair]:
    """Bytecode, pictures, catalogues, records."""
    one, two = "def f(x):\n    return x + 1\n", "def f(x):\n    return x - 2 * x\n"
    name = "/usr/lib/python3/foo.py"
    here, there = "/build/foo-1.2/src/foo.py", "/build/2/foo-1.2-second/src/foo.py"
    pot = b"Project-Id-Version: foo\nPOT-Creation-Date: 2024-03-0%d 14:22+0100\n"
    created = b"date:create\x002024-03-0%dT14:22:11+00:00"
    return [
        pair("foo.pyc", pyc(one, name, MARCH_5), pyc(one, name, MARCH_6), "python-bytecode"),
        pair("path.pyc", pyc(one, here, MARCH_5), pyc(one, there, MARCH_5), "build-path"),
        pair("code.pyc", pyc(one, name, MARCH_5), pyc(two, name, MARCH_5), "", "python-bytecode"),
        pair("text.png", png((b"tEXt", created % 5)), png((b"tEXt", created % 6)), "timestamp"),
        pair(
            "time.png",
            png((b"tIME", struct.pack(">H5B", 2024, 3, 5, 14, 22, 11))),
            png((b"tIME", struct.pack(">H5B", 2024, 3, 6, 9, 1, 47))),
            "timestamp",
        ),
        pair("foo.mo", mo(pot % 5), mo(pot % 6), "timestamp"),
        pair(
            "names.db",
            b"NAMES\x01alpha\0\x12\x7f\x00\x00\xc4\x10\x99beta\0\x9a\x02\x41\x00\xfe\xee\xe0\x31",
            b"NAMES\x01alpha\0\xb0\x55\x00\x00\x17\x82\x3abeta\0\x01\x66\x93\x88\x00\x10\xd4\x5f",
            "uninitialised",
        ),
        pair("noise.bin", bytes(range(256)) * 2, bytes(range(255, -1, -1)) * 2),
    ]


def archives() -> list[Pair]:
    """All of them."""
    return [*packed(), *tars(), *zips(), *others()]
