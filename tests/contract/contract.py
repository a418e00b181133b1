"""The contract of a backend: subclass :class:`BackendContract` and give it two fixtures.

``backend`` is a :class:`~gbuild.target.backend.Backend` with nothing running, ``image`` an image
with an SSH server, bash, coreutils, procps and tar in it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.errors import BackendFailure, GbuildError, TimedOut, UsageFailure
from gbuild.host.process import Completed
from gbuild.model.image import Image
from gbuild.target.backend import Backend, Finding, Limits, Machine, TargetSpec
from gbuild.target.receive_tree import TreeLimits
from gbuild.target.shell import Target

Start = Callable[..., Machine]


def spec(image: Image, **changes: object) -> TargetSpec:
    """Return a modest target."""
    limits = Limits(memory=1 << 30, disk=256 << 20, inodes=20_000, processes=400)
    plain = TargetSpec(name="contract", image=image, user="builder", limits=limits)
    return replace(plain, **changes)  # type: ignore[arg-type] # the caller's are a spec's


def sh(machine: Machine, script: str, *, user: str = "builder") -> Completed:
    """Run a script by bash in a target."""
    with Target(machine) as target:
        return target.run(["bash", "-c", script], user=user, timeout=60)


class BackendContract:
    """What every backend must do."""

    @pytest.fixture
    def start(self, backend: Backend, image: Image) -> Iterator[Start]:
        """Start targets that end with the test."""
        backend.prepare(image)
        running: list[Machine] = []

        def begin(**changes: object) -> Machine:
            running.append(backend.start(spec(image, **changes)))
            return running[-1]

        yield begin
        for machine in running:
            machine.stop()

    @pytest.fixture
    def machine(self, start: Start) -> Machine:
        """A running target."""
        return start()

    def test_probe_finds_nothing_missing(self, backend: Backend) -> None:
        findings = backend.probe()
        assert findings
        assert all(isinstance(one, Finding) for one in findings)
        assert not [one for one in findings if one.state == "missing" and not one.mend]

    def test_preparing_twice_changes_nothing(self, backend: Backend, image: Image) -> None:
        backend.prepare(image)
        backend.prepare(image)

    def test_root_and_the_user_can_log_in(self, machine: Machine) -> None:
        assert sh(machine, "id -u", user="root").stdout == b"0\n"
        done = sh(machine, "id -un; id -u; pwd; hostname; umask")
        assert done.stdout.decode().split() == [
            "builder", "1000", "/home/builder", "gitian", "0022",
        ]  # fmt: skip

    def test_nobody_else_can_log_in(self, machine: Machine) -> None:
        with Target(machine) as target, pytest.raises(BackendFailure, match="refused user sshd"):
            target.run(["true"], user="sshd")

    def test_the_host_key_is_the_targets_own(self, start: Start) -> None:
        one, two = start(name="one"), start(name="two")
        assert one.host_key != two.host_key
        one.host_key = two.host_key
        with Target(one) as target, pytest.raises(BackendFailure, match="another SSH host key"):
            target.run(["true"])

    def test_a_key_of_another_target_opens_nothing(self, start: Start) -> None:
        one, two = start(name="one"), start(name="two")
        one.client_key = two.client_key
        with Target(one) as target, pytest.raises(BackendFailure, match="refused user"):
            target.run(["true"])

    def test_many_connections_at_once(self, machine: Machine) -> None:
        seen: list[bytes] = []

        def one() -> None:
            seen.append(sh(machine, "sleep 0.3; echo here").stdout)

        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == [b"here\n"] * 6

    def test_every_target_is_fresh(self, start: Start) -> None:
        first = start()
        wrote = "echo x > /home/builder/left; touch /tmp/left"
        assert sh(first, wrote).returncode == 0
        assert sh(first, "rm /usr/bin/wc; echo changed > /etc/left", user="root").returncode == 0
        first.stop()
        second = start()
        missing = "ls /home/builder/left /tmp/left /etc/left 2>/dev/null; ls /usr/bin/wc"
        assert sh(second, missing).stdout == b"/usr/bin/wc\n"

    def test_side_by_side_targets_do_not_meet(self, start: Start) -> None:
        one, two = start(name="one"), start(name="two")
        sh(one, "echo one > /tmp/mark; setsid sleep 50 >/dev/null 2>&1 &")
        assert sh(two, "cat /tmp/mark; ps -e | grep -c sleep").stdout in (b"0\n", b"")

    def test_nothing_of_the_person_is_inside(
        self, backend: Backend, image: Image, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GBUILD_CANARY", "canary-in-the-environment")
        monkeypatch.setenv("SSH_AUTH_SOCK", "/canary")
        backend.prepare(image)
        with backend.start(spec(image)) as machine:
            for user in ("root", "builder"):
                found = sh(machine, "env; cat /proc/*/environ 2>/dev/null", user=user).stdout
                assert b"anary" not in found

    def test_without_network_there_is_only_loopback(self, machine: Machine) -> None:
        done = sh(machine, "ls /sys/class/net 2>/dev/null || cat /proc/net/dev")
        assert b"eth" not in done.stdout
        tried = sh(machine, "exec 3<>/dev/tcp/192.0.2.1/80 && echo connected")
        assert b"connected" not in tried.stdout
        machine.cut_network()
        machine.cut_network()
        assert sh(machine, "echo still here").stdout == b"still here\n"

    def test_stop_ends_everything_and_can_be_repeated(self, start: Start) -> None:
        machine = start()
        assert machine.alive()
        sh(machine, "setsid sleep 1000 >/dev/null 2>&1 </dev/null &")
        machine.stop()
        assert not machine.alive()
        machine.stop()
        with Target(machine, ready=3) as target, pytest.raises(GbuildError):
            target.run(["true"])

    def test_a_context_ends_the_target(self, backend: Backend, image: Image) -> None:
        backend.prepare(image)
        with backend.start(spec(image)) as machine:
            assert machine.alive()
        assert not machine.alive()

    def test_a_lost_target_is_noticed_by_a_running_command(self, start: Start) -> None:
        machine = start()
        threading.Timer(0.5, machine.stop).start()
        with Target(machine) as target, pytest.raises(BackendFailure, match="lost the connection"):
            target.run(["sleep", "30"], user="builder")

    def test_a_timeout_kills_the_process_group(self, machine: Machine) -> None:
        with Target(machine) as target:
            with pytest.raises(TimedOut):
                target.run(["bash", "-c", "sleep 777; true"], user="builder", timeout=1)
            until = time.monotonic() + 5
            while time.monotonic() < until:
                left = target.run(["ps", "-eo", "args"], user="builder").stdout
                if b"sleep 777" not in left:
                    return
                time.sleep(0.1)
        pytest.fail("the command still runs")

    def test_trees_go_in_and_come_out(self, machine: Machine, tmp_path: Path) -> None:
        source = tmp_path / "source"
        (source / "a" / "b").mkdir(parents=True)
        (source / "a" / "b" / "data").write_bytes(os.urandom(3_000_000))
        (source / "a" / "tool").write_text("#!/bin/sh\n")
        (source / "a" / "tool").chmod(0o700)
        (source / "a" / "link").symlink_to("b/data")
        with Target(machine) as target:
            target.put_tree(source, "/home/builder/build", user="builder", mtime=1_234_567_890)
            listed = target.run(
                ["find", "build/a", "-printf", "%P %u %m %Ts %l\\n"], user="builder"
            ).stdout.decode()
            target.get_tree(
                "/home/builder/build", tmp_path / "back", limits=TreeLimits(), user="builder"
            )
        assert sorted(listed.splitlines()) == [
            " builder 755 1234567890 ",
            "b builder 755 1234567890 ",
            "b/data builder 644 1234567890 ",
            "link builder 777 1234567890 b/data",
            "tool builder 755 1234567890 ",
        ]
        copied = tmp_path / "back" / "a"
        assert (copied / "b" / "data").read_bytes() == (source / "a" / "b" / "data").read_bytes()
        assert str((copied / "link").readlink()) == "b/data"

    def test_facts_are_text(self, machine: Machine) -> None:
        assert machine.facts
        assert all(isinstance(word, str) for pair in machine.facts.items() for word in pair)

    def test_a_detached_target_outlives_its_starter(self, backend: Backend, image: Image) -> None:
        backend.prepare(image)
        info = backend.detach(spec(image, name="kept"))
        try:
            assert (info.name, info.state, info.backend) == ("kept", "running", backend.name)
            assert "kept" in [one.name for one in backend.targets() if one.state == "running"]
            assert sh(backend.attach("kept"), "echo x > mark").returncode == 0
            assert sh(backend.attach("kept"), "cat mark").stdout == b"x\n"
            with pytest.raises(UsageFailure, match="kept"):
                backend.detach(spec(image, name="kept"))
        finally:
            backend.attach("kept").stop()
        assert "kept" not in [one.name for one in backend.targets() if one.state == "running"]

    def test_a_target_that_is_not_there(self, backend: Backend) -> None:
        with pytest.raises(GbuildError, match="nowhere"):
            backend.attach("nowhere")

    def test_prune_leaves_the_living(self, backend: Backend, image: Image) -> None:
        backend.prepare(image)
        backend.detach(spec(image, name="kept"))
        try:
            backend.prune()
            assert sh(backend.attach("kept"), "echo alive").stdout == b"alive\n"
        finally:
            backend.attach("kept").stop()
        assert backend.prune() == ()
