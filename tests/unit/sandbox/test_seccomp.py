"""The filter, call by call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gbuild.host.sandbox import seccomp, syscalls

from .bpf import ALLOW, I386, KILL, X86_64, answer, errno

_PROFILE = Path("/usr/share/containers/seccomp.json")
_PROGRAM = seccomp.program()
_FORBIDDEN = {
    "mount": (165, 21),
    "umount2": (166, 52),
    "pivot_root": (155, 217),
    "unshare": (272, 310),
    "setns": (308, 346),
    "keyctl": (250, 288),
    "add_key": (248, 286),
    "request_key": (249, 287),
    "bpf": (321, 357),
    "perf_event_open": (298, 336),
    "userfaultfd": (323, 374),
    "open_by_handle_at": (304, 342),
    "kexec_load": (246, 283),
    "init_module": (175, 128),
    "reboot": (169, 88),
    "swapon": (167, 87),
    "syslog": (103, 103),
    "settimeofday": (164, 79),
    "quotactl": (179, 131),
    "acct": (163, 51),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "clone3": (435, 435),
    "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442),
    "io_uring_setup": (425, 425),
}


@pytest.mark.parametrize("name", _FORBIDDEN)
def test_a_dangerous_call_is_refused_in_every_interface(name: str) -> None:
    wide, narrow = _FORBIDDEN[name]
    expected = errno(38 if wide >= 400 else 1)
    assert answer(_PROGRAM, X86_64, wide) == expected
    assert answer(_PROGRAM, I386, narrow) == expected
    assert answer(_PROGRAM, X86_64, wide | 0x40000000) == errno(38)


@pytest.mark.parametrize("name", ["read", "execve", "openat", "fork", "wait4", "chown", "chroot"])
def test_an_ordinary_call_is_allowed(name: str) -> None:
    assert answer(_PROGRAM, X86_64, syscalls.X86_64[name]) == ALLOW
    assert answer(_PROGRAM, I386, syscalls.I386[name]) == ALLOW


def test_every_listed_call_and_no_other_is_allowed() -> None:
    conditional = {"clone", "ioctl", "personality", "socket", "socketcall"}
    for arch, table in ((X86_64, syscalls.X86_64), (I386, syscalls.I386)):
        listed = {number for name, number in table.items() if name not in conditional}
        special = {table[name] for name in conditional & table.keys()}
        for number in range(600):
            if number not in special:
                assert (answer(_PROGRAM, arch, number) == ALLOW) is (number in listed), number


def test_an_unknown_call_looks_like_an_old_kernel() -> None:
    assert answer(_PROGRAM, X86_64, 9999) == errno(38)
    assert answer(_PROGRAM, X86_64, -1) == errno(38)
    assert answer(_PROGRAM, X86_64, 0x40000000) == errno(38)


def test_another_architecture_ends_the_process() -> None:
    assert answer(_PROGRAM, 0xC00000B7, 0) == KILL


@pytest.mark.parametrize("bit", [17, 25, 26, 27, 28, 29, 30])
def test_clone_makes_no_namespace(bit: int) -> None:
    for arch, table in ((X86_64, syscalls.X86_64), (I386, syscalls.I386)):
        assert answer(_PROGRAM, arch, table["clone"], 17) == ALLOW
        assert answer(_PROGRAM, arch, table["clone"], 17 | 1 << bit) == errno(1)


@pytest.mark.parametrize(
    ("persona", "expected"),
    [
        *((persona, ALLOW) for persona in (0, 8, 0x20008, 0x60008, 0xFFFFFFFF)),
        (0x400000, errno(1)),
    ],
)
def test_personalities(persona: int, expected: int) -> None:
    assert answer(_PROGRAM, X86_64, syscalls.X86_64["personality"], persona) == expected
    assert answer(_PROGRAM, I386, syscalls.I386["personality"], persona) == expected


@pytest.mark.parametrize("request_", [0x5412, 0x541C, 0xFFFFFFFF00005412])
def test_terminal_input_cannot_be_injected(request_: int) -> None:
    for arch, table in ((X86_64, syscalls.X86_64), (I386, syscalls.I386)):
        assert answer(_PROGRAM, arch, table["ioctl"], 0, request_) == errno(1)
        assert answer(_PROGRAM, arch, table["ioctl"], 0, 0x5401) == ALLOW


@pytest.mark.parametrize(
    ("family", "protocol", "expected"),
    [
        (1, 0, ALLOW),
        (2, 6, ALLOW),
        (10, 0, ALLOW),
        (16, 0, ALLOW),
        (16, 9, errno(22)),
        (17, 0, errno(97)),
        (38, 0, errno(97)),
        (40, 0, errno(97)),
        (0x100000028, 0, errno(97)),
    ],
)
def test_sockets(family: int, protocol: int, expected: int) -> None:
    for arch, table in ((X86_64, syscalls.X86_64), (I386, syscalls.I386)):
        assert answer(_PROGRAM, arch, table["socket"], family, 1, protocol) == expected


def test_the_old_socket_multiplexer_is_open_only_where_it_is_needed() -> None:
    call = syscalls.I386["socketcall"]
    assert answer(_PROGRAM, I386, call, 1) == errno(97)
    assert answer(_PROGRAM, I386, call, 8) == ALLOW
    assert answer(seccomp.program(i386_sockets=True), I386, call, 1) == ALLOW


def test_the_program_is_short() -> None:
    assert len(_PROGRAM) % 8 == 0
    assert len(_PROGRAM) // 8 < 400


@pytest.mark.skipif(not _PROFILE.exists(), reason="needs golang-github-containers-common's profile")
def test_no_call_is_allowed_that_an_ordinary_container_may_not_make() -> None:
    rules = json.loads(_PROFILE.read_text())["syscalls"]
    allowed: set[str] = set()
    for rule in rules:
        needs = rule.get("includes") or {}
        kept = set(needs.get("caps", ())) <= {"CAP_SYS_CHROOT"}
        here = {"amd64", "x86"} & set(needs.get("arches", ("amd64",)))
        if rule["action"] == "SCMP_ACT_ALLOW" and kept and here:
            allowed |= set(rule["names"])
    assert len(allowed) > 300
    assert not (syscalls.X86_64.keys() | syscalls.I386.keys()) - allowed
