"""Ports for servers that cannot be told to take any."""

from __future__ import annotations

import contextlib
import secrets
import socket


def free_port() -> int:
    """Return a port of the loopback that nobody has.

    It is below those that Linux hands out by itself (ip_local_port_range in ip(7)), so that no
    connection of another program takes it before the server does.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
