"""The way out of a machine: passt, in a network of its own that pasta connects.

passt alone would hand on what a machine sends to 127.0.0.1 to this host's loopback. In its own
network namespace there is nothing on the loopback, nor on this host's other addresses; pasta, with
every mapping switched off, takes the rest to the outside. A process of ours watches both
(:mod:`gbuild.host.passt`): they end with the machine, or with gbuild.
"""

from __future__ import annotations

import os
import subprocess  # noqa: TID251 - runs beside the machine
import sys
from pathlib import Path

from gbuild.errors import BackendFailure
from gbuild.host.process import CLEAN_ENVIRONMENT
from gbuild.host.uplink import resolver

_SOURCES = str(Path(__file__).parents[3])
_START = "import sys; sys.path.append(sys.argv[1]); from gbuild.host.passt import main; main()"
_LONGEST = 107
"""Bytes of a socket's path, see unix(7)."""


def name_servers() -> str:
    """Return the text of a connected target's resolv.conf."""
    return resolver()[0]


class WayOut:
    """A running passt that listens at ``path`` for QEMU, and for nobody else after it."""

    def __init__(self, path: Path, owner: tuple[int, int] | None) -> None:
        """Start it; returns when QEMU can connect.

        Raises:
            BackendFailure: it could not be started; says why.
        """
        if len(os.fsencode(path)) > _LONGEST:
            raise BackendFailure(f"the path is too long for a socket: {path}", hint="--store DIR")
        user, group = owner or (os.geteuid(), os.getegid())
        words = (str(path), f"{user}:{group}", *resolver()[1])
        inside, self._hold = os.pipe()
        self._said, outside = os.pipe()
        with subprocess.Popen(
            (os.path.realpath(sys.executable), "-I", "-S", "-c", _START, _SOURCES, *words),
            env=CLEAN_ENVIRONMENT,
            cwd="/",
            stdin=inside,
            stdout=outside,
            stderr=subprocess.DEVNULL,
        ):  # ends at once, the process that it starts does not
            os.close(inside)
            os.close(outside)
        heard = os.read(self._said, 4096)
        if heard != b"ready\n":
            self.close()
            why = heard.decode(errors="replace").splitlines()
            raise BackendFailure("the machine's network could not be made", details=tuple(why))

    def keep(self) -> None:
        """Let it live as long as the machine, whatever becomes of this process."""
        os.write(self._hold, b"k")
        self._forget()

    def close(self) -> None:
        """End it; returns when it has ended. A second call does nothing."""
        if self._hold < 0:
            return
        os.close(self._hold)
        self._hold = -1
        os.read(self._said, 1)
        os.close(self._said)

    def _forget(self) -> None:
        os.close(self._hold)
        os.close(self._said)
        self._hold = -1
