"""Where a distribution's archives can be had from this host.

Addresses come, in this order, from ``GBUILD_MIRROR_<ARCHIVE>`` (dashes as underscores, several
separated by spaces), from the configuration file, and from the host's own apt sources
(apt-sources_list(5), sources.list(5): one-line and deb822). ``GBUILD_APT_ROOT`` names another
root for apt's files; a folder without any means that the host's sources are not used.

Which archive a source carries is, first, what the archive itself says: the Origin and Label in
the Release file that apt keeps in its lists. Without lists the last part of the address's path
decides (``.../debian-security``), then the shape of the suite names (``bookworm-security``).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from gbuild.host import config

ARCHIVES = ("debian", "debian-security", "debian-ports", "ubuntu", "ubuntu-ports")
"""The archives that can be told from a source; other names work through configuration only."""

_SNAPSHOTS = {
    "debian": "https://snapshot.debian.org/archive",
    "ubuntu": "https://snapshot.ubuntu.com",
}
_SCHEMES = ("http", "https", "file")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+\.(?:list|sources)\Z")
_LINE = re.compile(r"deb(?:-src)?\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)(?:\s|$)")
_SECURITY_SUITE = re.compile(r"[a-z]+(?:-security|/updates)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One apt source: an address without trailing slash, and the suites taken from it."""

    base: str
    suites: tuple[str, ...]


def bases(
    archive: str, environment: Mapping[str, str], *, root: Path | None = None
) -> tuple[str, ...]:
    """Return the addresses that carry ``archive``, best first, without trailing slashes.

    Args:
        archive: symbolic name, such as ``debian``, ``debian-security`` or ``ubuntu``.
        environment: the person's environment (see the module).
        root: folder below which apt's configuration and lists lie; ``/`` or
            ``GBUILD_APT_ROOT`` when None.
    """
    chosen = environment.get("GBUILD_MIRROR_" + _variable(archive), "").split()
    chosen += config.load(environment).mirrors.get(archive, ())
    where = root or Path(environment.get("GBUILD_APT_ROOT") or "/")
    chosen += [one.base for one in apt_sources(where) if archive_of(one, root=where) == archive]
    return tuple(dict.fromkeys(one.rstrip("/") for one in chosen))


def snapshot_bases(archive: str, date: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return where the distribution's snapshot service has ``archive`` as of ``date``.

    ``date`` is in seconds since the epoch. ``GBUILD_SNAPSHOT_DEBIAN``, ``GBUILD_SNAPSHOT_UBUNTU``
    and the table ``snapshots`` of the configuration replace the service's own address. Forms:
    ``<service>/<archive>/<YYYYMMDDTHHMMSSZ>``, as both services document them.
    """
    service = snapshot_service(archive, environment)
    if service is None:
        return ()
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(date))
    return (f"{service}/{archive}/{stamp}",)


def snapshot_service(archive: str, environment: Mapping[str, str]) -> str | None:
    """Return the address of the snapshot service that keeps ``archive``, None when none does."""
    family = archive.partition("-")[0]
    service = (
        environment.get("GBUILD_SNAPSHOT_" + _variable(family))
        or config.load(environment).snapshots.get(family)
        or _SNAPSHOTS.get(family)
    )
    return None if service is None else service.rstrip("/")


def apt_sources(root: Path) -> tuple[Source, ...]:
    """Read every enabled source of the apt configuration below ``root`` that has suites."""
    folder = root / "etc/apt/sources.list.d"
    found = list(_one_line(_text(root / "etc/apt/sources.list")))
    for path in sorted(folder.iterdir() if folder.is_dir() else ()):
        if _FILE_NAME.match(path.name):
            parse = _one_line if path.suffix == ".list" else _deb822
            found += parse(_text(path))
    return tuple(
        Source(base=base, suites=suites) for uri, suites in found for base in _addresses(uri, root)
    )


def archive_of(source: Source, *, root: Path) -> str | None:
    """Say which archive a source carries, or None when nothing tells."""
    ending = urlsplit(source.base).path.rstrip("/").rpartition("/")[2]
    for suite in source.suites:
        if (said := _said_by_release(source.base, suite, root)) is not None:
            return (ending if (said, ending) == ("ubuntu", "ubuntu-ports") else said) or None
    if ending in ("debian", "debian-security") or not ending:
        secure = all(_SECURITY_SUITE.match(suite) for suite in source.suites)
        return "debian-security" if secure or ending == "debian-security" else ending or None
    return ending if ending in ARCHIVES else None


def _said_by_release(base: str, suite: str, root: Path) -> str | None:
    """Return the archive that the kept Release file names, "" for a stranger's, None without."""
    lists = root / "var/lib/apt/lists"
    stem = _list_name(base) + "_dists_" + suite.replace("/", "_")
    head = _text(lists / f"{stem}_InRelease") or _text(lists / f"{stem}_Release")
    fields = dict(re.findall(r"^(Origin|Label): *(.*?) *$", head[:4096], re.MULTILINE))
    origin = fields.get("Origin")
    if origin in ("Debian", "Debian Backports"):
        return "debian-security" if fields.get("Label") == "Debian-Security" else "debian"
    if origin is None:
        return None
    return {"Debian Ports": "debian-ports", "Ubuntu": "ubuntu"}.get(origin, "")


def _list_name(base: str) -> str:
    """Name apt's list files as apt does: no scheme, no user, ``_`` escaped, ``/`` as ``_``."""
    parts = urlsplit(base)
    host = parts.netloc.rpartition("@")[2]
    return quote(unquote(host + parts.path), safe="/:.~+-").replace("_", "%5f").replace("/", "_")


def _one_line(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line in text.splitlines():
        if match := _LINE.match(line.strip()):
            yield from _with_suites([match[1]], [match[2]])


def _deb822(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields = {
            key.lower(): value.split()
            for key, value in re.findall(r"^([A-Za-z-]+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
        }
        if fields.get("enabled", ["yes"])[:1] != ["no"]:
            yield from _with_suites(fields.get("uris", []), fields.get("suites", []))


def _with_suites(
    uris: Iterable[str], suites: Iterable[str]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Leave out flat repositories (``./``): they are no archive with suites."""
    named = tuple(one for one in suites if not one.endswith("/"))
    return ((uri, named) for uri in uris if named)


def _addresses(uri: str, root: Path) -> Iterator[str]:
    """Translate apt's address forms; those that only apt can follow (cdrom:, tor+) are skipped."""
    scheme, _, rest = uri.partition(":")
    if scheme == "mirror+file":
        listed = _text(root / rest.lstrip("/")) or _text(Path("/" + rest.lstrip("/")))
        for line in listed.splitlines():
            if (words := line.split()) and not words[0].startswith("#"):
                yield from _addresses(words[0], root)
    elif scheme in ("copy", "file"):
        yield "file://" + _slash(rest)
    elif scheme in _SCHEMES and "$(" not in uri and _is_address(uri):
        yield uri.rstrip("/")


def _is_address(uri: str) -> bool:
    try:
        return bool(urlsplit(uri).hostname)
    except ValueError:
        return False


def _slash(path: str) -> str:
    return "/" + path.strip("/")


def _variable(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _text(path: Path) -> str:
    try:
        return os.fsdecode(path.read_bytes())
    except (OSError, ValueError):  # not there, not to be read, or no name of a file
        return ""
