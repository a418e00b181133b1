"""Who gets into a target, what they find there, and what they may."""

from __future__ import annotations

import os
import tarfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytest

from gbuild.errors import BackendFailure
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Finding, Machine
from gbuild.target.contract.base import CANARY, Contract, Start

_ADDED = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/home/builder"}
"""What a target may have beyond its image, outside of what the kernel shows and of /run."""

_SET_UID = (
    "if [ -u /usr/bin/sudo ]; then sudo -n id -u; else contract-root -p -c 'id -u'; fi 2>/dev/null"
)
_FACTS = {"backend", "network", "sudo", "scratch", "memory", "cpus", "processes", "disk"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Varied:
    """What a target is to be like, as far as the backend says that it can."""

    number: int
    home: str
    processors: int | None
    uptime: float
    extras: Mapping[str, str]

    @classmethod
    def of(cls, varies: Iterable[str]) -> _Varied:
        one, clocks = "processors" in varies, "clock" in varies
        extras = {"processors": str(min(os.sched_getaffinity(0)))} if one else {}
        if clocks:
            extras |= {"clock.boot": "100000000", "clock.monotonic": "100000000"}
        return cls(
            number=1234 if "ids" in varies else 1000,
            home="/home/elsewhere" if "home" in varies else "/home/builder",
            processors=1 if one else None,
            uptime=1e8 if clocks else 0.0,
            extras=extras,
        )


class EnteringContract(Contract):
    """Logging in, looking around, becoming root."""

    def test_probe_tells_how_to_mend(self, backend: Backend) -> None:
        findings = backend.probe()
        assert findings
        assert all(isinstance(one, Finding) for one in findings)
        assert [one for one in findings if one.state == "missing"] == []
        assert backend.name
        assert backend.summary
        assert backend.needs

    def test_preparing_again_changes_nothing(self, backend: Backend, image: Image) -> None:
        before = [(one.key, one.place) for one in backend.prepared()]
        assert image.key in [key for key, _ in before]
        backend.prepare(image)
        assert [(one.key, one.place) for one in backend.prepared()] == before

    def test_an_image_that_is_not_there_is_not_discarded(self, backend: Backend) -> None:
        assert backend.discard("0" * 64) is False

    def test_root_and_the_user_can_log_in(self, machine: Machine) -> None:
        assert self.out(machine, "id -u; pwd", user="root") == "0\n/root\n"
        assert self.out(machine, "id -un; id -u; id -g; pwd; hostname; umask").split() == [
            "builder", "1000", "1000", "/home/builder", "gitian", "0022",
        ]  # fmt: skip

    def test_what_it_says_to_vary_varies(self, backend: Backend, start: Start) -> None:
        varied = _Varied.of(backend.varies)
        machine = start(name="varied", number=varied.number, home=varied.home, extras=varied.extras)
        words = self.out(machine, "id -u; id -g; pwd; nproc; read up _ </proc/uptime; echo $up")
        number, group, home, processors, uptime = words.split()
        assert (int(number), int(group), home) == (varied.number, varied.number, varied.home)
        assert varied.processors in (None, int(processors))
        assert float(uptime) >= varied.uptime

    def test_nobody_else_can_log_in(self, machine: Machine) -> None:
        with self.target(machine) as target, pytest.raises(BackendFailure, match="refused user"):
            target.run(["true"], user="sshd")

    def test_keys_and_processes_are_each_targets_own(self, machine: Machine, start: Start) -> None:
        other = start(name="other")
        assert machine.host_key != other.host_key
        self.sh(machine, "echo one > /tmp/mark; setsid sleep 50 >/dev/null 2>&1 &")
        seen = self.sh(other, "cat /tmp/mark; ps -eo args | grep -c '[s]leep 50'").stdout
        assert seen == b"0\n"
        own = other.client_key
        other.client_key = machine.client_key
        with self.target(other) as target, pytest.raises(BackendFailure, match="refused user"):
            target.run(["true"])
        other.client_key, other.host_key = own, machine.host_key
        with (
            self.target(other) as target,
            pytest.raises(BackendFailure, match="another SSH host key"),
        ):
            target.run(["true"])

    def test_many_connections_at_once(self, machine: Machine) -> None:
        seen: list[bytes] = []

        def one() -> None:
            seen.append(self.sh(machine, "sleep 0.3; echo here").stdout)

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [b"here\n"] * 6

    def test_nothing_of_the_person_is_inside(self, machine: Machine) -> None:
        script = "env; tr '\\0' '\\n' < /proc/self/environ; cat /proc/*/environ 2>/dev/null; true"
        for user in ("root", "builder"):
            assert CANARY not in self.out(machine, script, user=user)

    def test_the_environment_is_the_same_everywhere(self, machine: Machine) -> None:
        assert sorted(line.partition("=")[0] for line in self._env(machine)) == [
            "HOME", "LOGNAME", "MAIL", "PATH", "PWD", "SHELL", "SHLVL", "SSH_CLIENT",
            "SSH_CONNECTION", "USER", "_",
        ]  # fmt: skip
        assert {"HOME=/home/builder", "SHELL=/bin/bash"} < set(self._env(machine))

    def _env(self, machine: Machine) -> list[str]:
        return self.out(machine, "env").splitlines()

    def test_the_root_folder_is_the_images(self, machine: Machine, image: Image) -> None:
        kernels = " -o ".join(f"-path /{name}" for name in ("proc", "sys", "dev", "run"))
        found = self.out(machine, rf"find / \( {kernels} \) -prune -o -print", user="root")
        with tarfile.open(image.tar) as tar:
            names = {"/" + name.removeprefix("./").rstrip("/") for name in tar.getnames()}
        shown = {
            path
            for path in found.splitlines()
            if not path.startswith(("/tmp/", "/home/builder/", "/root/", "/var/tmp/"))
        }
        shown -= {"/", "/run", "/sys", "/proc", "/dev", "/tmp"}
        hidden = ("/proc", "/sys", "/dev", "/run", "/.")
        assert shown - names - _ADDED == set()
        assert {name for name in names if not name.startswith(hidden) and name != "/tmp"} <= shown

    def test_the_kernels_folders_are_there(self, machine: Machine) -> None:
        script = (
            "stat -c '%a %U' /tmp /dev/shm; test -c /dev/null -a -c /dev/zero -a -c /dev/urandom"
            " -a -c /dev/full -a -c /dev/tty && echo x > /dev/null && head -c 9 /dev/urandom"
            " | wc -c; test -e /dev/fd/0 -a -e /dev/ptmx && cat /proc/self/comm"
        )
        assert self.out(machine, script) == "1777 root\n1777 root\n9\ncat\n"

    def test_names_are_known_without_a_network(self, machine: Machine) -> None:
        hosts = self.out(machine, "cat /etc/hosts; cat /etc/hostname")
        assert hosts.endswith("gitian\n")
        assert {"127.0.0.1", "::1"} <= {line.split()[0] for line in hosts.splitlines() if line}

    def test_facts_say_how_it_runs(self, machine: Machine, backend: Backend) -> None:
        assert machine.facts.keys() >= _FACTS
        assert all(isinstance(word, str) for pair in machine.facts.items() for word in pair)
        assert machine.facts["backend"] == backend.name
        assert machine.facts["network"] == "none"
        assert machine.facts["sudo"] == "false"

    def test_without_sudo_nobody_becomes_root(self, machine: Machine, events: list[Event]) -> None:
        assert self.sh(machine, "test -e /etc/sudoers.d/gbuild", user="root").returncode == 1
        done = self.sh(machine, _SET_UID)
        if "set-uid" in self.cannot:
            assert machine.facts["set_uid"] == "works"
            assert any(e.kind == "warning" and "set-uid" in e.text for e in events)
        else:
            assert done.stdout.strip() != b"0"

    def test_with_sudo_the_user_becomes_root(self, start: Start) -> None:
        machine = start(sudo=True)
        assert self.out(machine, _SET_UID) == "0\n"
        rule = self.out(machine, "cat /etc/sudoers.d/gbuild", user="root")
        assert rule == "builder ALL=(ALL:ALL) NOPASSWD: ALL\n"
        assert machine.facts["sudo"] == "true"
