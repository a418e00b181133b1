"""What is done in a person's machine before a build: names, keys, a room without a network.

The machine's only network card leads to VirtualBox's NAT, and SSH comes in by it: it cannot be
taken away. So whatever must not reach a network runs in a network namespace of the machine's own
kernel that has a loopback and nothing else. Only root could leave it, and in these targets nobody
but gbuild is root (see :func:`gbuild.backends.virtualbox.start.refuse`).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace

from gbuild.backends.virtualbox.way import Way
from gbuild.errors import BackendFailure
from gbuild.target.backend import TargetSpec
from gbuild.target.guest import DAEMON, SETUP, Guest, archive

_ROOM = "/run/gbuild/room"
_APART = "/run/gbuild/apart"
_TOOLS = "ip unshare nsenter setpriv prlimit tar hostname date grep dpkg-query /usr/sbin/sshd"
_OTHERS = "1-4294967294"
"""Every user but root."""

_CHECK = f"""\
PATH=/usr/sbin:/usr/bin:/sbin:/bin
missing=
for tool in {_TOOLS}; do
    command -v $tool >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then echo "lacks$missing"; exit 0; fi
"""
_BEFORE = f"""\
set -e
id -u -- "$3" 2>/dev/null || echo unknown
cat /etc/resolv.conf
late=$(($1 - $(date +%s)))
if [ $late -gt 300 ] || [ $late -lt -300 ]; then date -u -s @"$1" >/dev/null; fi
hostname -- "$2"
mkdir -p -m 0700 /run/gbuild
chmod 0755 /run/gbuild
: > {_ROOM}
unshare --net={_ROOM} ip link set lo up
"""
"""A snapshot that was taken while the machine ran has the clock of that time."""

_STAY = f": > {_APART}\n"
_GO = f"""\
gateway=$(ip -4 route show default | {{ read -r _ _ address _; echo "$address"; }})
if [ -n "$gateway" ]; then
    ip rule add pref 10 to "$gateway" uidrange {_OTHERS} prohibit
    ip rule add pref 10 to "${{gateway%.*}}.4" uidrange {_OTHERS} prohibit
fi
"""
"""The NAT's gateway may stand for this host's loopback (user manual, "Enabling NAT access to the
host"), and the address after next serves files of it (TFTP); nothing of a build needs either."""

_CUT = f"""\
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
: > {_APART}
for family in 4 6; do
    if [ $family = 6 ] && ! [ -s /proc/net/if_inet6 ]; then continue; fi
    ip -$family rule show | grep -q '^5:' || ip -$family rule add pref 5 uidrange {_OTHERS} prohibit
done
"""


def prepare(way: Way, spec: TargetSpec, guest: Guest) -> int:
    """Make the machine what a target is: its clock, names, users, keys, and the room.

    Returns the build user's number: the machine's own if it knows the user.

    Raises:
        BackendFailure: the machine lacks a program, or refused.
    """
    script = _CHECK + _BEFORE + (_GO if spec.network else _STAY)
    words = ("before", str(int(time.time())), spec.hostname, spec.user)
    said = _do(way, ("/bin/sh", "-c", script, *words)).splitlines()
    if missing := " ".join(line.removeprefix("lacks ") for line in said if "lacks " in line):
        raise BackendFailure(
            f"the machine lacks {missing}",
            hint="install iproute2, util-linux, openssh-server and tar in it, and take the "
            "snapshot again",
        )
    number, resolver = said[0], "\n".join(said[1:])
    if number.isdecimal():
        guest = replace(guest, number=int(number))  # the machine knows the user: its home is theirs
    if spec.network:
        guest = replace(guest, resolver=f"{resolver}\n")
    _do(way, SETUP, archive(guest))
    return guest.number


def cut(way: Way) -> None:
    """Take every way out from all users but root, and put whatever comes into the room.

    Raises:
        BackendFailure: the machine refused.
    """
    _do(way, ("/bin/sh", "-c", _CUT))


def server(spec: TargetSpec) -> tuple[str, ...]:
    """Return the command that serves one SSH connection on its standard input and output.

    No set-uid program works below it unless the build may have sudo, and the limits of a process
    are those that were asked for.
    """
    limits = "".join(
        f" prlimit --pid $$ --{name}={value}:{value} 2>/dev/null;"
        for name, value in (("nofile", spec.limits.open_files), ("nproc", spec.limits.processes))
        if value is not None
    )
    line = shlex.join([*(() if spec.sudo else ("setpriv", "--no-new-privs")), *DAEMON])
    script = (
        f"PATH=/usr/sbin:/usr/bin:/sbin:/bin; mkdir -p /run/sshd;{limits}"
        f" if [ -e {_APART} ]; then exec nsenter --net={_ROOM} {line}; else exec {line}; fi"
    )
    return ("/bin/sh", "-c", script)


def _do(way: Way, command: Sequence[str], stdin: bytes = b"") -> str:
    done = way.run(command, stdin=stdin)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").splitlines()[-8:]
        raise BackendFailure("the machine could not be made ready", details=tuple(lines))
    return done.stdout.decode(errors="replace")
