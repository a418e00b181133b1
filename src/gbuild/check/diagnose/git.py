"""What git keeps: packs and bundles, single objects, the index. Pure.

Formats: gitformat-pack(5), gitformat-bundle(5), gitformat-index(5).
"""

from __future__ import annotations

import struct
import zlib

from gbuild.check.diagnose.member import LARGEST, Container, Member, TooLarge

_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_MOST = 20_000
_PIECE = 4096
_MARK = b"PACK"
_INDEX = struct.Struct(">10I20sH")


def git_pack(data: bytes) -> Container:
    """Unpack a pack, or a bundle with one; objects are named by their kinds and their order.

    Raises:
        ValueError, zlib.error, struct.error: it is broken, or has objects that need others.
    """
    at = data.index(_MARK)
    _, count = struct.unpack_from(">II", data, at + 4)
    if count > _MOST:
        raise TooLarge
    members, left = [Member("head", data[:at])], LARGEST
    at += 12
    for _ in range(count):
        kind = data[at] >> 4 & 7
        while data[at] & 128:
            at += 1
        if kind not in _KINDS:
            raise ValueError(kind)
        inner, at = _unpacked(data, at + 1, left)
        left -= len(inner)
        members.append(Member(_KINDS[kind], inner if kind != 2 else b""))
    return Container("git", tuple(members))


def _unpacked(data: bytes, at: int, most: int) -> tuple[bytes, int]:
    """Return what zlib packed from ``at`` on, of at most ``most`` bytes, and where it ends.

    In pieces: zlib copies all that follows an object, which a pack may have thousands of.
    """
    unpacker, found = zlib.decompressobj(), bytearray()
    while not unpacker.eof:
        piece = data[at : at + _PIECE]
        if not piece:
            raise ValueError("the object is cut short")
        found += unpacker.decompress(piece, most + 1 - len(found))
        if len(found) > most:
            raise TooLarge
        at += len(piece)
    return bytes(found), at - len(unpacker.unused_data)


def is_git_object(data: bytes) -> bool:
    """Say whether a file is an object by itself, as zlib packed it."""
    if data[:1] != b"\x78" or len(data) < 2 or (data[0] << 8 | data[1]) % 31:
        return False
    try:
        head = zlib.decompressobj().decompress(data, 16)
    except zlib.error:
        return False
    return head.startswith((b"commit ", b"tag ", b"tree ", b"blob ")) and b"\0" in head


def git_object(data: bytes) -> Container:
    """Unpack an object.

    Raises:
        ValueError, zlib.error: it is broken, or too large.
    """
    inner, _ = _unpacked(data, 0, LARGEST)
    head, _, rest = inner.partition(b"\0")
    return Container("git", (Member(head.split(b" ")[0].decode("ascii"), rest),))


def git_index(data: bytes) -> tuple[dict[str, str], list[tuple[int, int]]] | None:
    """Return what an index (version 2 or 3) says of the files beside their content, and where."""
    if data[:4] != b"DIRC" or len(data) < 12:
        return None
    version, count = struct.unpack_from(">II", data, 4)
    if version not in (2, 3) or count > _MOST:
        return None
    found: dict[str, set[str]] = {}
    spans, at = [(len(data) - 20, len(data))], 12
    for _ in range(count):
        changed, _, modified, _, device, inode, _, user, group, _, _, flags = _INDEX.unpack_from(
            data, at
        )
        for name, value in (("mtime", f"{changed} {modified}"), ("inode", f"{device} {inode}"),
                            ("owner", f"{user} {group}")):  # fmt: skip
            found.setdefault(name, set()).add(value)
        spans += [(at, at + 24), (at + 28, at + 36)]
        at += (62 + (flags & 0xFFF) + 2 * bool(flags & 0x4000)) // 8 * 8 + 8
    return {name: " ".join(sorted(values)[:9]) for name, values in found.items()}, spans
