"""disorderfs of this host: a file system in user space that gives folders in another order.

Optional. What a target gets of it is :mod:`gbuild.host.sandbox.disorder`'s business; here it is
found, with its libraries and a device that the mapped root of a target may open.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from pathlib import Path

from gbuild.errors import MissingTool
from gbuild.host.process import CLEAN_ENVIRONMENT, run, which
from gbuild.host.programs import how_to_install
from gbuild.host.sandbox.layout import Disorder

_DEVICE = Path("/dev/fuse")
_FUSE = os.makedev(10, 229)  # Documentation/admin-guide/devices.txt
_OPEN = 0o006


def missing() -> str:
    """Say what it lacks on this host, or nothing."""
    if shutil.which("disorderfs", path=CLEAN_ENVIRONMENT["PATH"]) is None:
        return f"no disorderfs on this host: {how_to_install('disorderfs')}"
    if not _DEVICE.exists():
        return "no /dev/fuse on this host: sudo modprobe fuse"
    if os.geteuid() != 0 and not _for_all(_DEVICE):
        return "only root may use /dev/fuse here: sudo chmod 666 /dev/fuse"
    try:
        os.close(os.open(_DEVICE, os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse cannot be used here: {error.strerror}"
    return ""


def _for_all(device: Path) -> bool:
    return device.stat().st_mode & _OPEN == _OPEN


def find(folders: tuple[str, ...], *, scratch: Path) -> Disorder:
    """Return what reverses the order in ``folders`` of a target.

    Root gets a device of its own in ``scratch`` where the host's is closed to others.

    Raises:
        MissingTool: :func:`missing` says why.
    """
    if why := missing():
        raise MissingTool(f"nothing can reverse the order of folders: {why}")
    program = which("disorderfs", package="disorderfs")
    listed = run(("ldd", str(program))).stdout.decode().split()
    libraries = dict.fromkeys(Path(word) for word in listed if word.startswith("/"))
    device = _DEVICE if _for_all(_DEVICE) else _own(scratch)
    return Disorder(folders=folders, program=program, libraries=tuple(libraries), device=device)


def _own(scratch: Path) -> Path:
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    node = scratch / "fuse"
    if not node.exists():
        fresh = scratch / f"fuse-{os.getpid()}-{threading.get_ident()}"
        try:
            os.mknod(fresh, stat.S_IFCHR | 0o600, _FUSE)
            os.close(os.open(fresh, os.O_RDWR))  # no device is one on a file system without
        except PermissionError as error:
            mend = "chmod 666 /dev/fuse"
            raise MissingTool("a target may not open /dev/fuse here", hint=mend) from error
        fresh.chmod(0o666)
        fresh.replace(node)
    return node
