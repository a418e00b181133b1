"""A tar stream of a target, unpacked on this host by a reader that trusts none of it.

Files are made below directory descriptors that were opened without following any link;
symbolic links are made last, so none exists while names are being resolved. What our own
``tar --format=gnu --hard-dereference`` writes is understood, everything else is refused.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import HostFailure
from gbuild.target.directories import DEEPEST, Directories
from gbuild.target.tar_reader import (
    LONGEST_NAME,
    Bytes,
    EndsEarly,
    Header,
    TarReader,
    TreeRefused,
    shown,
)

_ORDINARY = re.compile(rb"[ -~]{1,255}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LONGEST_PART = 255
_WARNINGS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLimits:
    """What one tree may hold; sizes are bytes of file contents."""

    entries: int = 200_000
    size: int = 64 << 30


def receive_tree(
    pull: Callable[[], Bytes],
    dest: Path,
    *,
    limits: TreeLimits,
    finish: Callable[[], None],
    warn: Callable[[str], None],
) -> None:
    """Unpack the stream that ``pull`` returns as the new folder ``dest``.

    Modes become 0755 (folders, executable by its owner) or 0644; owner and time are this
    process's. Symbolic links must be relative and stay inside. Names that differ only in case
    are warned about. ``dest`` appears whole or not at all.

    Args:
        pull: returns the next bytes of the stream, none at its end; they are read before the
            next call.
        dest: the folder to be made; its parent exists.
        limits: what is too much.
        finish: called at the end of the stream, also an early one; raises when the sender failed.
        warn: is told what the person should know.

    Raises:
        TreeRefused: hard links, devices and other kinds; names that are absolute, climb, repeat,
            are not UTF-8 or hold control characters; more than the limits; a damaged stream.
        HostFailure: this host cannot write it.
    """
    if os.path.lexists(dest):
        raise HostFailure(f"{dest} exists already", hint="move it away")
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{dest.name}.", dir=dest.parent))
        try:
            _unpack(TarReader(pull), partial, limits, finish, warn)
            partial.chmod(0o755)
            partial.rename(dest)
        except BaseException:
            shutil.rmtree(partial)
            raise
    except OSError as error:
        raise HostFailure(f"cannot write {dest}: {error.strerror}") from error


def _unpack(
    reader: TarReader,
    root: Path,
    limits: TreeLimits,
    finish: Callable[[], None],
    warn: Callable[[str], None],
) -> None:
    with Directories(root) as directories:
        unpacker = _Unpacker(reader, directories, limits, warn)
        try:
            for header in reader.headers():
                unpacker.take(header)
            reader.finish()
        except EndsEarly:
            finish()
            raise
        finish()
        unpacker.make_links()


class _Unpacker:
    def __init__(
        self,
        reader: TarReader,
        directories: Directories,
        limits: TreeLimits,
        warn: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._directories = directories
        self._limits = limits
        self._warn = warn
        self._entries = 0
        self._size = 0
        self._here = b"."
        self._parts: list[bytes] = []
        self._links: list[tuple[list[bytes], bytes, bytes]] = []
        self._folded: dict[bytes, bytes] = {}
        self._alike = 0

    def take(self, header: Header) -> None:
        """Make one entry; links are only remembered."""
        name = header.name.rstrip(b"/") if header.kind == b"5" else header.name
        if name == b"." and header.kind == b"5":
            return
        self._count(header)
        folder, slash, last = name.rpartition(b"/")
        if not slash:
            folder = b"."
        if folder != self._here:
            self._parts = _parts(folder)
            self._here = folder
        _check_part(last, name)
        self._compare(name)
        try:
            self._make(header, last)
        except (FileExistsError, NotADirectoryError) as error:
            raise TreeRefused(f"{shown(name)} is in the tar stream twice") from error

    def make_links(self) -> None:
        """Make the symbolic links, all other entries being there."""
        for parts, name, target in self._links:
            try:
                self._directories.new_link(parts, name, target)
            except (FileExistsError, NotADirectoryError) as error:
                path = b"/".join([*parts, name])
                raise TreeRefused(f"{shown(path)} is in the tar stream twice") from error

    def _make(self, header: Header, last: bytes) -> None:
        if header.kind == b"0":
            self._make_file(header, last)
        elif header.kind == b"5":
            self._directories.enter([*self._parts, last])
        else:
            _check_link(header, len(self._parts))
            self._links.append((self._parts, last, header.link))

    def _make_file(self, header: Header, last: bytes) -> None:
        mode = 0o755 if header.mode & 0o100 else 0o644
        descriptor = self._directories.new_file(self._parts, last, mode)
        try:
            for piece in self._reader.data(header.size):
                written = os.write(descriptor, piece)
                while written < len(piece):
                    written += os.write(descriptor, piece[written:])
        finally:
            os.close(descriptor)

    def _count(self, header: Header) -> None:
        self._entries += 1
        self._size += header.size
        if self._entries > self._limits.entries:
            raise TreeRefused(f"the tree has more than {self._limits.entries} entries")
        if self._size > self._limits.size:
            raise TreeRefused(f"the tree has more than {self._limits.size} bytes")

    def _compare(self, name: bytes) -> None:
        if name.isascii():
            folded = name.lower()
        else:
            folded = unicodedata.normalize("NFC", name.decode()).casefold().encode()
        other = self._folded.setdefault(folded, name)
        if other is not name and self._alike < _WARNINGS:
            self._alike += 1
            self._warn(f"{shown(other)} and {shown(name)} are one name on some file systems")


def _parts(folder: bytes) -> list[bytes]:
    if len(folder) > LONGEST_NAME:
        raise TreeRefused(f"a path of {len(folder)} bytes")
    parts = folder.split(b"/")
    if parts[0] == b".":
        del parts[0]
    if len(parts) > DEEPEST:
        raise TreeRefused(f"more than {DEEPEST} folders inside each other")
    for part in parts:
        _check_part(part, folder)
    return parts


def _check_part(part: bytes, path: bytes) -> None:
    if part in (b"", b".", b".."):
        raise TreeRefused(f"{shown(path)} is not a name below the tree")
    if _ORDINARY.fullmatch(part):
        return
    try:
        text = part.decode()
    except UnicodeDecodeError:
        raise TreeRefused(f"{shown(path)} is not UTF-8") from None
    if _CONTROL.search(text):
        raise TreeRefused(f"{shown(path)} has a control character in it")
    if len(part) > _LONGEST_PART:
        raise TreeRefused(f"{shown(path)} has a part longer than {_LONGEST_PART} bytes")


def _check_link(header: Header, depth: int) -> None:
    """Accept ``../`` only in front and no oftener than folders lie above.

    The links' own folders are real, so such a target stays inside through any chain of links.
    """
    parts = header.link.split(b"/")
    climbs = 0
    while climbs < len(parts) and parts[climbs] == b"..":
        climbs += 1
    rest = [part for part in parts[climbs:] if part not in (b"", b".")]
    if header.link.startswith(b"/") or not header.link or climbs > depth or b".." in rest:
        raise TreeRefused(f"{shown(header.name)} is a link out of the tree: {shown(header.link)}")
    if len(header.link) > LONGEST_NAME:
        raise TreeRefused(f"{shown(header.name)} is a link with an endless target")
    for part in rest:
        _check_part(part, header.link)
