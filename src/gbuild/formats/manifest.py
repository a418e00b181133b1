"""Manifests: Gitian's lists of ``<sha256>  <path>`` lines, and their order.

Every order here is that of bytes, as ``LC_ALL=C sort`` gives it, so that no host's locale
shows in a report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gbuild.errors import UsageFailure
from gbuild.model.manifest import Entry
from gbuild.model.names import shown

if TYPE_CHECKING:
    from gbuild.model.lock import Environment
    from gbuild.model.plan import Inputs

_LINE = re.compile(r"([0-9a-f]{64})  ([^\x00-\x1f\x7f]+)", re.ASCII)
_GIT = re.compile(r"git:([0-9a-f]{40}(?:[0-9a-f]{24})?) ([A-Za-z0-9_.+-]+?)(?=git:[0-9a-f]{40}|\Z)")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]")


TOOLS = "normalise"
"""The folder under which normalisers are listed: no input file's name has a slash."""


class MalformedManifest(UsageFailure):
    """A manifest's text is not a list of digests and paths."""


def write_manifest(entries: Iterable[Entry]) -> str:
    """Write ``<digest>  <path>`` lines in the order of the paths' bytes; empty for no entry.

    Raises:
        MalformedManifest: a path holds a control character (a line break would forge a line).
    """
    return "".join(_line(entry) for entry in ordered(entries))


def read_manifest(text: str) -> tuple[Entry, ...]:
    """Read ``<sha256>  <path>`` lines in the order they stand.

    Raises:
        MalformedManifest: a line has another shape, or a path occurs twice.
    """
    entries = tuple(_entry(line) for line in text.split("\n") if line)
    seen: set[str] = set()
    for entry in entries:
        if entry.path in seen:
            raise MalformedManifest(f"a manifest names a path twice: {shown(entry.path)}")
        seen.add(entry.path)
    return entries


def ordered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Order entries by the bytes of the path, as every manifest of ours has them.

    For base manifests that is ``sort --key 2`` in the C locale: 1,851 of 2,126 in two projects'
    assertions have this order; Gitian's older targets sorted by another locale.
    """
    return tuple(sorted(entries, key=lambda e: (_bytes(e.path), e.digest)))


def base_manifest(environment: Environment) -> str:
    """Write the base manifest of one locked environment: every package's file name and hash."""
    return "".join(
        _line(entry)
        for entry in ordered(
            Entry(path=package.file_name, digest=package.sha256) for package in environment.packages
        )
    )


def write_in_manifest(name: str, descriptor_sha256: str, inputs: Inputs) -> str:
    """Write the in_manifest exactly as Gitian joined it.

    First the descriptor as ``<name>-desc.yml``, then files, one a line (and, where a descriptor
    asks for them, our normalisers, which decide about the artefacts like any input); then
    ``git:<commit> <dir>`` for every remote, without any separator between two of them and
    without a newline at the end: the signatures of older tools cover that text.
    """
    lines = [Entry(path=f"{name}-desc.yml", digest=descriptor_sha256)]
    lines += [Entry(path=file.name, digest=file.sha256) for file in inputs.files]
    lines += [Entry(path=f"{TOOLS}/{tool.name}", digest=tool.sha256) for tool in inputs.tools]
    remotes = "".join(f"git:{remote.commit} {remote.dir}" for remote in inputs.remotes)
    return "".join(_line(entry) for entry in lines) + remotes


def read_in_manifest(text: str) -> tuple[Entry, ...]:
    """Read an in_manifest; a remote's digest is ``git:<commit>`` and its path the folder.

    Raises:
        MalformedManifest: a line is neither a file nor a run of remotes.
    """
    entries: list[Entry] = []
    for line in text.split("\n"):
        if line.startswith("git:"):
            entries += _remotes(line)
        elif line:
            entries.append(_entry(line))
    return tuple(entries)


def _remotes(line: str) -> list[Entry]:
    found: list[Entry] = []
    position = 0
    while position < len(line):
        match = _GIT.match(line, position)
        if match is None:
            raise MalformedManifest(f"not a list of git commits: {shown(line)}")
        found.append(Entry(path=match[2], digest=f"git:{match[1]}"))
        position = match.end()
    return found


def _entry(line: str) -> Entry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise MalformedManifest(
            f"not a line of a manifest: {shown(line)}",
            details=("expected 64 lower-case hex digits, two spaces and a path",),
        )
    return Entry(path=match[2], digest=match[1])


def _line(entry: Entry) -> str:
    if not entry.path or _CONTROL.search(entry.path):
        raise MalformedManifest(
            f"a file's name cannot stand in a manifest: {shown(entry.path)}",
            hint="have the script give the file a name without control characters",
        )
    return f"{entry.digest}  {entry.path}\n"


def _bytes(path: str) -> bytes:
    return path.encode("utf-8", "surrogatepass")
