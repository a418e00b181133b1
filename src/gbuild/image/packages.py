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
from gbuild.host.deb import needed

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


def with_needs(text: bytes, roots: Collection[str]) -> tuple[Stanza, ...]:
    """Return the stanzas of ``roots`` and of all they need, for an index that is one whole system.

    Of alternatives one that is wanted already counts, else the first that the index has. Versions,
    conflicts and what packages provide are not looked at.

    Raises:
        Untrusted: the index lacks one of ``roots``, or a field.
    """
    found = re.finditer(rb"^Package: *([a-z0-9][a-z0-9+.-]*) *$", text, re.MULTILINE)
    places = {match[1].decode(): match.start() for match in found}
    if missing := sorted(set(roots).difference(places)):
        raise Untrusted(f"the index has no {', '.join(missing)}")
    wanted = dict.fromkeys(sorted(roots))
    todo = list(wanted)
    while todo:
        for group in needed(_fields(text, places[todo.pop(0)])):
            known = [name for name in group if name in places]
            if known and not wanted.keys() & known:
                wanted[known[0]] = None
                todo.append(known[0])
    return tuple(_stanza(text, places[name]) for name in wanted)


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


def _fields(text: bytes, inside: int) -> dict[str, str]:
    start = text.rfind(b"\n\n", 0, inside) + 1
    end = text.find(b"\n\n", inside)
    block = text[start : end if end >= 0 else len(text)].decode("utf-8", errors="replace")
    return dict(_FIELD.findall(block))


def _stanza(text: bytes, inside: int) -> Stanza:
    fields = _fields(text, inside)
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
