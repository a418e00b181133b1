"""Packages indexes: one stanza for each binary package (Debian repository format). Pure."""

from __future__ import annotations

import gzip
import lzma
import re
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gbuild.errors import Untrusted

LARGEST = 1 << 30
"""Bytes of an index after decompression; Debian's largest has about 60 million."""

_FIELD = re.compile(r"^([A-Za-z0-9-]+): *(.*)$", re.MULTILINE)
_WANTED = ("Package", "Version", "Architecture", "Filename", "Size", "SHA256")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stanza:
    """What an index says of one package; ``path`` is relative to the archive's root."""

    name: str
    version: str
    arch: str
    path: str
    size: int
    sha256: str
    essential: bool

    def fields(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def decompress(data: bytes, path: str) -> bytes:
    """Return the text of an index file by the ending of its path.

    Raises:
        Untrusted: it is damaged or larger than :data:`LARGEST`.
    """
    try:
        if path.endswith(".xz"):
            unpacker = lzma.LZMADecompressor()
            text = unpacker.decompress(data, LARGEST)
            whole = unpacker.eof
        elif path.endswith(".gz"):
            inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
            text = inflater.decompress(data, LARGEST)
            whole = inflater.eof
        else:
            return data
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        raise Untrusted(f"the index {path} cannot be decompressed") from error
    if not whole:
        raise Untrusted(f"the index {path} is cut off or larger than {LARGEST} bytes")
    return text


def find(text: bytes, paths: frozenset[str]) -> Iterator[Stanza]:
    """Yield the stanzas whose ``Filename`` is among ``paths``.

    Raises:
        Untrusted: such a stanza lacks a field.
    """
    return _having(rb"^Filename: *(?:\./)*(\S+) *$", paths, text)


def find_hashes(text: bytes, digests: Collection[str]) -> Iterator[Stanza]:
    """Yield the stanzas whose ``SHA256`` is among ``digests``.

    Raises:
        Untrusted: such a stanza lacks a field.
    """
    return _having(rb"^SHA256: *([0-9a-f]{64}) *$", digests, text)


def find_names(text: bytes, wanted: Collection[str]) -> Iterator[Stanza]:
    """Yield the stanzas whose ``Package`` is among ``wanted``.

    Raises:
        Untrusted: such a stanza lacks a field.
    """
    return _having(rb"^Package: *([a-z0-9][a-z0-9+.-]*) *$", wanted, text)


def _having(field: bytes, wanted: Collection[str], text: bytes) -> Iterator[Stanza]:
    """Yield the stanzas with a field whose value, the pattern's group, is among ``wanted``."""
    for match in re.finditer(field, text, re.MULTILINE):
        if match[1].decode(errors="replace") in wanted:
            yield _stanza(text, match.start())


def essential(text: bytes, arch: str) -> set[str]:
    """Return the names of the essential packages of one architecture in an index."""
    stanzas = (
        _stanza(text, m.start()) for m in re.finditer(rb"^Essential: *yes *$", text, re.MULTILINE)
    )
    return {one.name for one in stanzas if one.arch in (arch, "all")}


def refuse_incomplete(packages: Iterable[str], needed: Iterable[str], label: str) -> None:
    """Refuse a set of packages that lacks an essential one: no system works without them.

    Raises:
        Untrusted: names those that are missing.
    """
    if missing := sorted(set(needed).difference(packages)):
        raise Untrusted(f"the lock of {label} lacks essential packages: {', '.join(missing)}")


def names(text: bytes) -> set[str]:
    """Return the names of all packages in an index."""
    return {
        n.decode() for n in re.findall(rb"^Package: *([a-z0-9][a-z0-9+.-]*)$", text, re.MULTILINE)
    }


def _stanza(text: bytes, inside: int) -> Stanza:
    start = text.rfind(b"\n\n", 0, inside) + 1
    end = text.find(b"\n\n", inside)
    block = text[start : end if end >= 0 else len(text)].decode("utf-8", errors="replace")
    fields = dict(_FIELD.findall(block))
    if missing := [name for name in _WANTED if not fields.get(name)]:
        raise Untrusted(
            f"the index entry of {fields.get('Package', '?')} lacks {', '.join(missing)}"
        )
    if not re.fullmatch(r"[0-9]{1,18}", fields["Size"]):
        raise Untrusted(f"the index entry of {fields['Package']} has no size that can be read")
    return Stanza(
        name=fields["Package"],
        version=fields["Version"],
        arch=fields["Architecture"],
        path=fields["Filename"].removeprefix("./"),
        size=int(fields["Size"]),
        sha256=fields["SHA256"].lower(),
        essential=fields.get("Essential") == "yes",
    )
