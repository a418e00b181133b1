"""A tiny interpreter of seccomp programs, written from linux/filter.h and linux/seccomp.h."""

from __future__ import annotations

import struct

X86_64, I386 = 0xC000003E, 0x40000003
ALLOW, KILL = 0x7FFF0000, 0x80000000


def errno(number: int) -> int:
    """Return the answer that makes a call fail with ``number``."""
    return 0x00050000 | number


def answer(program: bytes, arch: int, call: int, *arguments: int) -> int:
    """Return what the filter answers to a system call."""
    given = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<iIQ6Q", call, arch, 0, *(value & (1 << 64) - 1 for value in given))
    code = [struct.unpack("<HBBI", program[n : n + 8]) for n in range(0, len(program), 8)]
    loaded = place = 0
    while True:
        operation, yes, no, value = code[place]
        place += 1
        match operation:
            case 0x20:
                loaded = struct.unpack_from("<I", data, value)[0]
            case 0x05:
                place += value
            case 0x15:
                place += yes if loaded == value else no
            case 0x25:
                place += yes if loaded > value else no
            case 0x35:
                place += yes if loaded >= value else no
            case 0x45:
                place += yes if loaded & value else no
            case 0x06:
                return int(value)
            case _:
                raise AssertionError(hex(operation))
