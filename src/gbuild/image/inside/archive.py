"""Trees to tar and back: the same tree gives the same bytes, whoever packs it.

Packing follows no symbolic link. Unpacking is for archives that packing made, and happens in a
process whose root is the destination, so that no name can lead outside.
"""

from __future__ import annotations

import os
import stat
import tarfile

BLOCK = 512
_COPY = 1 << 20
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}
_XATTR = "SCHILY.xattr."
_XATTRS_KEPT = ("security.capability", "user.")


class Odd(Exception):
    """A file that an image cannot hold; the text names it."""


class Packer:
    """Writes a tree as a POSIX tar: sorted, numeric owners, times not after ``latest``.

    A tar of more than ``largest`` bytes is refused: holes of a file cost nothing in a tree.
    """

    def __init__(self, out: int, *, latest: int, largest: int | None = None) -> None:
        self._out = out
        self._largest = largest
        self._latest = latest
        self._links: dict[int, str] = {}
        self._size = 0

    def pack(self, root: str) -> None:
        """Write everything below ``root``, which must be on one file system."""
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._header(self._info("./", os.fstat(top), tarfile.DIRTYPE))
            self._folder(top, "")
        finally:
            os.close(top)
        end = 2 * BLOCK
        self._write(b"\0" * (end + -(self._size + end) % tarfile.RECORDSIZE))

    def _folder(self, folder: int, prefix: str) -> None:
        for name in sorted(os.listdir(folder), key=os.fsencode):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            path = prefix + name
            kind = _TYPES.get(stat.S_IFMT(status.st_mode))
            if kind is None:
                raise Odd(f"/{path} is a device or a socket")
            if kind == tarfile.DIRTYPE:
                self._subfolder(folder, name, path + "/", status)
            else:
                self._leaf(folder, name, path, status, kind)

    def _subfolder(self, folder: int, name: str, path: str, status: os.stat_result) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        inner = os.open(name, flags, dir_fd=folder)
        try:
            self._header(self._info(path, status, tarfile.DIRTYPE), inner)
            self._folder(inner, path)
        finally:
            os.close(inner)

    def _leaf(self, folder: int, name: str, path: str, status: os.stat_result, kind: bytes) -> None:
        info = self._info(path, status, kind)
        if status.st_nlink > 1:
            first = self._links.setdefault(status.st_ino, path)
            if first != path:
                info.type, info.linkname = tarfile.LNKTYPE, first
                self._header(info)
                return
        if kind == tarfile.SYMTYPE:
            info.linkname = os.readlink(name, dir_fd=folder)
        if kind != tarfile.REGTYPE:
            self._header(info)
            return
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            info.size = status.st_size
            if self._largest is not None and self._size + info.size > self._largest:
                raise Odd(f"/{path} makes the tree larger than {self._largest} bytes")
            self._header(info, file)
            self._content(file, info.size, path)
        finally:
            os.close(file)

    def _info(self, path: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
        info = tarfile.TarInfo(path)
        info.type = kind
        info.mode = stat.S_IMODE(status.st_mode)
        info.uid, info.gid = status.st_uid, status.st_gid
        info.mtime = min(int(status.st_mtime), self._latest)
        return info

    def _header(self, info: tarfile.TarInfo, file: int | None = None) -> None:
        if file is not None:
            for name in sorted(os.listxattr(file)):
                if name.startswith(_XATTRS_KEPT):
                    value = os.getxattr(file, name).decode("utf-8", "surrogateescape")
                    info.pax_headers = {**info.pax_headers, _XATTR + name: value}
        self._write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))

    def _content(self, file: int, size: int, path: str) -> None:
        left = size
        while left:
            sent = os.sendfile(self._out, file, None, min(left, _COPY))
            if sent == 0:
                raise Odd(f"/{path} became shorter while it was read")
            left -= sent
        self._size += size
        self._write(b"\0" * (-size % BLOCK))

    def _write(self, data: bytes) -> None:
        self._size += len(data)
        while data:
            data = data[os.write(self._out, data) :]
