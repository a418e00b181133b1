"""What liblxc is told about a target: composition of a configuration, no I/O but a look at /proc.

Most of what a target looks like is made before liblxc starts (:mod:`gbuild.host.sandbox.layout`),
in namespaces of our own; liblxc adds those of the container. Format: lxc.container.conf(5).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from gbuild.host.sandbox.layout import MASKED, READ_ONLY, STAGE, Layout
from gbuild.host.sandbox.policy import KEPT

PLACE = f"{STAGE}/lxc"
"""liblxc's folder of containers, seen by the tools of one target alone."""

PROFILE = f"{PLACE}/seccomp"
LOG = f"{PLACE}/log"
INIT = "/run/gbuild/init"

INIT_SCRIPT = b"trap '' HUP INT TERM\nwhile :; do sleep 2147483647 & wait; done\n"
"""The first process of the container: it does nothing but take in orphans."""

_QUIET = "nosuid,nodev,noexec"
_Kind = Callable[[str], int | None]


def container(layout: Layout, groups: str, *, kind: _Kind | None = None) -> str:
    """Return the configuration; ``groups`` is the name of its control groups.

    ``kind`` gives the mode of a path of this host's kernel file systems, None if it has none.
    """
    mounts = (
        f"proc proc proc {_QUIET}",
        f"sysfs sys sysfs ro,{_QUIET},optional",  # refused inside some containers
        *_masks(kind or _mode),
        *(f"{p[1:]} {p[1:]} none bind,relative,ro,optional" for p in READ_ONLY),
    )
    settings = (
        ("uts.name", layout.hostname),
        ("rootfs.path", f"dir:{STAGE}/root"),
        ("init.cmd", f"/bin/sh {INIT}"),
        ("autodev", "0"),
        ("pty.max", "1024"),
        ("tty.max", "0"),
        ("console.path", "none"),
        ("net.0.type", "empty"),
        ("net.0.flags", "up"),
        ("no_new_privs", "0" if layout.sudo else "1"),
        ("cap.keep", " ".join(name.lower() for name in KEPT)),
        ("seccomp.profile", PROFILE),
        ("cgroup.dir.container", groups),
        ("cgroup.dir.monitor", f"{groups}.monitor"),
        ("cgroup.dir.monitor.pivot", f"{groups}.pivot"),
        ("log.file", LOG),
        ("log.level", "WARN"),
        *(("mount.entry", f"{mount} 0 0") for mount in mounts),
    )
    return "".join(f"lxc.{name} = {value}\n" for name, value in settings)


def _masks(kind: _Kind) -> Iterator[str]:
    for path in MASKED:
        mode = kind(path)
        optional = ",optional" if path.startswith("/sys/") else ""
        if mode is None:
            continue
        if stat.S_ISDIR(mode):
            yield f"tmpfs {path[1:]} tmpfs ro,{_QUIET},size=4k,nr_inodes=1,mode=755{optional}"
        else:
            yield f"/dev/null {path[1:]} none bind,ro{optional}"


def _mode(path: str) -> int | None:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return None
