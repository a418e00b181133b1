"""What daemons of containers, and bridges, need: a host that is not itself a container."""

from __future__ import annotations

import os

_SETTINGS = "/proc/sys/net/ipv4/ip_forward"


def needed() -> None:
    """Skip, as root, where the settings of the network cannot be changed.

    systemd-nspawn, docker and others give their containers a read-only /proc/sys.
    """
    if os.geteuid() == 0 and not os.access(_SETTINGS, os.W_OK):
        import pytest  # not there when the benchmarks start a daemon

        reason = "/proc/sys is read-only here, as in a container: no bridge and no daemon works"
        pytest.skip(reason, allow_module_level=True)
