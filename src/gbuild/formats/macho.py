"""Code signatures of macOS programs: take them off, put them on, compare without them.

Sources: Apple's headers mach-o/loader.h, mach-o/fat.h and, for what a signature covers,
cs_blobs.h of XNU. A signature adds one load command (LC_CODE_SIGNATURE), lies at the end of the
last segment (__LINKEDIT), and makes that one longer; nothing else of the file changes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from gbuild.errors import AnswerIsNo, UsageFailure

_THIN = {b"\xcf\xfa\xed\xfe": 32, b"\xce\xfa\xed\xfe": 28}
"""Magic of little-endian files, 64 and 32 bits: bytes of the header."""
_FAT = b"\xca\xfe\xba\xbe"
_FAT_ENTRY = struct.Struct(">5I")
_MOST_SLICES = 16
_MOST_COMMANDS = 4096
_CPUS = {7: "i386", 0x01000007: "x86_64", 12: "arm", 0x0100000C: "arm64"}

_SEGMENT, _SEGMENT_64, _CODE_SIGNATURE = 0x1, 0x19, 0x1D
_SEGMENT_FIELDS = {_SEGMENT: ("<4I", 24), _SEGMENT_64: ("<4Q", 24)}
"""Command: shape and place of vmaddr, vmsize, fileoff, filesize."""
_SECTION_OFFSETS = {_SEGMENT: (48, 56, 68, 40), _SEGMENT_64: (64, 72, 80, 48)}
"""Command: place of the number of sections, start and size of each, place of its offset."""
_SIGNATURE_COMMAND = 16
_ALIGNMENT = 16
_PAGES = (0x4000, 0x1000, 1)
"""Signing tools differ in how they round the last segment's size in memory; the signature tells."""

_SUPERBLOB, _DIRECTORY = 0xFADE0CC0, 0xFADE0C02
_HASHES = {1: "sha1", 2: "sha256", 3: "sha256", 4: "sha384"}


class NotMachO(UsageFailure):
    """A file that is no macOS program, or a damaged one."""


@dataclass(frozen=True, slots=True)
class _Program:
    """One thin program; ``linkedit`` is where the command of its last segment lies."""

    data: bytes
    header: int
    arch: str
    commands: int
    commands_size: int
    linkedit: int
    room: int
    signature: tuple[int, int, int] | None

    @property
    def end(self) -> int:
        """Where the signature begins, or the file ends."""
        return self.signature[1] if self.signature else len(self.data)


@dataclass(frozen=True, slots=True)
class _Directory:
    """What a signature states of the program: a hash of each ``page`` of its ``limit`` bytes."""

    hashes: list[bytes]
    algorithm: str
    page: int
    limit: int


def is_program(data: bytes) -> bool:
    """Say whether this begins as a macOS program does, of one architecture or several.

    Java's class files begin like one of several; their second number is larger.
    """
    if data[:4] == _FAT and len(data) >= 8:
        return 0 < int.from_bytes(data[4:8], "big") <= _MOST_SLICES
    return data[:4] in _THIN


def is_signed(data: bytes) -> bool:
    """Say whether any part of a program carries a signature.

    Raises:
        NotMachO: it is damaged.
    """
    return any(program.signature for program in _programs(data))


def unsigned_form(data: bytes) -> bytes:
    """Return a program without its signatures; the parts of several architectures one by one.

    A file and the same file signed, or signed anew, have one unsigned form.

    Raises:
        NotMachO: it is damaged, or something lies behind a signature.
    """
    return b"".join(_bare(program) for program in _programs(data))


def detach(data: bytes) -> Mapping[str, bytes]:
    """Return the signatures that a program carries, by architecture.

    Raises:
        NotMachO: it is damaged.
    """
    return {
        program.arch: program.data[program.signature[1] :][: program.signature[2]]
        for program in _programs(data)
        if program.signature
    }


def attach(data: bytes, signatures: Mapping[str, bytes]) -> bytes:
    """Return a program with detached signatures put on, in the place of those it carries.

    Args:
        data: the program, of one architecture or several.
        signatures: one for each of its architectures.

    Raises:
        NotMachO: the program is damaged.
        UsageFailure: an architecture lacks its signature, or there is one too many.
        AnswerIsNo: a signature was made for other bytes.
    """
    programs = list(_programs(data))
    if {program.arch for program in programs} != signatures.keys():
        raise UsageFailure(
            "the code signatures are not those of this program's architectures",
            details=(
                f"program:    {', '.join(sorted(program.arch for program in programs))}",
                f"signatures: {', '.join(sorted(signatures)) or 'none'}",
            ),
        )
    signed = [_attached(program, signatures[program.arch]) for program in programs]
    return _joined(data, signed) if data[:4] == _FAT else signed[0]


def _programs(data: bytes) -> Iterator[_Program]:
    try:
        if data[:4] == _FAT:
            for start, size in _slices(data):
                yield _program(data[start : start + size])
        else:
            yield _program(data)
    except (struct.error, IndexError) as error:
        raise NotMachO("the program's header is damaged") from error


def _slices(data: bytes) -> list[tuple[int, int]]:
    count = struct.unpack_from(">I", data, 4)[0]
    if not 0 < count <= _MOST_SLICES:
        raise NotMachO("the program has too many architectures")
    found = []
    for number in range(count):
        _, _, start, size, _ = _FAT_ENTRY.unpack_from(data, 8 + number * _FAT_ENTRY.size)
        if start + size > len(data):
            raise NotMachO("the program is cut off")
        found.append((start, size))
    return found


def _program(data: bytes) -> _Program:
    if data[:4] not in _THIN:
        raise NotMachO("not a macOS program")
    header = _THIN[data[:4]]
    cpu, _, _, commands, size = struct.unpack_from("<5I", data, 4)
    if commands > _MOST_COMMANDS:
        raise NotMachO("the program has too many load commands")
    place, linkedit, signature, first = header, 0, None, len(data)
    for _ in range(commands):
        command, length = struct.unpack_from("<2I", data, place)
        if length < 8 or place + length > header + size:
            raise NotMachO("the program's load commands are damaged")
        if command in _SEGMENT_FIELDS:
            first = min(first, *_contents(data, place, command), len(data))
            if data[place + 8 : place + 24].rstrip(b"\0") == b"__LINKEDIT":
                linkedit = place
        elif command == _CODE_SIGNATURE:
            signature = (place, *struct.unpack_from("<2I", data, place + 8))
        place += length
    if not linkedit:
        raise NotMachO("the program has no __LINKEDIT segment to hold a signature")
    if signature and signature[1] + signature[2] != len(data):
        raise NotMachO("the program's signature does not lie at its end")
    room = first - header - size
    return _Program(
        data, header, _CPUS.get(cpu, f"cpu{cpu}"), commands, size, linkedit, room, signature
    )


def _contents(data: bytes, place: int, command: int) -> Iterator[int]:
    """Yield where the sections of a segment lie in the file."""
    count_at, start, size, offset_at = _SECTION_OFFSETS[command]
    count = struct.unpack_from("<I", data, place + count_at)[0]
    for number in range(min(count, 256)):
        offset = struct.unpack_from("<I", data, place + start + number * size + offset_at)[0]
        if offset:
            yield offset


def _bare(program: _Program) -> bytes:
    """Return a thin program without its signature: padded, its last segment's size in memory 0."""
    stripped = _without_command(program)
    body = program.data[: program.end]
    bare = bytearray(body + bytes(-len(body) % _ALIGNMENT))
    bare[: stripped.header + stripped.commands_size + _SIGNATURE_COMMAND] = stripped.data[
        : stripped.header + stripped.commands_size + _SIGNATURE_COMMAND
    ]
    _resize(bare, stripped.linkedit, vmsize=0, end=len(bare))
    return bytes(bare)


def _without_command(program: _Program) -> _Program:
    """Take the load command of the signature away; what follows it moves up."""
    if program.signature is None:
        return program
    place = program.signature[0]
    commands_end = program.header + program.commands_size
    head = bytearray(program.data[:commands_end])
    del head[place : place + _SIGNATURE_COMMAND]
    size = program.commands_size - _SIGNATURE_COMMAND
    struct.pack_into("<2I", head, 16, program.commands - 1, size)
    linkedit = program.linkedit
    return replace(
        program,
        data=bytes(head) + bytes(_SIGNATURE_COMMAND) + program.data[commands_end : program.end],
        commands=program.commands - 1,
        commands_size=size,
        linkedit=linkedit - _SIGNATURE_COMMAND if linkedit > place else linkedit,
        room=program.room + _SIGNATURE_COMMAND,
        signature=None,
    )


def _resize(data: bytearray, place: int, *, vmsize: int, end: int) -> None:
    """Let the last segment end at ``end`` of the file."""
    shape, fields = _SEGMENT_FIELDS[struct.unpack_from("<I", data, place)[0]]
    address, _, start, _ = struct.unpack_from(shape, data, place + fields)
    if start > end:
        raise NotMachO("the program's last segment is damaged")
    struct.pack_into(shape, data, place + fields, address, vmsize, start, end - start)


def _attached(program: _Program, signature: bytes) -> bytes:
    bare = _without_command(program)
    if bare.room < _SIGNATURE_COMMAND:
        raise UsageFailure("the program has no room for the load command of a signature")
    body = bytearray(bare.data + bytes(-len(bare.data) % _ALIGNMENT))
    place = len(body)
    command = struct.pack("<4I", _CODE_SIGNATURE, _SIGNATURE_COMMAND, place, len(signature))
    behind = bare.header + bare.commands_size
    body[behind : behind + _SIGNATURE_COMMAND] = command
    size = bare.commands_size + _SIGNATURE_COMMAND
    struct.pack_into("<2I", body, 16, bare.commands + 1, size)
    end = place + len(signature)
    covered = _directories_of(signature)
    original, start = _segment(body, bare.linkedit)
    wrong = None
    for vmsize in dict.fromkeys((*(_rounded(end - start, page) for page in _PAGES), original)):
        _resize(body, bare.linkedit, vmsize=vmsize, end=end)
        if (wrong := _misfit(bytes(body), covered)) is None:
            return bytes(body) + signature
    raise AnswerIsNo(f"the code signature was made for other bytes: {wrong}")


def _rounded(size: int, page: int) -> int:
    return -(-size // page) * page


def _segment(data: bytearray, place: int) -> tuple[int, int]:
    """Return a segment's size in memory and where it begins in the file."""
    shape, fields = _SEGMENT_FIELDS[struct.unpack_from("<I", data, place)[0]]
    _, vmsize, start, _ = struct.unpack_from(shape, data, place + fields)
    return vmsize, start


def _misfit(body: bytes, directories: list[_Directory]) -> str | None:
    """Say what does not fit when every page is compared with the hashes of a signature."""
    for one in directories:
        if one.limit != len(body):
            return f"it covers {one.limit} bytes, the program has {len(body)}"
        pages = [body[at : at + one.page] for at in range(0, one.limit, one.page)]
        if len(pages) != len(one.hashes):
            return f"it covers {len(one.hashes)} pages, the program has {len(pages)}"
        for number, (page, stated) in enumerate(zip(pages, one.hashes, strict=True)):
            found = hashlib.new(one.algorithm, page, usedforsecurity=False).digest()
            if found[: len(stated)] != stated:
                return f"page {number} differs"
    return None


def _directories_of(signature: bytes) -> list[_Directory]:
    try:
        directories = list(_directories(signature))
    except (struct.error, KeyError) as error:
        raise UsageFailure("the code signature is damaged") from error
    if not directories:
        raise UsageFailure("the code signature has no code directory")
    return directories


def _directories(signature: bytes) -> Iterator[_Directory]:
    magic, _, count = struct.unpack_from(">3I", signature, 0)
    if magic != _SUPERBLOB:
        raise UsageFailure("the code signature is not one of macOS")
    for number in range(min(count, 64)):
        at = struct.unpack_from(">I", signature, 16 + 8 * number)[0]
        if struct.unpack_from(">I", signature, at)[0] == _DIRECTORY:
            yield _directory(signature, at)


def _directory(signature: bytes, at: int) -> _Directory:
    hashes_at, _, _, count, limit = struct.unpack_from(">5I", signature, at + 16)
    size, kind, _, page = struct.unpack_from("4B", signature, at + 36)
    if not 16 <= size <= 64 or count * size > len(signature):
        raise UsageFailure("the code signature is damaged")
    first = at + hashes_at
    hashes = [signature[first + n * size : first + (n + 1) * size] for n in range(count)]
    if any(len(one) != size for one in hashes):
        raise UsageFailure("the code signature is cut off")
    return _Directory(hashes, _HASHES[kind], 1 << page if page else max(limit, 1), limit)


def _joined(fat: bytes, programs: list[bytes]) -> bytes:
    """Write thin programs into one file with the table of ``fat``, places and sizes anew."""
    out = bytearray(fat[:8])
    place = 8 + _FAT_ENTRY.size * len(programs)
    table, body = bytearray(), bytearray()
    for number, program in enumerate(programs):
        cpu, subtype, _, _, align = _FAT_ENTRY.unpack_from(fat, 8 + number * _FAT_ENTRY.size)
        if align > 20:
            raise NotMachO("the program's table of architectures is damaged")
        start = -(-(place + len(body)) // (1 << align)) * (1 << align)
        body += bytes(start - place - len(body)) + program
        table += _FAT_ENTRY.pack(cpu, subtype, start, len(program), align)
    return bytes(out + table + body)
