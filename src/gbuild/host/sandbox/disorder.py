"""Let disorderfs(1) of this host serve a folder of a sandbox, shut in beside it.

The server is a program that was not written for hostile callers. It gets a root of its own with
nothing but itself, its libraries, /dev/fuse and the one folder: no network, no process but its
own, no other file of host or sandbox, and of capabilities what a sandbox has and that of mounting
in its own root. That mount comes to the sandbox because both hold the mount point shared.

Its pid is seen inside, and root inside may end it; its memory and files are closed to everybody
there, for it has a capability that nobody inside has (ptrace(2)).
"""

from __future__ import annotations

import os

from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.policy import CAPABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_ALL = (1 << 31) - 1
_SYS_ADMIN = 1 << 21
_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
_OPTIONS = ("--multi-user=yes", "--reverse-dirents=yes", "--pad-blocks=0", "-o", "nonempty")


def reverse(folder: str, root: str, files: Sequence[tuple[str, str]]) -> None:
    """Reverse the order of everything at and below ``folder``; returns when it is so.

    ``root`` is an empty folder for the server's root, ``files`` what is shown there: (place, path
    below the root), the program first.

    Raises:
        OSError: something could not be made or mounted.
    """
    _furnish(folder, root, files)
    asking, told = os.pipe()
    waiting, go = os.pipe()
    if os.fork() == 0:
        try:
            os.close(asking)
            os.close(go)
            _server(root, files[0][1], waiting, told)
        finally:
            os._exit(1)
    os.close(told)
    os.close(waiting)
    try:
        if os.read(asking, 1):  # the server has copies of these mounts; ours would share its mount
            kernel.detach(root)
            os.write(go, b"!")
        if not os.read(asking, 1):
            raise OSError(f"disorderfs could not be mounted on {folder}")
    finally:
        os.close(asking)
        os.close(go)


def _furnish(folder: str, root: str, files: Sequence[tuple[str, str]]) -> None:
    kernel.mount("server", root, "tmpfs", kernel.MS_NOSUID, "mode=755,size=256k,nr_inodes=256")
    for place, path in files:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.close(os.open(root + path, os.O_CREAT | os.O_WRONLY, 0o644))
        kernel.mount(place, root + path, "", kernel.MS_BIND)
        kernel.restrict_mount(root + path, kernel.ATTR_NOSUID)
    for name in ("from", "to"):
        os.mkdir(f"{root}/{name}")
    kernel.mount(folder, f"{root}/from", "", kernel.MS_BIND)
    kernel.mount(folder, folder, "", kernel.MS_BIND)
    kernel.mount("none", folder, "", kernel.MS_SHARED)
    kernel.mount(folder, f"{root}/to", "", kernel.MS_BIND)


def _server(root: str, program: str, waiting: int, told: int) -> NoReturn:
    """Become the server's first process; the one between it and the sandbox's ends at once."""
    os.chdir(root)  # follows into the copies of the mounts
    kernel.unshare(_NAMESPACES)
    if os.fork():
        os._exit(0)
    os.write(told, b"!")
    os.read(waiting, 1)
    kernel.pivot_root(".", ".")
    kernel.detach(".")
    os.chdir("/")
    _confine()
    child = os.fork()
    if child == 0:
        os.closerange(3, _ALL)
        os.execve(program, ["disorderfs", *_OPTIONS, "/from", "/to"], {})
    if os.waitpid(child, 0)[1] == 0:  # it mounts, and goes on in the background
        os.write(told, b"!")
        os.closerange(0, _ALL)
        while True:
            os.wait()
    os._exit(1)


def _confine() -> None:
    kernel.default_signals()
    kernel.no_new_privileges()
    kernel.keep_capabilities(CAPABILITIES | _SYS_ADMIN)
    kernel.set_capabilities(CAPABILITIES | _SYS_ADMIN)
