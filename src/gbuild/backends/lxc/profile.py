"""The list of system calls as a profile for liblxc: what :mod:`gbuild.host.sandbox.seccomp` says.

Format: version 2 of ``lxc.seccomp.profile`` in lxc.container.conf(5): an allowlist with the answer
to everything else, then a line per call: its name, an answer (allow unless it is said) and
conditions ``[argument,value,operator,mask]``. As there, a listed call is allowed; an unlisted one
answers EPERM if it is old, else ENOSYS, which goes for calls that this host's libseccomp has
never heard of, too.

Differences: old calls that no program makes answer ENOSYS (each line costs time at every start).
liblxc gives every line to all interfaces of the processor, x32 too (sections for one interface
are not honoured), so there is one list for all. It knows the socket calls of i386 only as
``socketcall``. And libseccomp cannot say "otherwise", so what is not forbidden is spelt out as
masks: the kernel reads 32 bits of these arguments and ignores the others.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from functools import lru_cache

from gbuild.host.sandbox import seccomp, syscalls

_WORD = 0xFFFFFFFF
_FAMILIES, _PROTOCOLS, _REQUESTS = 6, 5, 32
"""Bits that tell socket families, netlink protocols and ioctl requests apart."""

_REFUSED = """
acct add_key bpf clock_adjtime clock_settime delete_module fanotify_init finit_module init_module
io_pgetevents ioperm iopl kcmp kexec_load keyctl migrate_pages mount move_pages name_to_handle_at
open_by_handle_at perf_event_open pivot_root quotactl reboot request_key setdomainname sethostname
setns settimeofday swapoff swapon syslog umount umount2 unshare userfaultfd vhangup vmsplice
"""
"""Calls that are not allowed and that programs try; all have numbers below 400."""


@lru_cache
def text(*, i386_sockets: bool = False) -> str:
    """Return the profile.

    ``i386_sockets`` lets 32-bit programs make sockets: their family cannot be checked, so that
    is needed where the image has such programs, else closed.
    """
    allowed = syscalls.X86_64.keys() | syscalls.I386.keys()
    narrow = "socketcall" if i386_sockets else f"socketcall errno {errno.EAFNOSUPPORT}"
    lines = [
        "2",
        f"allowlist errno {errno.ENOSYS}",
        *sorted(allowed - {"clone", "ioctl", "personality", "socket", "socketcall"}),
        *(f"{name} errno {errno.EPERM}" for name in _REFUSED.split()),
        *_conditional(),
        *_socket(),
        narrow,
    ]
    return "\n".join(lines) + "\n"


def _conditional() -> Iterator[str]:
    refused = f"errno {errno.EPERM}"
    namespaces = seccomp.NAMESPACES
    yield f"clone allow {_masked(0, 0, namespaces)}"
    for bit in (1 << n for n in range(32) if namespaces >> n & 1):
        yield f"clone {refused} {_masked(0, bit, bit)}"
    for request in seccomp.TERMINAL_INJECTION:
        yield f"ioctl {refused} {_masked(1, request)}"
    for value, mask in _others(seccomp.TERMINAL_INJECTION, _REQUESTS):
        yield f"ioctl allow {_masked(1, value, mask)}"
    for persona in seccomp.PERSONALITIES:
        yield f"personality allow {_masked(0, persona)}"


def _socket() -> Iterator[str]:
    netlink, audit = seccomp.AF_NETLINK, seccomp.NETLINK_AUDIT
    for family in seccomp.FAMILIES:
        yield f"socket allow {_masked(0, family)}"
    for value, mask in _others((*seccomp.FAMILIES, netlink), _FAMILIES):
        yield f"socket errno {errno.EAFNOSUPPORT} {_masked(0, value, mask)}"
    yield f"socket errno {errno.EINVAL} {_masked(0, netlink)} {_masked(2, audit)}"
    for value, mask in _others((audit,), _PROTOCOLS):
        yield f"socket allow {_masked(0, netlink)} {_masked(2, value, mask)}"


def _masked(argument: int, value: int, mask: int = _WORD) -> str:
    return f"[{argument},{value:#x},SCMP_CMP_MASKED_EQ,{mask:#x}]"


def _others(values: Iterable[int], bits: int) -> Iterator[tuple[int, int]]:
    """Return (value, mask) pairs that match every number of ``bits`` bits but ``values``."""
    top = _WORD & ~((1 << bits) - 1)
    yield from _split(frozenset(values), 0, top, bits)


def _split(values: frozenset[int], prefix: int, mask: int, bits: int) -> Iterator[tuple[int, int]]:
    """Halve the numbers that begin with ``prefix`` until a half has none of ``values``."""
    if not any(value & mask == prefix for value in values):
        yield prefix, mask
    elif bits:
        bit = 1 << (bits - 1)
        yield from _split(values, prefix, mask | bit, bits - 1)
        yield from _split(values, prefix | bit, mask | bit, bits - 1)
