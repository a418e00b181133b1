"""Pairs of files that differ by one cause each, as small as they can be.

``KNOWN`` has the cause beside them, ``UNKNOWN`` are pairs that differ by none.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass

_UUIDS = b"0f8fad5b-d9cb-469f-a165-70867728950e", b"7c9e6679-7425-40de-944b-e07fc1f90ae7"


@dataclass(frozen=True)
class Pair:
    """Two files of one name, and the one cause by which they differ."""

    cause: str
    name: str
    a: bytes
    b: bytes

    def __str__(self) -> str:
        return f"{self.cause}:{self.name}"


def gzipped(data: bytes, *, mtime: int = 0, level: int = 9) -> bytes:
    return gzip.compress(data, level, mtime=mtime)


def tarred(*members: tuple[str, dict[str, int | str]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, fields in members:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(name.encode()))
    return out.getvalue()


def zipped(
    *members: str,
    when: tuple[int, int, int, int, int, int] = (2026, 11, 21, 12, 0, 0),
    mode: int = 0o644,
    extra: bytes = b"",
    method: int = zipfile.ZIP_STORED,
) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in members:
            info = zipfile.ZipInfo(name, when)
            info.external_attr = mode << 16
            info.extra = extra
            info.compress_type = method
            archive.writestr(info, name * 9)
    return out.getvalue()


def library(*, mtime: int = 0, uid: int = 0) -> bytes:
    head = f"{'a.o/':16}{mtime:<12}{uid:<6}{0:<6}{'100644':8}{4:<10}`\n"
    return b"!<arch>\n" + head.encode() + b"\1\2\3\4"


def elf(**sections: bytes) -> bytes:
    """Return a 64-bit ELF file with these sections (_ for - and .; elf(5))."""
    named = {f".{name.replace('_', '.')}": data for name, data in sections.items()}
    titles = b"\0" + b"".join(name.encode() + b"\0" for name in named) + b".shstrtab\0"
    body, headers = b"", [bytes(64)]
    for name, data in [*named.items(), (".shstrtab", titles)]:
        at = titles.index(name.encode() + b"\0")
        headers.append(
            struct.pack("<IIQQQQIIQQ", at, 1, 0, 0, 64 + len(body), len(data), 0, 0, 1, 0)
        )
        body += data
    table = 64 + len(body)
    rest = (1, 62, 1, 0, 0, table, 0, 64, 0, 0, 64, len(headers), len(headers) - 1)
    head = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", *rest)
    return head + body + b"".join(headers)


def _text(cause: str, a: str, b: str, name: str = "f.txt") -> Pair:
    return Pair(cause, name, a.encode(), b.encode())


def _containers() -> Iterator[Pair]:
    yield Pair("gzip-header", "a.gz", gzipped(b"x", mtime=5), gzipped(b"x", mtime=9))
    yield Pair("compression", "b.gz", gzipped(b"ab" * 999, level=9), gzipped(b"ab" * 999, level=1))
    late = (2026, 11, 21, 12, 7, 4)
    yield Pair("zip-dates", "a.zip", zipped("a", "b"), zipped("a", "b", when=late))
    owners = [struct.pack("<HHBBIBI", 0x7875, 11, 1, 4, uid, 4, uid) for uid in (1000, 4321)]
    pair = [zipped("a", extra=extra) for extra in owners]
    yield Pair("zip-metadata", "b.zip", *pair)
    yield Pair("file-modes", "c.zip", zipped("a"), zipped("a", mode=0o664))
    yield Pair("archive-order", "d.zip", zipped("ab", "B", "c"), zipped("c", "B", "ab"))
    yield Pair("ar-members", "a.a", library(), library(mtime=1795274120))
    yield Pair("ar-members", "b.a", library(), library(uid=1000))
    yield Pair("tar-dates", "a.tar", tarred(("a", {"mtime": 1})), tarred(("a", {"mtime": 7})))
    yield Pair("tar-owners", "b.tar", tarred(("a", {"uid": 1})), tarred(("a", {"uid": 1000})))
    yield Pair("tar-owners", "c.tar", tarred(("a", {})), tarred(("a", {"uname": "bob"})))
    yield Pair("file-modes", "d.tar", tarred(("a", {})), tarred(("a", {"mode": 0o664})))
    names: list[tuple[str, dict[str, int | str]]] = [("b", {}), ("z", {}), ("d", {})]
    moved = [names[2], names[0], names[1]]
    yield Pair("archive-order", "e.tar", tarred(*names), tarred(*moved))
    nested = [gzipped(tarred(("a", {"mtime": t}))) for t in (1, 2)]
    yield Pair("tar-dates", "f.tar.gz", *nested)


def _binaries() -> Iterator[Pair]:
    code = b"\xa7\r\r\n" + bytes(4)
    yield Pair(
        "python-bytecode", "m.pyc", code + b"\1\2\3\4" + bytes(9), code + bytes(4) + bytes(9)
    )
    yield _text("duration", "Ran 3 tests in 0.112s\n", "Ran 3 tests in 0.209s\n")
    yield _text("duration", "real\t0m4.121s\n", "real\t0m5.002s\n")
    yield _text("processor", "cpu MHz : 2793.438\n", "cpu MHz : 2445.430\n")
    yield _text("processor", "CFLAGS = -O2 -march=skylake\n", "CFLAGS = -O2 -march=znver3\n")
    yield _text(
        "file-system", "/dev/vda1 ext4 409 182 206 47% /\n", "none tmpfs 815 211 794 3% /b\n"
    )
    yield Pair("timestamp", "e", elf(data=b"built Nov 21 2026\0"), elf(data=b"built Nov 22 2026\0"))
    debug = [
        elf(debug_str=b"main\0" + p + b"/src/a.c\0") for p in (b"/tmp/b/p", b"/var/tmp/long/p")
    ]
    yield Pair("build-path", "g", *debug)
    numbers = [struct.pack("<4sII", b"hdr\0", moment, 7) for moment in (1795274120, 1795274161)]
    yield Pair("timestamp", "h.bin", *numbers)
    pointers = [
        b"\0\1\2\3" + struct.pack("<QQ", value, 3) for value in (0x7F12AB34C010, 0x7F55CD671010)
    ]
    yield Pair("address", "i.bin", *pointers)
    padding = [b"\1\0\2" + filler * 5 + b"\3\0" for filler in (b"\0", b"\x5a")]
    yield Pair("uninitialised", "j.bin", *padding)


def _times() -> Iterator[Pair]:
    yield _text("timestamp", "Built: 2026-11-21 12:00:01 UTC\n", "Built: 2026-11-21 12:03:44 UTC\n")
    yield _text("timestamp", "on Sat Nov 21 12:00:01 UTC 2026", "on Sat Nov 21 12:00:59 UTC 2026")
    yield _text(
        "timestamp",
        "Date: Sat, 21 Nov 2026 12:00:01 +0000",
        "Date: Sun, 22 Nov 2026 09:10:11 +0000",
    )
    yield _text("timestamp", "t=1795274120;", "t=1795274190;")
    yield _text(
        "timestamp", "/CreationDate (D:20261121120001Z)", "/CreationDate (D:20261121120417Z)"
    )
    yield _text(
        "timestamp",
        '"POT-Creation-Date: 2026-11-21 12:00+0000\\n"',
        '"POT-Creation-Date: 2026-11-21 13:11+0000\\n"',
    )
    yield _text("timezone", "2026-11-21T12:00:01+0000", "2026-11-22T02:00:01+1400")
    yield _text("timezone", "Sat Nov 21 12:00:01 UTC 2026", "Sun Nov 22 02:00:01 XXX 2026")


def _texts() -> Iterator[Pair]:
    yield _text("build-path", 'dir = "/tmp/build-1/pkg/src"', 'dir = "/srv/other/build-1/pkg/src"')
    yield _text("build-path", "prefix=/build/a-1.0\n", "prefix=/build/2nd/a-1.0\n")
    yield _text("home", "cache: /home/alice/.cache/x", "cache: /home/bob/.cache/x")
    yield _text("user", "Built-By: alice\n", "Built-By: bob\n")
    yield _text("user", "(alice@host) #1", "(bob@host) #1")
    yield _text("hostname", "(alice@host) #1", "(alice@other.example) #1")
    yield _text("hostname", "hostname: gitian\n", "hostname: another\n")
    yield _text("kernel-version", "Linux 6.1.0-9-amd64 x86_64", "Linux 2.6.78 x86_64")
    yield _text("parallelism", "configured with -j2", "configured with -j5")
    yield _text("parallelism", "nproc=2\n", "nproc=1\n")
    yield _text("memory-size", "MemTotal: 16326412 kB", "MemTotal: 8163206 kB")
    yield _text("process-id", "pid 4711\n", "pid 815\n")
    yield _text("locale", "LC_ALL=en_US.UTF-8\n", "LC_ALL=C\n")
    yield _text("locale", "charset: UTF-8\n", "charset: ANSI_X3.4-1968\n")
    yield _text("environment", "A=1\nB=2\n", "A=1\nB=2\nEXTRA_THING=3\n")
    yield _text("random-identifier", *(f"id: {u.decode()}\n" for u in _UUIDS))
    yield _text("random-identifier", "in /tmp/tmp.Xa81kQzP3v/x.c", "in /tmp/tmp.9bTT02mNqw/x.c")
    yield _text("random-identifier", "key aB3dE5gH7jK9mN1p", "key Zq8wX6eC4rV2tB0y")
    yield _text("address", "<obj at 0x7f0a1b2c3d40>", "<obj at 0x7f99182c1d40>")
    yield _text("hash-order", "{'a': 1, 'b': 2, 'c': 3}", "{'c': 3, 'a': 1, 'b': 2}")
    yield _text("directory-order", "src/a.c\nsrc/z.c\nsrc/c.c\n", "src/z.c\nsrc/c.c\nsrc/a.c\n")
    yield _text("locale-order", "Zeta\nalpha\nbeta\n", "alpha\nbeta\nZeta\n")
    yield _text("line-order", "three men\none man\ntwo men\n", "two men\nthree men\none man\n")


KNOWN = (*_containers(), *_binaries(), *_times(), *_texts())

UNKNOWN = (
    _text("", "hello world\n", "hello there\n"),
    _text("", "version = 1.2\n", "version = 1.3\n"),
    _text("", "size 512\n", "size 513\n"),
    _text("", "a\nb\nc\n", "a\nc\n"),
    _text("", "ratio 0.731\n", "ratio 0.744\n"),
    _text("", "timeout = 0.5 s\n", "timeout = 1.5 s\n"),
    _text("", "introduced in 1.2\n", "introduced in 1.3\n"),
    _text("", "cipher aes 128\n", "cipher aes 256\n"),
    _text("", "/dev/sda1 / ext4 ro 0 1\n", "/dev/sda1 / ext4 rw 0 1\n"),
    _text("", "cd /home/user/a\n", "cd /home/user/b\n"),
    _text("", "install -m 0644 a b, mode 0644\n", "install -m 0755 a b, mode 0755\n"),
    _text("", "RFC 7231 (June 2014)\n", "RFC 9110 (June 2022)\n"),
    _text("", "people 1402112000\n", "people 1411778724\n"),
    Pair("", "k.bin", b"\0\1\2\3" * 9, b"\0\1\2\3" * 8 + b"\0\7\2\3"),
    Pair("", "e", elf(text=b"\x90\x90\xc3\x55"), elf(text=b"\x90\x31\xc0\xc3")),
    Pair("", "x.tar", tarred(("a", {})), tarred(("a", {}), ("b", {}))),
)
