"""Submodules of a commit: what .gitmodules says and what the tree pins (gitmodules(5)).

Only ``path`` and ``url`` are read. ``update``, ``branch`` and everything else that could run or
choose something is not looked at: the commit in the tree decides.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

from gbuild.errors import Unavailable, UsageFailure
from gbuild.host.git.command import Git
from gbuild.model.names import remote_refusal

_GITLINK = "160000"
_HOST = re.compile(r"[a-z]+://[^/]+/|[^/:]+:")
_REGULAR = ("100644", "100755")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A submodule: its path in the tree, the pinned commit, and the address as written."""

    path: str
    commit: str
    url: str


def submodules(
    git: Git, commit: str, *, where: str
) -> tuple[tuple[Submodule, ...], tuple[str, ...]]:
    """Return a commit's submodules in path order, and the paths of gitlinks without an address.

    Raises:
        UsageFailure: .gitmodules is no regular file, or cannot be parsed.
    """
    links, listing = _entries(git, commit)
    if not links:
        return (), ()
    if listing is None:
        return (), tuple(sorted(links))
    mode, oid = listing
    if mode not in _REGULAR:
        raise UsageFailure(f"{where}: .gitmodules is not a regular file")
    urls = _addresses(git, oid, where)
    known = tuple(
        Submodule(path=path, commit=links[path], url=urls[path])
        for path in sorted(links)
        if path in urls
    )
    return known, tuple(sorted(links.keys() - urls.keys()))


def _entries(git: Git, commit: str) -> tuple[dict[str, str], tuple[str, str] | None]:
    """Return path -> commit of every gitlink, and (mode, blob) of .gitmodules at the top."""
    links: dict[str, str] = {}
    listing = None
    for line in git.text("ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        head, _, path = line.partition("\t")
        mode, _, rest = head.partition(" ")
        if mode == _GITLINK:
            links[path] = rest.rpartition(" ")[2]
        elif path == ".gitmodules":
            listing = (mode, rest.rpartition(" ")[2])
    return links, listing


def _addresses(git: Git, blob: str, where: str) -> dict[str, str]:
    listed = git.try_text("config", f"--blob={blob}", "--null", "--list")
    if listed is None:
        raise UsageFailure(f"{where}: .gitmodules cannot be parsed")
    sections: dict[str, dict[str, str]] = defaultdict(dict)
    for entry in listed.split("\0"):
        key, _, value = entry.partition("\n")
        if key.startswith("submodule."):
            name, _, field = key.removeprefix("submodule.").rpartition(".")
            sections[name][field] = value
    return {s["path"]: s["url"] for s in sections.values() if "path" in s and "url" in s}


def address(submodule: Submodule, parent: str, *, parent_local: bool, where: str) -> str:
    """Return the address to fetch a submodule from; ``./`` and ``../`` start at the parent's.

    Raises:
        UsageFailure: it is not an address a repository may name (``file:``, ``ext::``, a folder of
            this host, an option), or is relative to a folder of this host.
    """
    url = submodule.url
    hint = f"give an address of your own with --url {where}=URL"
    if url.startswith(("./", "../")):
        if parent_local:
            raise Unavailable(
                f"{where}: the submodule's address is relative to a folder of this host: {url}",
                hint=hint,
            )
        url = _relative(parent, url) or url
    if reason := remote_refusal(url):
        raise UsageFailure(f"{where}: {reason}", hint=hint)
    return url


def _relative(parent: str, url: str) -> str | None:
    """Walk up from the parent's path, as git-submodule(1) says, but never out of its host."""
    match = _HOST.match(parent)
    if match is None:
        return None
    folders = parent[match.end() :].strip("/").split("/")
    while url.startswith("."):
        step, _, url = url.partition("/")
        if step == "..":
            if not folders:
                return None
            folders.pop()
        elif step != ".":
            return None
    return match[0] + "/".join([*folders, url])
