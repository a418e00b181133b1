"""SHA256SUMS files as sha256sum writes them, in its text, binary and tagged (BSD) form.

Source: GNU coreutils' manual, "cksum output modes". A name that sha256sum escapes (a backslash at
the line's start) holds a newline or a backslash and is refused: no honest artefact has one.
"""

from __future__ import annotations

import re

from gbuild.formats.manifest import MalformedManifest
from gbuild.model.manifest import Entry
from gbuild.model.names import shown

_PLAIN = re.compile(r"(?P<digest>[0-9A-Fa-f]{64}) [ *](?P<path>[^\x00-\x1f\x7f]+)", re.ASCII)
_TAGGED = re.compile(
    r"SHA256 \((?P<path>[^\x00-\x1f\x7f]+)\) = (?P<digest>[0-9A-Fa-f]{64})", re.ASCII
)
_MOST = 100_000
"""Lines; the longest real file of a release has 60."""


def read_sums(data: bytes) -> tuple[Entry, ...]:
    """Read the lines in the order they stand; digests are returned in lower case.

    Raises:
        MalformedManifest: the bytes are no UTF-8, a line has another shape, a name occurs twice,
            or there is no line at all.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedManifest("a list of sums that is not UTF-8") from error
    lines = [line for line in text.split("\n") if line]
    if not lines or len(lines) > _MOST:
        raise MalformedManifest(f"a list of sums with {len(lines)} lines")
    entries: dict[str, Entry] = {}
    for line in lines:
        entry = _entry(line.removesuffix("\r"))
        if entries.setdefault(entry.path, entry) is not entry:
            raise MalformedManifest(f"a list of sums names a file twice: {shown(entry.path)}")
    return tuple(entries.values())


def _entry(line: str) -> Entry:
    match = _PLAIN.fullmatch(line) or _TAGGED.fullmatch(line)
    if match is None:
        raise MalformedManifest(
            f"not a line of sha256sum: {shown(line)}",
            details=("expected 64 hex digits, a space, a space or *, and a name",),
        )
    return Entry(path=match["path"], digest=match["digest"].lower())
