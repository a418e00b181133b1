"""An image's tar to a folder that belongs to the map; a program for ``run_trusted``.

Arguments: the folder (empty, of the mapped root). The tar is standard input's descriptor 0, as
:class:`gbuild.image.inside.archive.Packer` wrote it. The root of the process that writes is the
folder, so that no name leads outside.
"""

from __future__ import annotations

import os
import tarfile

from gbuild.image.inside.debs import below, finish

_XATTR = "SCHILY.xattr."


def main(argv: list[str]) -> int:
    """Unpack; status 0 when everything is there."""
    os.umask(0)
    finish([below(argv[0], _unpack)])
    return 0


def _unpack() -> None:
    folders = []
    with (
        os.fdopen(os.dup(0), "rb") as stream,
        tarfile.open(fileobj=stream, mode="r:", encoding="utf-8") as archive,
    ):
        for member in archive:
            path = "/" + member.name.strip("/.") if member.name in (".", "./") else member.name
            if member.isdir():
                folders.append((path, member))
                if path != "/":
                    os.mkdir(path, 0o700)
                _own(path, member)
            else:
                _leaf(path, member)
    for path, member in reversed(folders):
        os.utime(path, (member.mtime, member.mtime))


def _leaf(path: str, member: tarfile.TarInfo) -> None:
    if member.islnk():
        os.link(member.linkname, path, follow_symlinks=False)
        return
    if member.issym():
        os.symlink(member.linkname, path)
    elif member.isreg():
        _file(path, member)
        return
    elif member.isfifo():
        os.mkfifo(path)
    else:
        raise ValueError(f"{member.name}: a kind of file that an image does not have")
    _own(path, member)
    os.utime(path, (member.mtime, member.mtime), follow_symlinks=False)


def _file(path: str, member: tarfile.TarInfo) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    try:
        offset, left = member.offset_data, member.size
        while left:
            done = os.sendfile(file, 0, offset, left)
            if done == 0:
                raise ValueError("the tar is cut off")
            offset, left = offset + done, left - done
        os.fchown(file, member.uid, member.gid)
        for name, value in member.pax_headers.items():
            if name.startswith(_XATTR):
                data = value.encode("utf-8", "surrogateescape")
                os.setxattr(file, name.removeprefix(_XATTR), data)
        os.fchmod(file, member.mode)
        os.utime(file, (member.mtime, member.mtime))
    finally:
        os.close(file)


def _own(path: str, member: tarfile.TarInfo) -> None:
    os.chown(path, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        os.chmod(path, member.mode)
