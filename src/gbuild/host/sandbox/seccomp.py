"""The system call filter of a sandbox: classic BPF made from a table, as an array of bytes.

Made by hand instead of by libseccomp: the program is the same on every host whatever is
installed there, costs no library on the way to the first command, and is small enough to be
tested call by call (every call that it allows, an ordinary container's filter allows too).

Answers: a listed call is allowed; an unlisted old one gets EPERM, as if a privilege lacked; an
unlisted new one gets ENOSYS, so that libraries fall back to the old one. Interfaces: x86_64 and
i386; x32 gets ENOSYS always; another architecture ends the process.

Format: struct sock_filter and struct seccomp_data of linux/filter.h and linux/seccomp.h.
"""

from __future__ import annotations

from functools import lru_cache

from gbuild.host.sandbox import syscalls

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_JUMP = 0x05  # BPF_JMP | BPF_JA
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_ABOVE = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_ATLEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_BITS = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_ARCH_X86_64 = 0xC000003E
_ARCH_I386 = 0x40000003
_X32_BIT = 0x40000000

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000
_EPERM, _EINVAL, _ENOSYS, _EAFNOSUPPORT = 1, 22, 38, 97

_FIRST_NEW = 400
"""Calls from here on are common to all interfaces and younger than any library's fallback."""

NAMESPACES = 0x7E020000
"""Refused flags of clone(2): CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}."""

PERSONALITIES = (
    *(word | flags for word in (0x0, 0x8) for flags in (0x0, 0x20000, 0x40000, 0x60000)),
    0xFFFFFFFF,
)
"""Words 0 and PER_LINUX32 of personality(2), both with UNAME26 and ADDR_NO_RANDOMIZE or without:
a process changes by them only what it and its children see. The last one asks."""

AF_NETLINK, NETLINK_AUDIT = 16, 9
FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6; not AF_VSOCK, which ignores namespaces
TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_SOCKETCALL_SOCKET = 1

_Instruction = tuple[int, int, int, int]


def _return(value: int) -> _Instruction:
    return (_RETURN, 0, 0, value)


def _argument(index: int) -> _Instruction:
    """Load the low half of an argument: the kernel reads these ones as 32-bit numbers."""
    return (_LOAD, 0, 0, 16 + 8 * index)


def _only(values: tuple[int, ...], otherwise: int) -> list[_Instruction]:
    """Allow if the loaded value is one of ``values``, else answer the errno ``otherwise``."""
    checks = [(_EQUAL, len(values) - n, 0, v) for n, v in enumerate(values)]
    return [*checks, _return(_ERRNO | otherwise), _return(_ALLOW)]


def _none_of(values: tuple[int, ...], errno: int) -> list[_Instruction]:
    checks = [(_EQUAL, len(values) - n, 0, v) for n, v in enumerate(values)]
    return [*checks, _return(_ALLOW), _return(_ERRNO | errno)]


def _socket() -> list[_Instruction]:
    audit = [
        (_EQUAL, 0, 4, AF_NETLINK),
        _argument(2),
        (_EQUAL, 0, 1, NETLINK_AUDIT),
        _return(_ERRNO | _EINVAL),  # what libaudit takes for "no audit in this kernel"
        _return(_ALLOW),
    ]
    return [_argument(0), *audit, *_only(FAMILIES, _EAFNOSUPPORT)]


def _conditional(*, sockets: bool) -> dict[str, list[_Instruction]]:
    """Calls that are allowed for some arguments only; ``sockets``: by the i386 multiplexer too."""
    namespaces = (_BITS, 0, 1, NAMESPACES)
    special = {
        "clone": [_argument(0), namespaces, _return(_ERRNO | _EPERM), _return(_ALLOW)],
        "ioctl": [_argument(1), *_none_of(TERMINAL_INJECTION, _EPERM)],
        "personality": [_argument(0), *_only(PERSONALITIES, _EPERM)],
        "socket": _socket(),
    }
    if not sockets:  # its arguments lie behind a pointer, where no filter can look
        special["socketcall"] = [_argument(0), *_none_of((_SOCKETCALL_SOCKET,), _EAFNOSUPPORT)]
    return special


def _ranges(numbers: set[int]) -> list[tuple[int, int]]:
    """Return the sorted runs (first, last) of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _listed(runs: list[tuple[int, int]]) -> list[_Instruction]:
    """Walk the sorted runs: below one is a gap (refused), not above its end is in it."""
    size = 2 * len(runs)
    code: list[_Instruction] = []
    for at, (first, last) in zip(range(0, size, 2), runs, strict=True):
        code += [(_ATLEAST, 0, size - at - 1, first), (_ABOVE, 0, size - at + 1, last)]
    refuse = [(_ATLEAST, 1, 0, _FIRST_NEW), _return(_ERRNO | _EPERM), _return(_ERRNO | _ENOSYS)]
    return [*code, *refuse, _return(_ALLOW)]


def _interface(table: dict[str, int], special: dict[str, list[_Instruction]]) -> list[_Instruction]:
    """Decide on a call number that is already loaded."""
    code: list[_Instruction] = []
    for name, block in special.items():
        if name in table:
            code += [(_EQUAL, 0, len(block), table[name]), *block]
    return code + _listed(_ranges({n for name, n in table.items() if name not in special}))


@lru_cache
def program(*, i386_sockets: bool = False) -> bytes:
    """Return the filter.

    ``i386_sockets`` lets 32-bit programs make sockets by the old multiplexing call, whose
    family cannot be checked: needed where the image itself is i386, else left closed.
    """
    wide = _interface(syscalls.X86_64, _conditional(sockets=True))
    native = [(_ATLEAST, 0, 1, _X32_BIT), _return(_ERRNO | _ENOSYS), *wide]
    narrow = _interface(syscalls.I386, _conditional(sockets=i386_sockets))
    code = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 3, 0, _ARCH_X86_64),
        (_EQUAL, 1, 0, _ARCH_I386),
        _return(_KILL),
        (_JUMP, 0, 0, 1 + len(native)),
        (_LOAD, 0, 0, 0),
        *native,
        (_LOAD, 0, 0, 0),
        *narrow,
    ]
    return b"".join(
        op.to_bytes(2, "little") + bytes((yes, no)) + value.to_bytes(4, "little")
        for op, yes, no, value in code
    )
