"""Tries, as mapped root, what a target needs; prints ``what<TAB>problem`` a line."""

from __future__ import annotations

import os
import sys

from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.policy import NAMESPACES

_PLACE = "/tmp"  # covered by a private mount first


def main(argv: list[str]) -> int:
    """Try everything; the exit status is 0 whatever was found."""
    del argv
    for what, attempt in _ATTEMPTS.items():
        problem = ""
        try:
            attempt()
        except OSError as error:
            problem = str(error)
        sys.stdout.write(f"{what}\t{problem}\n")
    return 0


def _tmpfs() -> None:
    kernel.mount("trial", _PLACE, "tmpfs", 0, "mode=755,size=1m,nr_inodes=100")
    os.chdir(_PLACE)


def _other_namespaces() -> None:
    kernel.unshare(NAMESPACES & ~kernel.CLONE_NEWPID)


def _owners() -> None:
    with open("file", "w", encoding="utf-8"):
        os.chown("file", 1000, 1000)


def _overlay() -> None:
    for name in ("lower", "lower/folder", "upper", "work", "root"):
        os.mkdir(name)
    kernel.mount(
        "overlay", "root", "overlay", 0, "userxattr,lowerdir=lower,upperdir=upper,workdir=work"
    )


def _replace() -> None:
    """Replace a directory of the lower tree: that takes a mark which old kernels cannot keep."""
    os.rmdir("root/folder")
    os.mkdir("root/folder")


def _proc() -> None:
    os.mkdir("proc")
    kernel.mount("proc", "proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


_ATTEMPTS = {
    "tmpfs": _tmpfs,
    "several users": _owners,
    "overlay": _overlay,
    "replacing directories": _replace,
    "proc": _proc,
    "network, ipc, host name": _other_namespaces,
}
