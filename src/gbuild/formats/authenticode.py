"""Code signatures of Windows programs: take them off, put them on, compare without them.

Sources: Microsoft, "PE Format" (optional header, attribute certificate table) and "Windows
Authenticode Portable Executable Signature Format". A signature changes four things of a file:
padding to eight bytes at its end, a table of certificates behind that, the entry of the data
directory that points there, and the check sum.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from gbuild.errors import UsageFailure

_LFANEW = 0x3C
_COFF = 24
"""Bytes of the PE mark and the COFF header, in front of the optional header."""
_CHECKSUM = 64
_DIRECTORIES = {0x10B: 96, 0x20B: 112}
"""Magic of the optional header (PE32, PE32+): where its data directories begin."""
_SECURITY = 4
_ALIGNMENT = 8
_CERTIFICATE = 8
"""Bytes of the head of an entry in the table of certificates."""
_REVISION, _PKCS7 = 0x0200, 0x0002


class NotPortableExecutable(UsageFailure):
    """A file that is no Windows program, or a damaged one."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a program keeps what a signature changes; all are offsets in the file."""

    checksum: int
    entry: int
    table: int
    size: int


def is_program(data: bytes) -> bool:
    """Say whether this begins as a Windows program does."""
    return data[:2] == b"MZ"


def is_signed(data: bytes) -> bool:
    """Say whether a program carries a table of certificates.

    Raises:
        NotPortableExecutable: it is damaged.
    """
    return _layout(data).size > 0


def unsigned_form(data: bytes) -> bytes:
    """Return a program without its signature and check sum, padded as a signed one is.

    A file and the same file signed have one unsigned form.

    Raises:
        NotPortableExecutable: it is damaged, or something lies behind its signature.
    """
    layout = _layout(data)
    end = layout.table if layout.size else len(data)
    bare = bytearray(data[:end])
    bare[layout.checksum : layout.checksum + 4] = bytes(4)
    bare[layout.entry : layout.entry + 8] = bytes(8)
    return bytes(bare) + bytes(-end % _ALIGNMENT)


def attach(program: bytes, signature: bytes) -> bytes:
    """Return ``program`` with a detached signature (PKCS #7, DER) put on.

    Raises:
        NotPortableExecutable: the program is damaged.
        UsageFailure: it is signed already, or the signature is no DER sequence.
    """
    layout = _layout(program)
    if layout.size:
        raise UsageFailure("the program carries a signature already")
    if signature[:1] != b"\x30":
        raise UsageFailure("the code signature is not PKCS #7 in DER")
    padded = program + bytes(-len(program) % _ALIGNMENT)
    body = signature + bytes(-len(signature) % _ALIGNMENT)
    table = struct.pack("<IHH", _CERTIFICATE + len(body), _REVISION, _PKCS7) + body
    signed = bytearray(padded + table)
    struct.pack_into("<II", signed, layout.entry, len(padded), len(table))
    struct.pack_into("<I", signed, layout.checksum, _sum(signed, layout.checksum))
    return bytes(signed)


def detach(program: bytes) -> bytes:
    """Return the signature (PKCS #7, DER) that a program carries.

    Raises:
        NotPortableExecutable: it is damaged.
        UsageFailure: it is not signed, or in another way than Authenticode's.
    """
    layout = _layout(program)
    if not layout.size:
        raise UsageFailure("the program is not signed")
    length, revision, kind = struct.unpack_from("<IHH", program, layout.table)
    if (revision, kind) != (_REVISION, _PKCS7) or not _CERTIFICATE < length <= layout.size:
        raise UsageFailure("the program's signature is not one of Authenticode")
    body = program[layout.table + _CERTIFICATE : layout.table + length]
    return body[: _der_length(body)]


def _der_length(body: bytes) -> int:
    """Return the length of the DER sequence at the start; what follows is padding."""
    if body[:1] != b"\x30" or len(body) < 2:
        raise UsageFailure("the program's signature is not PKCS #7 in DER")
    if body[1] < 0x80:
        return 2 + body[1]
    octets = body[1] & 0x7F
    return 2 + octets + int.from_bytes(body[2 : 2 + octets], "big")


def _layout(data: bytes) -> _Layout:
    try:
        start = struct.unpack_from("<I", data, _LFANEW)[0]
        if not is_program(data) or data[start : start + 4] != b"PE\0\0":
            raise NotPortableExecutable("not a Windows program")
        header = start + _COFF
        first = header + _DIRECTORIES[struct.unpack_from("<H", data, header)[0]]
        if struct.unpack_from("<I", data, first - 4)[0] <= _SECURITY:
            raise NotPortableExecutable("the program has no place for a signature")
        entry = first + _SECURITY * 8
        table, size = struct.unpack_from("<II", data, entry)
    except (struct.error, KeyError) as error:
        raise NotPortableExecutable("the program's header is damaged") from error
    if size and (table < entry + 8 or table + size != len(data)):
        raise NotPortableExecutable("the program's signature does not lie at its end")
    return _Layout(header + _CHECKSUM, entry, table, size)


def _sum(data: bytearray, skip: int) -> int:
    """Return the check sum of a PE image: 16 bit words with carry, plus the file's length."""
    total = _words(data) - _words(data[skip : skip + 4])
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(data)


def _words(data: bytearray) -> int:
    """Return the sum of the little-endian 16 bit words."""
    return sum(data[0::2]) + (sum(data[1::2]) << 8)
