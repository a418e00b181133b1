"""Files that hold files: taken apart in memory, within limits, nothing is written. Pure.

Formats: gzip (RFC 1952), ar (ar(5)), cpio ("newc", cpio(5)), ELF (elf(5)), zip
(APPNOTE.TXT 4.3), what the standard library reads (tar, bzip2, xz), and those of :mod:`.pages`
and :mod:`.rpm`.
"""

from __future__ import annotations

import binascii
import bz2
import gzip
import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from gbuild.check.diagnose.arrays import array, is_array
from gbuild.check.diagnose.databases import sqlite
from gbuild.check.diagnose.git import git_object, git_pack, is_git_object
from gbuild.check.diagnose.keys import is_pem, pem
from gbuild.check.diagnose.member import LARGEST, Container, Member, TooLarge
from gbuild.check.diagnose.pages import pdf, png
from gbuild.check.diagnose.rpm import rpm
from gbuild.check.diagnose.symbols import functions

_MOST_MEMBERS = 200_000
_EMPTY = (0, 8)
"""SHT_NULL and SHT_NOBITS: sections without bytes."""
_FOLLOWING = (4, 9)
"""SHT_RELA and SHT_REL: they follow the sections that they are about, by thousands of changes."""

_BAD = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, RuntimeError, NotImplementedError, KeyError, IndexError),
    *(OverflowError, MemoryError),
)
"""What the readers of hostile files are known to raise."""


def opened(data: bytes) -> Container | None:
    """Take a file apart; None when it is no container, or is broken, or is too large."""
    for known, open_ in _FORMATS:
        if known(data):
            try:
                return open_(data)
            except _BAD:
                return None
    return None


def _gzip(data: bytes) -> Container:
    flags, mtime, extra, system = struct.unpack_from("<3xBIBB", data)
    fields = {"mtime": str(mtime), "level": str(extra), "system": str(system)}
    position = 10
    if flags & 4:
        position += 2 + int.from_bytes(data[position : position + 2], "little")
    for bit, name in ((8, "name"), (16, "comment")):
        if flags & bit:
            end = data.index(b"\0", position)
            fields[name] = data[position:end].decode("latin-1")
            position = end + 1
    inner = _inflate(gzip.GzipFile(fileobj=io.BytesIO(data)))
    return Container("gzip", (Member("", inner),), fields)


def _inflate(stream: gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile) -> bytes:
    """Unpack all of a file, and close it."""
    with stream:
        found = stream.read(LARGEST + 1)
    if len(found) > LARGEST:
        raise TooLarge
    return found


def _xz(data: bytes) -> Container:
    return Container("xz", (Member("", _inflate(lzma.LZMAFile(io.BytesIO(data)))),))


def _bzip2(data: bytes) -> Container:
    return Container("bzip2", (Member("", _inflate(bz2.BZ2File(io.BytesIO(data)))),))


def _tar(data: bytes) -> Container:
    members = []
    left = LARGEST
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for info in tar:
            left -= info.size
            if left < 0 or info.issparse():
                raise TooLarge
            stream = tar.extractfile(info) if info.isreg() else None
            content = stream.read() if stream else info.linkname.encode("utf-8", "surrogateescape")
            header = _header_name(data, info)
            members.append(Member(info.name, content, _tar_fields(info) | header))
            if len(members) > _MOST_MEMBERS:
                raise TooLarge
        return Container("tar", tuple(members), dict(tar.pax_headers))


def _header_name(data: bytes, info: tarfile.TarInfo) -> dict[str, str]:
    """Return what an extended header before a member is called: tar(1) may put its number in."""
    block = data[info.offset : info.offset + 512]
    if block[156:157] != b"x" or info.offset == info.offset_data:
        return {}
    return {"header name": block[:100].rstrip(b"\0").decode("utf-8", "replace")}


def _tar_fields(info: tarfile.TarInfo) -> dict[str, str]:
    fields = {
        "type": repr(info.type),
        "mode": f"{info.mode:04o}",
        "uid": str(info.uid),
        "gid": str(info.gid),
        "user": info.uname,
        "group": info.gname,
        "mtime": f"{info.mtime:g}" if info.mtime != int(info.mtime) else str(int(info.mtime)),
    }
    known = ("mtime", "path", "linkpath", "size", "uid", "gid", "uname", "gname")
    return fields | {f"pax {k}": v for k, v in info.pax_headers.items() if k not in known}


def _zip(data: bytes) -> Container:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        if len(infos) > _MOST_MEMBERS or sum(i.file_size for i in infos) > LARGEST:
            raise TooLarge
        members = tuple(Member(i.filename, archive.read(i), _zip_fields(i)) for i in infos)
        return Container("zip", members, {"comment": archive.comment.decode("latin-1")})


def _zip_fields(info: zipfile.ZipInfo) -> dict[str, str]:
    year, month, day, hour, minute, second = info.date_time
    return {
        "mtime": f"{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}",
        "mode": f"{info.external_attr >> 16 & 0o7777:04o}",
        "system": str(info.create_system),
        "method": str(info.compress_type),
        **_extra(info.extra),
        "packed size": str(info.compress_size) if info.compress_type else "",
    }


def _extra(data: bytes) -> dict[str, str]:
    """Return the extra fields of a member by their numbers (APPNOTE 4.5), as hex."""
    found = {}
    while len(data) >= 4:
        size = int.from_bytes(data[2:4], "little")
        found[f"extra {data[:2].hex()}"] = data[4 : 4 + size].hex()
        data = data[4 + size :]
    return {**found, "extra rest": data.hex()} if data else found


def _ar(data: bytes) -> Container:
    members = []
    position = 8
    names = b""
    while position + 60 <= len(data):
        name, mtime, uid, gid, mode, size = struct.unpack_from("16s12s6s6s8s10s", data, position)
        length = int(size)
        if length < 0:
            raise ValueError
        content = data[position + 60 : position + 60 + length]
        position += 60 + length + length % 2
        title = name.decode("latin-1").rstrip()
        if title == "//":
            names = content
        elif title[:1] == "/" and title[1:].isdigit():
            start = int(title[1:])
            title = names[start : names.index(b"\n", start)].decode("latin-1").rstrip("/")
        words = {"mtime": mtime, "uid": uid, "gid": gid, "mode": mode}
        fields = {key: value.decode("latin-1").strip() for key, value in words.items()}
        title = title if title in ("/", "//") else title.rstrip("/")
        members.append(Member(title, content, fields))
    return Container("ar", tuple(members))


def _cpio(data: bytes) -> Container:
    members: list[Member] = []
    position = 0
    while len(members) <= _MOST_MEMBERS:
        header = struct.unpack(">13I", binascii.unhexlify(data[position + 6 : position + 110]))
        inode, mode, uid, gid, _links, mtime, size, *_, named, _checksum = header
        start = position + 110
        name = data[start : start + named].rstrip(b"\0").decode("latin-1")
        content = start + named + -(start + named) % 4
        position = content + size + -size % 4
        if name == "TRAILER!!!":
            if rest := data[position:].lstrip(b"\0"):  # an initramfs may have archives in a row
                members.append(Member("", rest))
            return Container("cpio", tuple(members))
        numbers = {"inode": inode, "uid": uid, "gid": gid, "mtime": mtime}
        fields = {key: str(value) for key, value in numbers.items()} | {"mode": f"{mode:o}"}
        members.append(Member(name, data[content : content + size], fields))
    raise TooLarge


LAID = "functions"
"""The member of a program that names its functions as they lie in memory."""
_SYMBOLS = (2, 11)
"""SHT_SYMTAB and SHT_DYNSYM."""
_ODC = re.compile(rb"070707[0-7]{70}")
_OLD = struct.Struct("<13H")
_OLD_MARK = b"\xc7\x71"


def _cpio_odc(data: bytes) -> Container:
    """Read the portable format of POSIX: numbers in octal."""
    members: list[Member] = []
    at = 0
    while len(members) <= _MOST_MEMBERS and _ODC.match(data, at):
        numbers = [int(data[at + n : at + n + 6], 8) for n in range(6, 48, 6)]
        mtime, named, size = (
            int(data[at + n : at + n + width], 8) for n, width in ((48, 11), (59, 6), (65, 11))
        )
        at = _cpio_member(data, (at + 76, named, size, 1), (*numbers[:5], mtime), members)
    return Container("cpio", tuple(members))


def _cpio_old(data: bytes) -> Container:
    """Read the format of old: numbers of two bytes, the higher half of longer ones first."""
    members: list[Member] = []
    at = 0
    while len(members) <= _MOST_MEMBERS and data[at : at + 2] == _OLD_MARK:
        _, *numbers, _, _, high, low, named, size, rest = _OLD.unpack_from(data, at)
        place = (at + _OLD.size, named, size << 16 | rest, 2)
        at = _cpio_member(data, place, (*numbers, high << 16 | low), members)
    return Container("cpio", tuple(members))


def _cpio_member(
    data: bytes, place: tuple[int, int, int, int], numbers: tuple[int, ...], to: list[Member]
) -> int:
    """Add a member to ``to``, and return where the next one begins.

    ``place`` is where its name begins, how long that and its content are, and to what both are
    filled up; ``numbers`` are the device, the inode, the mode, the owner, the group and the date.
    """
    start, named, size, step = place
    content = start + named + -named % step
    device, inode, mode, uid, gid, mtime = numbers
    name = data[start : start + named].rstrip(b"\0").decode("latin-1")
    fields = {"inode": f"{device} {inode}", "mode": f"{mode:o}"}
    fields |= {"uid": str(uid), "gid": str(gid), "mtime": str(mtime)}
    end = content + size + -size % step
    if name == "TRAILER!!!":
        return len(data)
    to.append(Member(name, data[content : content + size], fields))
    return end


_STRINGS = ".rodata.str1"
"""Sections of strings of an object: gcc chooses among them by length, so they are taken as one."""


def _elf(data: bytes) -> Container:
    """Sections by name; headers and offsets are left out, for they follow the sections' sizes."""
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    layout = (f"{order}40xQ10xHHH", f"{order}IIQQQQII") if wide else (
        f"{order}32xI10xHHH", f"{order}IIIIIIII")  # fmt: skip
    table, size, count, names_at = struct.unpack_from(layout[0], data)
    headers = [struct.unpack_from(layout[1], data, table + n * size) for n in range(count)]
    if sum(header[5] for header in headers if header[1] not in _EMPTY) > len(data):
        raise TooLarge  # sections that lie over one another
    _, _, _, _, offset, length, *_ = headers[names_at]
    names = data[offset : offset + length]
    members: list[Member] = []
    texts: list[bytes] = []
    for title_at, kind, _flags, _address, offset, length, link, *_ in headers:
        if kind in _SYMBOLS and link < count:
            at, size = headers[link][4:6]
            table, strings = data[offset : offset + length], data[at : at + size]
            laid = "\n".join(functions(table, strings, wide=wide, order=order))
            members.append(Member(LAID, laid.encode("latin-1")))
        if kind not in (*_EMPTY, *_FOLLOWING):
            title = names[title_at : names.index(b"\0", title_at)].decode("latin-1")
            content = data[offset : offset + length]
            if title.startswith(_STRINGS):
                texts += content.split(b"\0")
            else:
                members.append(Member(title, content))
    if texts:
        members.append(Member(_STRINGS, b"\0".join(sorted(texts))))
    return Container("elf", tuple(members), ordered=False)


def _zstd(data: bytes) -> Container:
    """Tell a frame by the checksum of its content (RFC 8878, 3.1.1), for nothing unpacks it."""
    if not data[4] & 4:
        raise ValueError(data[4])
    return Container("zstd", (Member("checksum", data[-4:]),))


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"


_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Container]], ...] = (
    (lambda data: data.startswith(b"\x1f\x8b\x08"), _gzip),
    (lambda data: data.startswith(b"BZh"), _bzip2),
    (lambda data: data.startswith(b"\x28\xb5\x2f\xfd") and len(data) > 9, _zstd),
    (lambda data: data.startswith((b"PACK", b"# v2 git bundle", b"# v3 git bundle")), git_pack),
    (is_git_object, git_object),
    (lambda data: data.startswith(b"\xfd7zXZ\0"), _xz),
    (_is_tar, _tar),
    (lambda data: data[:4] in (b"PK\3\4", b"PK\5\6"), _zip),
    (lambda data: data.startswith(b"!<arch>\n"), _ar),
    (lambda data: data.startswith(b"%PDF-"), pdf),
    (is_pem, pem),
    (is_array, array),
    (lambda data: data.startswith(b"SQLite format 3\0"), sqlite),
    (lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"), png),
    (lambda data: data.startswith(b"\xed\xab\xee\xdb"), rpm),
    (lambda data: data[:6] in (b"070701", b"070702"), _cpio),
    (lambda data: bool(_ODC.match(data)), _cpio_odc),
    (lambda data: data[:2] == _OLD_MARK, _cpio_old),
    (lambda data: data.startswith(b"\x7fELF") and len(data) > 52, _elf),
)
