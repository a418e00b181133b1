"""Machines that a person made: taken, reset, entered, held back from the network, given back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.backends.virtualbox import VirtualBoxBackend
from gbuild.errors import BackendFailure, Busy, GbuildError, MissingTool, TimedOut, UsageFailure
from gbuild.host.process import run
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.model.image import Image
from gbuild.target.backend import Machine, TargetSpec
from gbuild.target.shell import Target

from .conftest import image_of
from .person import PROGRAM, Person

_NAME = "Gitian-none-amd64"
_ABOVE = str(Path(__file__).parents[1])


def spec(image: Image, name: str = "box", **changes: object) -> TargetSpec:
    plain = TargetSpec(name=name, image=image, user="debian")
    return replace(plain, **changes)  # type: ignore[arg-type] # the caller's are a spec's


def out(machine: Machine, script: str, *, user: str = "debian") -> str:
    with Target(machine) as target:
        return target.run(["bash", "-c", script], user=user, timeout=120).stdout.decode().strip()


def test_a_machine_is_reset_used_and_given_back(
    backend: VirtualBoxBackend, person: Person, image: Image, events: list[Event]
) -> None:
    with backend.start(spec(image)) as machine:
        assert person.labels(_NAME).startswith("Value: box~")
        look = (
            "hostname; cat /etc/hostname; cd; pwd; umask; echo $HOME $USER;"
            " grep NoNewPrivs /proc/self/status"
        )
        assert out(machine, look).splitlines() == [
            *("gitian", "gitian", "/home/debian", "0022", "/home/debian debian"),
            "NoNewPrivs:\t1",
        ]
        for user in ("root", "debian"):
            assert _interfaces(machine, user) == {"lo"}
        out(machine, "exec 3<>/dev/tcp/10.0.2.2/22 && exit; echo x > /etc/left", user="root")
        assert machine.facts["machine"] == _NAME
        assert machine.facts["network"].startswith("none")
        with pytest.raises(Busy, match="uses the machine"):
            backend.start(spec(image, name="other"))
        assert backend.prune() == ()
        assert machine.alive()
    assert not machine.alive()
    machine.stop()
    assert (person.state(_NAME), person.labels(_NAME)) == ("poweroff", "No value set!")
    assert "x" in person.disk(_NAME, "etc/left")
    assert backend.targets() == ()
    assert any("yours and stays as it is" in event.text for event in events)
    with backend.start(spec(image)) as machine:
        assert out(machine, "ls /etc/left; true") == ""


def test_a_network_leads_out_but_not_to_this_hosts_loopback_until_it_is_cut(
    backend: VirtualBoxBackend, image: Image, person: Person
) -> None:
    _let_the_gateway_be_this_host(person)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        backend.start(spec(image, network=True)) as machine,
    ):
        seen: list[bytes] = []
        threading.Thread(target=_greet, args=(server, seen), daemon=True).start()
        port = server.getsockname()[1]
        knock = f"timeout 60 bash -c 'exec 3<>/dev/tcp/10.0.2.2/{port} && head -c5 <&3'"
        assert machine.facts["network"] == "nat"
        assert out(machine, knock, user="root") == "hello"  # or the test would prove nothing
        seen.clear()
        assert out(machine, knock) == ""
        assert "eth0" in _interfaces(machine, "debian")
        assert out(machine, "ip route get 192.0.2.1 >/dev/null && echo out") == "out"
        with Target(machine) as target:  # a connection from before the cut
            target.run(["true"], user="debian")
            machine.cut_network()
            done = target.run(["ip", "route", "get", "192.0.2.1"], user="debian")
            assert done.returncode != 0
        assert _interfaces(machine, "debian") == {"lo"}
        machine.cut_network()
        assert out(machine, f"{knock}; echo still here") == "still here"
        assert seen == []
        server.shutdown(socket.SHUT_RDWR)


def test_a_detached_target_is_kept_for_others(
    backend: VirtualBoxBackend, person: Person, image: Image
) -> None:
    info = backend.detach(spec(image, name="kept"))
    assert (info.name, info.state) == ("kept", "running")
    out(backend.attach("kept"), "echo x > mark")
    with pytest.raises(UsageFailure, match="runs already"):
        backend.detach(spec(image, name="kept"))
    assert backend.prune() == ()
    assert out(backend.attach("kept"), "cat mark") == "x"
    backend.attach("kept").stop()
    assert person.state(_NAME) == "poweroff"
    with pytest.raises(UsageFailure, match="no target called kept"):
        backend.attach("kept")


def test_what_a_killed_driver_left_is_switched_off_and_nothing_else(
    backend: VirtualBoxBackend, person: Person, image: Image
) -> None:
    person.make("Own", snapshot=None, port=0)
    person.manage("startvm", "Own", "--type", "headless")
    _start_and_be_killed(backend, person)
    assert person.state(_NAME) == "running"
    with backend.start(spec(image)) as machine:  # the next run takes it back
        assert out(machine, "echo here") == "here"
    assert backend.prune() == ("target left",)
    _start_and_be_killed(backend, person)
    entry = next(iter(backend.store.root.glob("run/virtualbox/left~*.json")))
    entry.unlink()  # even its entry is gone: the label is enough
    assert backend.prune() == (f"use of the machine {_NAME}",)
    assert (person.state(_NAME), person.state("Own")) == ("poweroff", "running")


def test_a_machine_that_runs_for_somebody_else_is_left_alone(
    backend: VirtualBoxBackend, person: Person, image: Image
) -> None:
    person.manage("startvm", _NAME, "--type", "headless")
    with pytest.raises(Busy, match="runs already") as caught:
        backend.start(spec(image))
    assert "poweroff" in str(caught.value.hint)
    assert backend.prune() == ()
    assert person.state(_NAME) == "running"


def test_a_port_that_somebody_has_is_told_before_the_start(
    backend: VirtualBoxBackend, person: Person, image: Image
) -> None:
    with (
        socket.create_server(("127.0.0.1", person.port)),
        pytest.raises(Busy, match=f"port {person.port} is taken"),
    ):
        backend.start(spec(image))
    assert (person.state(_NAME), person.labels(_NAME)) == ("poweroff", "No value set!")
    assert backend.targets() == ()


def test_a_machine_that_never_answers(person: Person, tmp_path: Path) -> None:
    person.make("Gitian-silent-amd64", inside=2222)
    silent = _backend(person, tmp_path, patience="1")
    with pytest.raises(BackendFailure, match="no port of this host leads to the SSH server"):
        silent.start(spec(image_of(suite="silent")))
    person.make("Gitian-deaf-amd64", server=False)
    with pytest.raises(TimedOut, match="waited 1 seconds for an SSH server"):
        silent.start(spec(image_of(suite="deaf")))
    assert person.state("Gitian-deaf-amd64") == "poweroff"


def test_a_key_that_the_machine_refuses(person: Person, tmp_path: Path, image: Image) -> None:
    key = tmp_path / "other"
    run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key))
    with pytest.raises(BackendFailure, match="refuses the key") as caught:
        _backend(person, tmp_path, key=str(key)).start(spec(image))
    assert f"{key}.pub" in str(caught.value.hint)
    assert person.state(_NAME) == "poweroff"
    key = tmp_path / "open"
    key.write_bytes(person.key.read_bytes())
    key.chmod(0o644)
    with pytest.raises(BackendFailure, match="ssh refuses the key") as caught:
        _backend(person, tmp_path, key=str(key)).start(spec(image))
    assert caught.value.hint == f"chmod 600 {key}"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"machine": "Nowhere"}, BackendFailure, "no machine called Nowhere"),
        ({"snapshot": "Never"}, BackendFailure, "has no snapshot Never"),
        ({"key": "/no/key"}, UsageFailure, "no key /no/key"),
        ({"program": "/no/VBoxManage"}, MissingTool, "/no/VBoxManage"),
        ({"patience": "long"}, UsageFailure, "patience=long"),
    ],
)
def test_what_is_missing_is_told(
    person: Person,
    tmp_path: Path,
    image: Image,
    options: dict[str, str],
    error: type[GbuildError],
    says: str,
) -> None:
    backend = _backend(person, tmp_path, **options)
    with pytest.raises(error, match=says) as caught:
        backend.start(spec(image))
    assert caught.value.hint or "patience" in says or "VBoxManage" in says
    assert person.state(_NAME) == "poweroff"
    assert backend.targets() == ()


@pytest.mark.parametrize(
    ("mark", "says"), [("broken", "was killed .SIGKILL."), ("full", "startvm failed")]
)
def test_virtualbox_fails(
    backend: VirtualBoxBackend, person: Person, image: Image, mark: str, says: str
) -> None:
    (person.home / mark).touch()
    with pytest.raises(BackendFailure, match=says) as caught:
        backend.start(spec(image))
    assert mark != "full" or "free some space" in str(caught.value.hint)
    assert (person.state(_NAME), person.labels(_NAME)) == ("poweroff", "No value set!")
    assert backend.targets() == ()


def test_root_in_the_build_and_no_network_exclude_each_other(
    backend: VirtualBoxBackend, image: Image
) -> None:
    with pytest.raises(UsageFailure, match="cannot be kept from the network"):
        backend.start(spec(image, sudo=True))


def test_without_virtualbox(tmp_path: Path) -> None:
    without = VirtualBoxBackend(
        store=Store(tmp_path / "store"),
        environment={},
        sink=lambda _event: None,
        options={"program": "/no/VBoxManage"},
    )
    assert [f.state for f in without.probe() if f.what == "VBoxManage"] == ["missing"]
    assert (without.targets(), without.prune(), without.prepared()) == ((), (), ())


def _backend(person: Person, folder: Path, **options: str) -> VirtualBoxBackend:
    return VirtualBoxBackend(
        store=Store(folder / "store"),
        environment=person.environment,
        sink=lambda _event: None,
        options={**person.options, **options},
    )


def _interfaces(machine: Machine, user: str) -> set[str]:
    lines = out(machine, "cat /proc/net/dev", user=user).splitlines()[2:]
    return {line.partition(":")[0].strip() for line in lines}


def _let_the_gateway_be_this_host(person: Person) -> None:
    person.manage("modifyvm", _NAME, "--nat-localhostreachable1=on")
    person.manage("snapshot", _NAME, "take", "Gitian-Clean")


def _greet(server: socket.socket, seen: list[bytes]) -> None:
    while True:
        try:
            guest, _ = server.accept()
        except OSError:
            return
        with guest:
            seen.append(b"somebody")
            guest.sendall(b"hello")


def _start_and_be_killed(backend: VirtualBoxBackend, person: Person) -> None:
    """Start a target in a process of its own, and kill that."""
    script = textwrap.dedent(
        """
        import sys, pathlib
        from gbuild.backends.virtualbox import VirtualBoxBackend
        from gbuild.host.store import Store
        from virtualbox.test_machines import image_of, spec
        home, store, key, program = sys.argv[1:]
        backend = VirtualBoxBackend(
            store=Store(pathlib.Path(store)), environment={"VBOX_USER_HOME": home},
            sink=lambda event: None, options={"key": key, "program": program})
        machine = backend.start(spec(image_of(), name="left"))
        print("started", flush=True)
        sys.stdin.read()
        """
    )
    words = [str(person.home), str(backend.store.root), str(person.key), str(PROGRAM)]
    with subprocess.Popen(
        [sys.executable, "-c", script, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((*sys.path, _ABOVE))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"started\n"
        driver.send_signal(signal.SIGKILL)
