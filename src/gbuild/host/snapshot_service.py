"""The machine interface of snapshot.debian.org: where the bytes of an old package lie.

Two of its resources are used, as its documentation (the file API of its source) gives them:
``/mr/binary/<name>/<version>/binfiles?fileinfo=1`` lists the files of a binary package by the
SHA-1 of their bytes, with the places where they lay, and ``/file/<sha1>`` gives those bytes.
Nothing it says is believed: what comes is checked by sha256.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from gbuild.host import mirrors
from gbuild.host.fetch import Absent, fetch_bytes
from gbuild.host.web import Settings
from gbuild.model.event import Sink

_LARGEST = 4 << 20
"""Bytes of an answer; one about a package on thirty architectures has 20 kB."""

_MOST = 64
"""Files of one package and architecture that are looked at."""

_SHA1 = re.compile(r"[0-9a-f]{40}\Z")
_PLACE = re.compile(r"/?(?!.*\.\.)[A-Za-z0-9_.+~/-]{1,400}\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+~%:-]{1,300}\.deb\Z")
_ARCHIVE = re.compile(r"[a-z][a-z0-9-]{0,40}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One place of a file: its address by content, and where in which archive it lay."""

    url: str
    archive: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotService:
    """A service that can be asked; ``address`` has no slash at its end."""

    address: str
    settings: Settings
    sink: Sink

    @classmethod
    def of(
        cls, distro: str, environment: Mapping[str, str], *, settings: Settings, sink: Sink
    ) -> SnapshotService | None:
        """Return the distribution's service, None when it has none that finds packages by name.

        The machine interface lies beside the archives (``.../archive``); a service whose address
        does not end like that, as Ubuntu's, has archives only.
        """
        service = mirrors.snapshot_service(distro, environment)
        if service is None or not service.endswith("/archive"):
            return None
        return cls(address=service.removesuffix("/archive"), settings=settings, sink=sink)

    def find(self, name: str, version: str, arch: str) -> tuple[Copy, ...]:
        """Return where the bytes of one binary package lie; nothing when it is not known.

        Raises:
            Unavailable: the service does not answer.
        """
        words = "/".join(quote(word, safe="") for word in (name, version))
        try:
            _, data = fetch_bytes(
                (f"{self.address}/mr/binary/{words}/binfiles?fileinfo=1",),
                name=f"what the snapshot service knows of {name} {version}",
                limit=_LARGEST,
                sink=self.sink,
                settings=self.settings,
            )
        except Absent:
            return ()
        return tuple(dict.fromkeys(self._copies(data, arch)))[:_MOST]

    def _copies(self, data: bytes, arch: str) -> Iterator[Copy]:
        for sha1 in _hashes(_object(data), arch):
            url = f"{self.address}/file/{sha1}"
            yield Copy(url=url, archive="", path="")
            for archive, path in _places(_object(data), sha1):
                yield Copy(url=url, archive=archive, path=path)


def _object(data: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _objects(value: object) -> Iterator[Mapping[str, object]]:
    items = value if isinstance(value, list) else []
    return (one for one in items[:1000] if isinstance(one, dict))


def _hashes(document: Mapping[str, object], arch: str) -> Iterator[str]:
    for one in _objects(document.get("result")):
        sha1 = one.get("hash")
        if one.get("architecture") == arch and isinstance(sha1, str) and _SHA1.match(sha1):
            yield sha1


def _places(document: Mapping[str, object], sha1: str) -> Iterator[tuple[str, str]]:
    known = document.get("fileinfo")
    for one in _objects(known.get(sha1) if isinstance(known, dict) else None):
        words = [str(one.get(key)) for key in ("archive_name", "path", "name")]
        if all(p.match(w) for p, w in zip((_ARCHIVE, _PLACE, _NAME), words, strict=True)):
            yield words[0], f"{words[1].strip('/')}/{words[2]}"
