"""Ports of this host that lead into machines."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from gbuild.errors import Busy

_FIRST, _LAST = 15000, 29999
"""Below what systems hand out to connections (/proc/sys/net/ipv4/ip_local_port_range), so that a
port stays free between the look and the machine's start unless somebody means it."""

_TRIES = 200


def free(taken: Collection[int]) -> int:
    """Return a port of the loopback that nobody has, and none of ``taken``.

    Raises:
        Busy: there is none.
    """
    chance = random.SystemRandom()
    for _ in range(_TRIES):
        port = chance.randint(_FIRST, _LAST)
        if port not in taken and why_taken("127.0.0.1", port) is None:
            return port
    raise Busy(f"no port of {_FIRST} to {_LAST} is free for a machine", hint="ss -ltn")


def why_taken(address: str, port: int) -> str | None:
    """Say why nobody could listen on a port now; None if somebody could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.strerror or str(error)
    return None
