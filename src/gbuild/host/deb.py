"""Debian binary packages: the ar container and the control fields (deb(5), deb-control(5)).

Programs that run as mapped root use it too: beside the standard library only host.process.
"""

from __future__ import annotations

import bz2
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, BinaryIO

from gbuild.host.process import run, which

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC = b"!<arch>\n"
_HEADER = 60
_LARGEST_CONTROL = 64 << 20
_SIZE = re.compile(rb"[0-9]{1,10} *\Z")
_DATE = re.compile(rb"[0-9]{1,12} *\Z")
_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


class DamagedPackage(Exception):
    """Bytes that are not a Debian package; the text says why."""


def members(stream: BinaryIO) -> dict[str, tuple[int, int]]:
    """Return the offset and size of every member of a .deb, by name.

    Raises:
        DamagedPackage: it is not an ar archive with whole members.
    """
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise DamagedPackage("not a Debian package")
    found: dict[str, tuple[int, int]] = {}
    while header := stream.read(_HEADER):
        if len(header) != _HEADER or header[58:] != b"`\n" or not _SIZE.match(header[48:58]):
            raise DamagedPackage("a member of the package is damaged")
        name = header[:16].decode("ascii", errors="replace").rstrip(" /")
        size = int(header[48:58])
        found[name] = (stream.tell(), size)
        stream.seek(size + size % 2, io.SEEK_CUR)
    return found


def packed_at(path: Path) -> int:
    """Return when a package was packed, in seconds since the epoch: its first member's date.

    Raises:
        DamagedPackage: that is no date.
    """
    with path.open("rb") as stream:
        head = stream.read(len(_MAGIC) + _HEADER)
    text = head[len(_MAGIC) + 16 : len(_MAGIC) + 28]
    if not _DATE.match(text):
        raise DamagedPackage("its first member has no date")
    return int(text)


def control_fields(path: Path) -> dict[str, str]:
    """Return the fields of a package's control file.

    Raises:
        DamagedPackage: it has none that can be read.
    """
    with path.open("rb") as stream:
        for name, (offset, size) in members(stream).items():
            if name.startswith("control.tar"):
                stream.seek(offset)
                return parse_fields(_control(decompressed(stream.read(size), name)))
    raise DamagedPackage("the package has no control member")


def _control(data: bytes) -> str:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                if member.name in ("control", "./control") and member.isfile():
                    stream = archive.extractfile(member)
                    if stream is not None:
                        return stream.read().decode("utf-8", errors="replace")
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise DamagedPackage("the control member of the package is damaged") from error
    raise DamagedPackage("the package has no control file")


def decompressed(data: bytes, name: str) -> bytes:
    """Return the bytes of a member by the ending of its name.

    Known are none, .gz, .xz, .zst, and what old suites have: .bz2 and .lzma (deb(5)).

    Raises:
        DamagedPackage: another compression, or damaged.
        MissingTool: zstd is needed and not installed.
    """
    try:
        if name.endswith((".xz", ".lzma")):
            return lzma.LZMADecompressor().decompress(data, _LARGEST_CONTROL)
        if name.endswith(".bz2"):
            return bz2.BZ2Decompressor().decompress(data, _LARGEST_CONTROL)
        if name.endswith(".gz"):
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _LARGEST_CONTROL)
    except (lzma.LZMAError, zlib.error, OSError) as error:  # bz2 raises OSError
        raise DamagedPackage(f"{name} is damaged") from error
    if name.endswith(".zst"):
        return unzstd(data, name)
    if name.endswith(".tar"):
        return data
    raise DamagedPackage(f"{name} is compressed in a way that is not known here")


def unzstd(data: bytes, name: str) -> bytes:
    """Decompress a member that zstd packed, as Ubuntu has them since 21.10.

    Python has no zstd before 3.14, so the host's program does it.

    Raises:
        DamagedPackage: it is damaged.
        MissingTool: zstd is not installed.
    """
    tool = which("zstd", package="zstd")
    done = run([tool, "--decompress", "--stdout", "--quiet"], stdin=data, check=False)
    if done.returncode != 0:
        raise DamagedPackage(f"{name} is damaged")
    return done.stdout


def parse_fields(text: str) -> dict[str, str]:
    """Return the fields of one stanza; continuation lines stay in their value."""
    return dict(_FIELD.findall(text))


def needed(fields: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """Return Pre-Depends and Depends: groups of alternatives, names only."""
    text = ",".join(fields[key] for key in ("Pre-Depends", "Depends") if key in fields)
    return tuple(group for part in text.split(",") if (group := _names(part.split("|"))))


def provided(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names in Provides."""
    return _names(fields.get("Provides", "").split(","))


def _names(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(match[1] for part in parts if (match := _NAME.match(part)))


def closure(packages: Mapping[str, Mapping[str, str]], roots: Iterable[str]) -> frozenset[str]:
    """Return ``roots`` and all that they need, among ``packages`` (name to control fields)."""
    provider = {name: owner for owner in sorted(packages) for name in provided(packages[owner])}
    found: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        for group in needed(packages[name]):
            todo += [w for n in group if (w := n if n in packages else provider.get(n))][:1]
    return frozenset(found)


def installed(status: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Read dpkg's status file: (name, architecture) to (version, status words)."""
    stanzas = (parse_fields(block) for block in re.split(r"\n\n+", status))
    return {
        (s["Package"], s.get("Architecture", "")): (s.get("Version", ""), s.get("Status", ""))
        for s in stanzas
        if "Package" in s
    }
