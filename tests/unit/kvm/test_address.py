"""Where libvirt is: what an address says, what is refused, and what ssh is told and says."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from gbuild.backends.kvm.address import parse
from gbuild.backends.kvm.ssh import Ssh
from gbuild.errors import BackendFailure, HostFailure, UsageFailure


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("qemu://host/system", "reached by SSH"),
        ("qemu+tls://host/system", "knows qemu:///system"),
        ("qemu+libssh2://host/system", "knows qemu:///system"),
        ("xen:///system", "knows qemu:///system"),
        ("qemu:///embed?root=/x", "knows qemu:///system"),
        ("", "knows qemu:///system"),
        ("qemu+ssh:///system", "no usable host"),
        ("qemu+ssh://-oProxyCommand=x/system", "no usable host"),
        ("qemu+ssh://%2doProxyCommand=x/system", "no usable host"),
        ("qemu+ssh://h;x/system", "no usable host"),
        ("qemu+ssh://host:0x1/system", "wrong port"),
        ("qemu+ssh://host/", "knows qemu:///system"),
        ("qemu+ssh://host/system?no_verify=1", "anybody on the way"),
        ("qemu+ssh://host/system?name=xen:///", "the path says"),
    ],
)
def test_other_addresses_are_refused(uri: str, words: str) -> None:
    with pytest.raises(UsageFailure, match=words):
        parse(uri)


def test_the_systems_machines_of_this_host_are_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert not parse("qemu:///session").system
    with pytest.raises(UsageFailure, match="belong to root"):
        parse("qemu:///system")
    assert parse("qemu+ssh://host/system").system
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert parse("qemu:///system?socket=/run/x").host == "this host"


def test_ssh_is_told_what_libvirt_tells_it() -> None:
    address = parse("qemu+ssh://me@[::1]:2022/session?keyfile=/k%20ey&command=/bin/own")
    assert address.ssh == Ssh(host="::1", user="me", port=2022, key="/k ey", program="/bin/own")
    assert address.uri.endswith("&no_tty=1")
    assert address.shown == "qemu+ssh:///session"
    assert parse("qemu+ssh://h/system").uri == "qemu+ssh://h/system?no_tty=1"
    assert parse("qemu+ssh://h/system?no_tty=1").uri == "qemu+ssh://h/system?no_tty=1"


@pytest.mark.parametrize(
    ("said", "brief", "hint"),
    [
        (
            "@@@\n@ REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "another SSH host key",
            "ssh-keygen -R '[box]:22022'; then once by hand: ssh -p 22022 -l me -i /k box",
        ),
        ("Host key verification failed.", "is not known here", "ssh -p 22022 -l me -i /k box"),
        ("me@box: Permission denied (publickey).", "lets no SSH key", "ssh-copy-id -p 22022"),
        (
            "ssh: connect to host box port 22022: Connection refused",
            "cannot be reached",
            "box true",
        ),
    ],
)
def test_what_ssh_says_is_told_with_its_mend(
    tmp_path: Path, said: str, brief: str, hint: str
) -> None:
    way = Ssh(host="box", user="me", port=22022, key="/k", program=_saying(tmp_path, said, 255))
    with pytest.raises(HostFailure, match=brief) as caught:
        way.look()
    assert hint in (caught.value.hint or "")
    assert caught.value.details[-1] in said
    with pytest.raises((HostFailure, OSError)):
        way.reach(1, deque())


def test_a_server_that_forwards_nothing_is_told(tmp_path: Path) -> None:
    said = "channel 0: open failed: administratively prohibited: open failed"
    way = Ssh(host="box", program=_saying(tmp_path, said, 255))
    with pytest.raises(BackendFailure, match="does not forward") as caught:
        way.reach(1, deque())
    assert "AllowTcpForwarding" in (caught.value.hint or "")


def test_a_target_that_does_not_answer_yet_is_tried_again(tmp_path: Path) -> None:
    said = "channel 0: open failed: connect failed: Connection refused"
    way = Ssh(host="box", program=_saying(tmp_path, said, 255))
    with pytest.raises(ConnectionRefusedError):
        way.reach(1, deque())


def test_the_folder_for_data_is_the_last_thing_said(tmp_path: Path) -> None:
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho welcome\necho /home/me/.local/share\n")
    program.chmod(0o755)
    assert Ssh(host="box", program=str(program)).look() == "/home/me/.local/share"


def _saying(folder: Path, said: str, status: int) -> str:
    """Return a program that says something on standard error and ends."""
    program = folder / "ssh"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'EOF'\n{said}\nEOF\nexit {status}\n")
    program.chmod(0o755)
    return str(program)
