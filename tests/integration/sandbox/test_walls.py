"""What the inside of a target must not find, reach or change."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from gbuild.backends.userns.backend import UsernsBackend
from gbuild.errors import BackendFailure
from gbuild.host.store import Store
from gbuild.target.backend import Machine

from .conftest import StartTarget, Trusted, make_backend, out, sh, spec

_CANARY = "canary-7c1f"
_EVERYTHING = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'"


def test_the_first_command_runs_as_the_build_user(start: StartTarget) -> None:
    machine = start()
    printed = out(machine, "id -u; id -g; pwd; umask; hostname; stat -c %U:%a .; uname -n")
    assert printed.split() == [
        "1000",
        "1000",
        "/home/debian",
        "0022",
        "gitian",
        "debian:755",
        "gitian",
    ]


def test_nothing_of_the_persons_environment_is_inside(
    start: StartTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", _CANARY)
    machine = start()
    for user in ("root", "debian"):
        assert _CANARY not in out(machine, f"env; {_EVERYTHING}; true", user=user)


def test_no_path_of_the_host_is_inside(start: StartTarget, tree: Path) -> None:
    machine = start()
    printed = out(machine, f"{_EVERYTHING}; cat /proc/self/mountinfo; true", user="root")
    assert str(Path(__file__).parents[3]) not in printed
    assert str(tree) not in printed


def test_open_files_of_the_host_are_not_inside(start: StartTarget, tmp_path: Path) -> None:
    secret = tmp_path / _CANARY
    secret.write_text(_CANARY)
    descriptor = os.open(secret, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        machine = start()
        script = "for d in /proc/[0-9]*/fd/*; do readlink $d; done"
        done = sh(machine, f"{script}; ls /proc/1/fd", user="root")
        assert _CANARY.encode() not in done.stdout
        assert done.returncode != 0  # not even root inside may look at the first process
    finally:
        os.close(descriptor)


def test_there_is_no_terminal_and_no_input_can_be_injected(start: StartTarget) -> None:
    machine = start()
    assert sh(machine, "tty").returncode == 1
    assert sh(machine, ": </dev/tty").returncode != 0
    script = (
        "import fcntl, os, pty\n"
        "try: fcntl.ioctl(pty.openpty()[1], 0x5412, b'x')\n"
        "except OSError as e: print(e.errno)"
    )
    assert out(machine, f'python3.11 -c "{script}"') == "1"


def test_the_session_keyring_is_another(start: StartTarget) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    session = libc.syscall(250, 0, -3, 0)  # keyctl(KEYCTL_GET_KEYRING_ID, session)
    if session > 0:  # inside a container engine every keyring is refused
        assert libc.syscall(248, b"user", _CANARY.encode(), b"x", 1, session) > 0  # add_key
    machine = start()
    assert _CANARY not in out(machine, "cat /proc/keys; true", user="root")
    call = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))"
    assert out(machine, f'python3.11 -c "{call}"', user="root") == "-1"


def test_servers_on_the_hosts_loopback_are_out_of_reach(start: StartTarget) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            machine = start()
        done = sh(machine, f"exec 3<>/dev/tcp/127.0.0.1/{port}")
        assert done.returncode != 0
        assert b"refused" in done.stderr
    assert sh(machine, "exec 3<>/dev/tcp/192.0.2.1/80").returncode != 0
    assert out(machine, "cat /etc/resolv.conf; tail -n +3 /proc/net/dev").split(":")[0] == "lo"


def test_no_resolver_answers_without_a_network(start: StartTarget) -> None:
    """Neither a server on the host's loopback by UDP, nor the host's own resolvers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        places = [server.getsockname(), ("127.0.0.53", 53), *_resolvers()]
        script = (
            "import socket\n"
            f"for place in {places!r}:\n"
            "    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)\n"
            "    try: s.connect(place); s.send(b'query'); s.recv(1); print('answer', place)\n"
            "    except OSError as e: print(e.errno)\n"
            "try: print('resolved', socket.getaddrinfo('example.org', 80))\n"
            "except socket.gaierror: print('unknown')"
        )
        answers = out(start(), f'python3.11 -c "{script}"').splitlines()
        with pytest.raises(TimeoutError):
            server.recv(1)
    assert answers[-1] == "unknown"
    assert set(answers[:-1]) <= {str(errno.ECONNREFUSED), str(errno.ENETUNREACH)}


def _resolvers() -> list[tuple[str, int]]:
    words = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    servers = [w[1] for w in words if w[:1] == ["nameserver"] and ":" not in w[1]]
    return [(server, 53) for server in servers]


@pytest.mark.parametrize("family", [40, 38, 17, 31])  # VSOCK, ALG, PACKET, BLUETOOTH
def test_sockets_that_ignore_namespaces_cannot_be_made(start: StartTarget, family: int) -> None:
    script = f"import socket; socket.socket({family}, socket.SOCK_STREAM)"
    done = sh(start(), f'python3.11 -c "{script}"', user="root")
    assert done.returncode == 1
    assert b"[Errno 97]" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "mount -t tmpfs none /tmp",
        "unshare -U true",
        "unshare -m true",
        "mknod /tmp/device c 1 3",
        "echo x >/proc/sys/kernel/hostname",
        "echo x >/proc/sysrq-trigger",
        "hostname other",
        "echo x >/sys/power/state",
        "head -c1 /proc/kcore | wc -c | { read n; test $n = 1; }",
    ],
)
def test_root_inside_cannot(start: StartTarget, command: str) -> None:
    assert sh(start(), command, user="root").returncode != 0


def test_set_uid_programs_are_inert(start: StartTarget) -> None:
    machine = start()
    out(machine, "cp /usr/bin/id /tmp/id && chmod 6755 /tmp/id", user="root")
    assert out(machine, "/tmp/id -u") == "1000"
    assert "NoNewPrivs:\t1" in out(machine, "cat /proc/self/status")


def test_set_uid_programs_work_when_sudo_is_allowed(start: StartTarget) -> None:
    machine = start(sudo=True)
    out(machine, "cp /usr/bin/id /tmp/id && chmod 4755 /tmp/id", user="root")
    assert out(machine, "/tmp/id -u") == "0"
    rule = out(
        machine, "cat /etc/sudoers.d/gbuild; stat -c %a:%u /etc/sudoers.d/gbuild", user="root"
    )
    assert rule.split("\n") == ["debian ALL=(ALL:ALL) NOPASSWD: ALL", "440:0"]
    assert machine.facts["sudo"] == "true"


def test_a_target_is_a_fresh_copy(start: StartTarget, tree: Path) -> None:
    first = start()
    out(
        first,
        "echo changed >/etc/passwd; rm -r /usr/lib/python3.11; mkdir /usr/lib/python3.11",
        user="root",
    )
    first.stop()
    assert "root:x:0:0" in (tree / "etc/passwd").read_text()
    assert out(start(), "ls /usr/lib/python3.11 | wc -l") != "0"


def test_two_targets_do_not_see_each_other(start: StartTarget) -> None:
    one, two = start(name="one"), start(name="two")
    out(one, "echo one >/tmp/mark; setsid sleep 600 >/dev/null 2>&1 & true")
    assert sh(two, "cat /tmp/mark").returncode != 0
    assert "sleep" not in out(two, "cat /proc/[0-9]*/comm")


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("etc", "/"),
        ("etc", "{victim}"),
        ("dev", "{victim}"),
        ("proc", "{victim}"),
        ("run", "{victim}"),
        ("home", "{victim}"),
        ("etc/passwd", "{victim}/passwd"),
        ("etc/hosts", "{victim}/hosts"),
        ("etc/resolv.conf", "/proc/1/root/{victim}/hosts"),
    ],
)
def test_a_link_in_an_image_leads_nowhere(
    store: Store,
    own_tree: Path,
    tmp_path: Path,
    trusted: Trusted,
    place: str,
    target: str,
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o777)
    victim.chmod(0o777)
    (victim / "passwd").write_text("mine\n")
    (victim / "passwd").chmod(0o666)
    link = target.format(victim=victim)
    assert trusted("symlink", str(own_tree / place), link, folders=(own_tree,)).returncode == 0
    backend = make_backend(store, own_tree, [])
    with suppress(BackendFailure):  # to refuse is as good as to work; what counts follows
        backend.start(spec()).stop()
    assert sorted(p.name for p in victim.iterdir()) == ["passwd"]
    assert (victim / "passwd").read_text() == "mine\n"


def test_hosts_file_behind_a_link_is_replaced_not_followed(
    store: Store,
    own_tree: Path,
    trusted: Trusted,
) -> None:
    done = trusted("symlink", str(own_tree / "etc/hosts"), "/etc/passwd", folders=(own_tree,))
    assert done.returncode == 0
    with make_backend(store, own_tree, []).start(spec()) as machine:
        assert "root:x" in out(machine, "cat /etc/passwd")
        assert "localhost gitian" in out(machine, "cat /etc/hosts")


def test_clocks_and_personality_can_be_set(start: StartTarget) -> None:
    extras = {"clock.boot": "1000000", "clock.monotonic": "1000000", "personality": "8"}
    machine: Machine = start(extras=extras)
    uptime, kind = out(machine, "read up rest </proc/uptime; echo ${up%.*}; uname -m").split()
    assert int(uptime) >= 1_000_000
    assert kind == "i686"


def test_signals_that_the_caller_ignores_work_inside(start: StartTarget) -> None:
    status = out(start(), "cat /proc/self/status")
    ignored = next(line.split()[1] for line in status.splitlines() if line.startswith("SigIgn"))
    assert int(ignored, 16) == 0


def test_the_backend_names_itself(backend: UsernsBackend) -> None:
    assert backend.name == "userns"
    assert all(finding.state != "missing" for finding in backend.probe())
