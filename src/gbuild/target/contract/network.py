"""The network: the outside with it, nobody without it, and this host's loopback never."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from gbuild.target.backend import Machine
from gbuild.target.contract import neighbour
from gbuild.target.contract.base import Contract, Start
from gbuild.target.contract.neighbour import GREETING, Outside

_ALIASES = (
    *("127.0.0.1", "::1", "10.0.2.2", "10.0.2.3", "10.0.2.4", "169.254.1.1", "169.254.1.2"),
    *("192.168.122.1", "host.containers.internal", "host.docker.internal", "host.lxd.internal"),
)
"""Where container engines and slirp put the host's loopback, or something like it."""

_DOORS = (
    *("/dev/lxd", "/dev/incus", "/run/podman/podman.sock", "/run/docker.sock"),
    *("/var/run/docker.sock", "/run/libvirt", "/dev/vsock"),
)
"""Where daemons and hypervisors offer themselves to what they run."""

_GATEWAYS = (
    "while read -r _ to via _; do if [ $to = 00000000 ]; then"
    " printf '%d.%d.%d.%d\\n' 0x${via:6:2} 0x${via:4:2} 0x${via:2:2} 0x${via:0:2}; fi;"
    " done < /proc/net/route; awk '{print $2}' /etc/hosts 2>/dev/null; true"
)
_CONNECT = "timeout {seconds} bash -c 'exec 3<>/dev/tcp/{address}/{port} && head -c5 <&3'"
_SEND = "echo x > /dev/udp/{address}/{port}"


class NetworkContract(Contract):
    """With, without, and cut."""

    @pytest.fixture(scope="class")
    @classmethod
    def outside(cls) -> Iterator[Outside]:
        """A server elsewhere. Root makes one; for others root may have named one."""
        if (outside := neighbour.given()) is not None:
            yield outside
            return
        if not neighbour.can_make():
            pytest.skip(f"only root can make a network outside of this host ({neighbour.VARIABLE})")
        with neighbour.made() as outside:
            yield outside

    def test_without_a_network_nothing_leaves(self, machine: Machine, outside: Outside) -> None:
        assert _interfaces(self.out(machine, "cat /proc/net/dev")) == {"lo"}
        before = outside.seen()
        with _loopback() as (port, seen):
            for user in ("builder", "root"):
                self._try_everything(machine, outside, port, user=user)
        assert seen == []
        assert outside.seen() == before
        assert self._doors(machine) == ""

    def test_cutting_what_is_not_there_does_nothing(self, machine: Machine) -> None:
        machine.cut_network()
        machine.cut_network()
        assert self.out(machine, "echo still here") == "still here\n"

    def test_with_a_network_the_outside_is_reached_until_it_is_cut(
        self, start: Start, outside: Outside
    ) -> None:
        with _loopback() as (port, seen):  # before it starts: forwarders look for ports then
            machine = start(name="online", network=True)
            assert machine.facts["network"] != "none"
            assert self._reaches(machine, outside.address, outside.port)
            gateways = self.sh(machine, _GATEWAYS).stdout.decode().split()
            assert self._answers(machine, (*_ALIASES, *gateways), port) == []
        assert seen == []
        assert self._doors(machine) == ""
        machine.cut_network()
        before = outside.seen()
        self._try_everything(machine, outside, port)
        assert outside.seen() == before
        machine.cut_network()
        assert self.out(machine, "echo still here") == "still here\n"

    def _doors(self, machine: Machine) -> str:
        """Return the sockets by which a daemon of this host could be asked from inside."""
        return self.out(machine, f"ls -d {' '.join(_DOORS)} 2>/dev/null || :", user="root")

    def _try_everything(
        self, machine: Machine, outside: Outside, port: int, *, user: str = "builder"
    ) -> None:
        elsewhere = (outside.address, outside.address6)
        assert self._answers(machine, elsewhere, outside.port, user=user) == []
        for address in elsewhere:
            self.sh(machine, _SEND.format(address=address, port=outside.port), user=user)
        assert self._answers(machine, _ALIASES, port, user=user) == []

    def _answers(
        self, machine: Machine, addresses: Iterable[str], port: int, *, user: str = "builder"
    ) -> list[str]:
        """Return the addresses that a greeting comes from, all tried at once."""
        tries = [
            f'test "$({_CONNECT.format(seconds=2 * self.patience, address=one, port=port)})"'
            f" = {GREETING.decode()} && echo {one} &"
            for one in dict.fromkeys(addresses)
        ]
        return self.sh(machine, "\n".join((*tries, "wait")), user=user).stdout.decode().split()

    def _reaches(
        self,
        machine: Machine,
        address: str,
        port: int,
        *,
        user: str = "builder",
        seconds: float = 10,
    ) -> bool:
        script = _CONNECT.format(seconds=seconds * self.patience, address=address, port=port)
        return self.sh(machine, script, user=user).stdout == GREETING


def _interfaces(listed: str) -> set[str]:
    return {line.partition(":")[0].strip() for line in listed.splitlines()[2:]}


@contextmanager
def _loopback() -> Iterator[tuple[int, list[str]]]:
    """Serve on this host's loopback; yields the port and the list of what was seen."""
    seen: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_server(("::1", port), family=socket.AF_INET6) as server6:
            for one in (server, server6):
                threading.Thread(
                    target=neighbour.greet, args=(one, seen.append), daemon=True
                ).start()
            yield port, seen
            for one in (server, server6):
                one.shutdown(socket.SHUT_RDWR)
