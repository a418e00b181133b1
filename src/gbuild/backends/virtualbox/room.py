"""What is done in a machine made from an image before a build; its init is next.sh.

The network card that SSH comes in by stays in the network of the first process, where only the
machine's own server runs. What is built runs in another one, the room: it has a loopback and, when
there is to be a network, the second card, whose cable the hypervisor pulls for good. Only root
could leave the room, and in a target without a network nobody but gbuild is root.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import replace

from gbuild.backends.virtualbox.manage import Manage
from gbuild.backends.virtualbox.way import Way
from gbuild.errors import BackendFailure
from gbuild.target.backend import TargetSpec
from gbuild.target.guest import DAEMON, SETUP, Guest, archive

_BOX = "/run/gbuild/busybox"
_INTO = f"{_BOX} nsenter -n/run/gbuild/room {_BOX}"
_CARD = "02:67:62:00:00:02"  # as in hardware.WAY_OUT
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RESOLVER = "nameserver 10.0.3.3\n"
"""The second card's NAT is 10.0.3.0/24, its name server the third address (user manual, "Network
Address Translation", "Enabling DNS proxy")."""

_PREPARE = f"""\
set -e
b={_BOX}
late=$(($1 - $($b date +%s)))
if [ $late -gt 300 ] || [ $late -lt -300 ]; then $b date -u -s @"$1" >/dev/null; fi
$b hostname "$2"
$b mount -o "remount,bind,nodev,$3" /
if [ -n "$4" ]; then
    blocks=$($b stat -f -c '%a' /)
    size=$($b stat -f -c '%S' /)
    fill=$((blocks * size - $4))
    if [ $fill -gt 0 ]; then
        exec 4>/.room
        $b rm /.room
        $b fallocate -l $fill /proc/self/fd/4
        $b sleep 2147483647 </dev/null >/dev/null 2>&1 &
        exec 4>&-
    fi
fi
"""
"""What may be written: the rest of the disk is held by a file without a name, and that by a process
that does nothing else."""

_WAY_OUT = f"""\
for place in /sys/class/net/*; do
    IFS= read -r address <"$place/address"
    if [ "$address" = {_CARD} ]; then card=${{place##*/}}; fi
done
{_INTO} sh -e -c '
    b={_BOX}
    $b nsenter -n/proc/1/ns/net $b ip link set "$1" netns $$
    $b ip link set "$1" name out0
    $b ip address add 10.0.3.15/24 dev out0
    $b ip link set out0 up
    $b ip route add default via 10.0.3.2
    $b ip route add prohibit 10.0.3.2/32
    $b ip route add prohibit 10.0.3.4/32
' out "$card"
"""
"""Before VirtualBox 7 the NAT's gateway stands for this host's loopback, and the address after next
serves files of it (TFTP): packets go by the one, and to neither."""


_DOWN = "if ip link show out0 >/dev/null 2>&1; then ip link set out0 down; fi"

_GUEST = """\
shift 4
exec "$@"
"""


def prepare(way: Way, spec: TargetSpec, guest: Guest) -> None:
    """Make the machine what a target is: its clock, names, users, keys, size and network.

    Raises:
        BackendFailure: the machine refused.
    """
    if spec.network:
        guest = replace(guest, resolver=_RESOLVER)
    script = _PREPARE + (_WAY_OUT if spec.network else "") + _GUEST
    words = (
        str(int(time.time())),
        spec.hostname,
        "suid" if spec.sudo else "nosuid",
        str(spec.limits.disk or ""),
        *SETUP,
    )
    command = (_BOX, "sh", "-c", script, "prepare", *words)
    done = way.run(command, stdin=archive(guest))
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").splitlines()[-8:]
        raise BackendFailure("the machine could not be made ready", details=tuple(lines))


def cut(manage: Manage, uuid: str, way: Way) -> None:
    """Pull the second card's cable, and switch the card off inside.

    Raises:
        BackendFailure: VirtualBox or the machine refused.
    """
    manage.ask("controlvm", uuid, "setlinkstate2", "off")
    done = way.run((*shlex.split(_INTO), "sh", "-c", _DOWN))
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").splitlines()[-4:]
        raise BackendFailure("the machine's network cannot be cut", details=tuple(said))


def server(spec: TargetSpec) -> tuple[str, ...]:
    """Return the command that serves one SSH connection on its standard input and output."""
    limits = "".join(
        f"ulimit -{letter} {value}; "
        for letter, value in (("n", spec.limits.open_files), ("u", spec.limits.processes))
        if value is not None
    )
    persona = (_BOX, "linux32") if spec.image.environment.arch == "i386" else ()
    line = shlex.join((_BOX, "env", "-i", f"PATH={_PATH}", *persona, *DAEMON))
    return (_BOX, "sh", "-c", f"{limits}exec {_INTO.removesuffix(_BOX)}{line}")
