"""The profile of system calls that liblxc gets says what the default backend's filter does."""

from __future__ import annotations

import errno
import re
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gbuild.backends.lxc import profile
from gbuild.host.sandbox import seccomp, syscalls

_WORDS = st.integers(0, (1 << 32) - 1)
_CONDITION = re.compile(r"\[(\d),(0x[0-9a-f]+),SCMP_CMP_MASKED_EQ,(0x[0-9a-f]+)\]")


def _answers(call: str, *arguments: int, i386_sockets: bool = False) -> set[str]:
    """Return the answers of all lines that match a call; libseccomp wants them to be one."""
    lines = _lines(i386_sockets=i386_sockets).get(call, ())
    return {answer for answer, conditions in lines if _hold(conditions, arguments)}


def _hold(conditions: list[tuple[str, str, str]], arguments: tuple[int, ...]) -> bool:
    return all(arguments[int(n)] & int(mask, 16) == int(v, 16) for n, v, mask in conditions)


@cache
def _lines(*, i386_sockets: bool) -> dict[str, list[tuple[str, list[tuple[str, str, str]]]]]:
    found: dict[str, list[tuple[str, list[tuple[str, str, str]]]]] = {}
    for line in profile.text(i386_sockets=i386_sockets).splitlines()[2:]:
        name, _, rest = line.partition(" ")
        answer = rest.partition("[")[0].strip() or "allow"
        found.setdefault(name, []).append((answer, _CONDITION.findall(rest)))
    return found


def test_what_is_not_listed_is_unknown() -> None:
    assert profile.text().splitlines()[:2] == ["2", f"allowlist errno {errno.ENOSYS}"]
    assert _answers("io_uring_setup") == set()


@pytest.mark.parametrize("call", sorted(syscalls.X86_64.keys() & {"read", "execve", "chroot"}))
def test_ordinary_calls_are_allowed(call: str) -> None:
    assert _answers(call) == {"allow"}


@pytest.mark.parametrize("call", ["mount", "unshare", "setns", "bpf", "keyctl"])
def test_calls_that_programs_try_are_refused(call: str) -> None:
    assert _answers(call) == {f"errno {errno.EPERM}"}


@given(flags=_WORDS)
def test_a_clone_makes_no_namespace(flags: int) -> None:
    refused = flags & seccomp.NAMESPACES
    assert _answers("clone", flags) == {f"errno {errno.EPERM}" if refused else "allow"}


@pytest.mark.parametrize("request_", seccomp.TERMINAL_INJECTION)
def test_nothing_is_typed_into_a_terminal(request_: int) -> None:
    assert _answers("ioctl", 0, request_) == {f"errno {errno.EPERM}"}
    assert _answers("ioctl", 0, request_ | 1 << 40) == {f"errno {errno.EPERM}"}
    for near in {request_ ^ (1 << bit) for bit in range(32)} - set(seccomp.TERMINAL_INJECTION):
        assert _answers("ioctl", 0, near) == {"allow"}


@given(request_=_WORDS)
def test_other_requests_are_allowed(request_: int) -> None:
    assume(request_ not in seccomp.TERMINAL_INJECTION)
    assert _answers("ioctl", 0, request_) == {"allow"}


def test_only_known_families_have_sockets() -> None:
    for family in range(64):
        answers = _answers("socket", family, 1, 0)
        wanted = {"allow"}
        if family not in (*seccomp.FAMILIES, seccomp.AF_NETLINK):
            wanted = {f"errno {errno.EAFNOSUPPORT}"}
        assert answers == wanted, family


def test_nobody_listens_to_the_audit() -> None:
    for protocol in range(32):
        refused = protocol == seccomp.NETLINK_AUDIT
        wanted = {f"errno {errno.EINVAL}"} if refused else {"allow"}
        assert _answers("socket", seccomp.AF_NETLINK, 3, protocol) == wanted, protocol


def test_sockets_of_i386_are_for_images_that_have_its_programs() -> None:
    assert _answers("socketcall") == {f"errno {errno.EAFNOSUPPORT}"}
    assert _answers("socketcall", i386_sockets=True) == {"allow"}


def test_personalities_are_those_of_the_other_filter() -> None:
    for persona in seccomp.PERSONALITIES:
        assert _answers("personality", persona) == {"allow"}
    assert _answers("personality", 0x0400000) == set()
