"""InRelease files: the signed table of contents of a suite (Debian repository format).

Pure: the text given here must be what a good signature covers (:mod:`gbuild.image.trust`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gbuild.errors import Untrusted

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SIZE = re.compile(r"[0-9]{1,18}\Z")
_COMPRESSIONS = (".xz", ".gz", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """One index that a release vouches for: its path below ``dists/<suite>/``."""

    path: str
    sha256: str
    size: int

    @property
    def by_hash(self) -> str:
        """Return the path under which an archive keeps it while newer ones appear."""
        folder = self.path.rpartition("/")[0]
        return f"{folder}/by-hash/SHA256/{self.sha256}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The fields of an InRelease that gbuild reads; times are seconds since the epoch."""

    origin: str
    label: str
    suite: str
    codename: str
    date: int
    valid_until: int | None
    by_hash: bool
    all_apart: bool
    architectures: tuple[str, ...]
    files: Mapping[str, IndexFile]

    def packages(self, component: str, arch: str) -> tuple[IndexFile, ...]:
        """Return the package indexes of a component for one architecture, smallest form.

        Two when the archive keeps architecture-independent packages apart; empty when it has
        neither.
        """
        wanted = [arch, "all"] if self.all_apart else [arch]
        found = (self._smallest(f"{component}/binary-{one}/Packages") for one in wanted)
        return tuple(one for one in found if one is not None)

    def _smallest(self, path: str) -> IndexFile | None:
        return next((self.files[path + c] for c in _COMPRESSIONS if path + c in self.files), None)


def parse_release(text: bytes) -> Release:
    """Read the signed text of an InRelease.

    Raises:
        Untrusted: it lacks Date or SHA256 sums, or a field cannot be read.
    """
    fields, files = _fields(text.decode("utf-8", errors="replace"))
    architectures = tuple(fields.get("Architectures", "").split())
    return Release(
        origin=fields.get("Origin", ""),
        label=fields.get("Label", ""),
        suite=fields.get("Suite", ""),
        codename=fields.get("Codename", ""),
        date=_time(fields.get("Date", "")),
        valid_until=_time(fields["Valid-Until"]) if "Valid-Until" in fields else None,
        by_hash=fields.get("Acquire-By-Hash") == "yes",
        all_apart="all" in architectures
        and "Packages" not in fields.get("No-Support-for-Architecture-all", ""),
        architectures=architectures,
        files=files,
    )


def _fields(text: str) -> tuple[dict[str, str], dict[str, IndexFile]]:
    fields: dict[str, str] = {}
    files: dict[str, IndexFile] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith(" "):
            if section == "SHA256":
                one = _index_file(line)
                files[one.path] = one
            continue
        section, _, value = line.partition(":")
        fields[section] = value.strip()
    if not files:
        raise Untrusted("the InRelease has no SHA256 sums")
    return fields, files


def _index_file(line: str) -> IndexFile:
    words = line.split()
    if len(words) != 3 or not _SHA256.match(words[0]) or not _SIZE.match(words[1]):
        raise Untrusted(f"a line of the InRelease cannot be read: {line[:120]!r}")
    path = words[2]
    if path.startswith("/") or ".." in path.split("/"):
        raise Untrusted(f"the InRelease names a path outside its suite: {path[:120]!r}")
    return IndexFile(path=path, sha256=words[0], size=int(words[1]))


def _time(text: str) -> int:
    """Read ``Sat, 12 Sep 2026 07:55:41 UTC`` (RFC 5322 with the zone spelt UTC)."""
    import email.utils  # slow to load, and a proved lock needs none of it

    try:
        return int(email.utils.parsedate_to_datetime(text.replace("UTC", "+0000")).timestamp())
    except (ValueError, TypeError, OverflowError) as error:
        raise Untrusted(f"the InRelease has no date that can be read: {text[:60]!r}") from error
