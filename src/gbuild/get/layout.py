"""Whether signed paths can all be put below one folder of this host."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gbuild.errors import UsageFailure
from gbuild.model.names import shown

_LONGEST = 255
_WINDOWS = re.compile(
    r"[<>:\"|?*\x00-\x1f]|[. ]\Z|\A(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|\Z)",
    re.IGNORECASE,
)
"""What a component may not hold on Windows ("Naming Files, Paths, and Namespaces")."""


def windows_refusal(path: str) -> str | None:
    """Say why Windows could not have a file of this path; None when it could."""
    for part in path.split("/"):
        if _WINDOWS.search(part):
            return f"{shown(part)} is no name on Windows"
    return None


def check(paths: Iterable[str]) -> None:
    """Refuse paths that leave the folder, are too long, or stand in each other's way.

    Raises:
        UsageFailure: names the first of them.
    """
    folders: set[str] = set()
    files: set[str] = set()
    for path in paths:
        parts = path.split("/")
        if any(part in {"", ".", ".."} or "\\" in part or "\0" in part for part in parts):
            raise UsageFailure(f"a signed path leaves its folder: {shown(path)}")
        if any(len(part.encode("utf-8", "surrogateescape")) > _LONGEST for part in parts):
            raise UsageFailure(f"a signed path is too long: {shown(path)}")
        files.add(path)
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if both := files & folders:
        raise UsageFailure(f"a signed path is both a file and a folder: {shown(min(both))}")
