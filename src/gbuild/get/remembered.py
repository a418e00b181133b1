"""What was seen of a tree before: read, held against what is there now, and kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import HostFailure, Untrusted, UsageFailure
from gbuild.formats.gget_state import LARGEST, read_state, write_state
from gbuild.host.files import locked, read_small, write_atomically
from gbuild.host.foreign import Refused
from gbuild.model.memory import Memory
from gbuild.model.release_order import is_older, line
from gbuild.model.verdict import Evidence, ReleaseVerdict
from gbuild.verify.checker import Witness
from gbuild.verify.places import of_release
from gbuild.verify.read import read_place

_WAIT = 60.0
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]{0,99}", re.ASCII)


def state_folder(environment: Mapping[str, str]) -> Path:
    """Return where a person's memories lie (``$XDG_STATE_HOME/gbuild/gget``).

    Raises:
        UsageFailure: the person has no home.
    """
    base = environment.get("XDG_STATE_HOME")
    if not base and not environment.get("HOME"):
        raise UsageFailure("neither HOME nor XDG_STATE_HOME says where to remember what was seen")
    return Path(base or f"{environment['HOME']}/.local/state", "gbuild", "gget").absolute()


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The file of one memory."""

    path: Path

    @classmethod
    def of(cls, folder: Path, *, project: str | None, tree: str) -> Store:
        """Choose the file: the project's, else that of the tree under the name it was given.

        Raises:
            UsageFailure: the project's name is none.
        """
        if project is None:
            digest = hashlib.sha256(tree.encode("utf-8", "surrogateescape")).hexdigest()
            return cls(path=folder / f"tree-{digest[:32]}.json")
        if not _PLAIN.fullmatch(project):
            raise UsageFailure(
                f"not a name of a project: {project!r}", hint="letters, digits and _ . + @ -"
            )
        return cls(path=folder / f"project-{project}.json")

    def load(self) -> Memory:
        """Return the memory; empty when there is none yet.

        Raises:
            Damaged: it holds something else.
            HostFailure: it cannot be read.
        """
        try:
            data = read_small(self.path, limit=LARGEST)
        except FileNotFoundError:
            return Memory()
        except OSError as error:
            raise self._failure(error) from error
        return read_state(data, path=str(self.path))

    def add(self, new: Memory) -> None:
        """Add to the memory on the disk, whatever others added meanwhile.

        Raises:
            HostFailure: it cannot be written, so nothing that depends on it may go on.
        """
        try:
            self._add(new)
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> HostFailure:
        return HostFailure(
            f"what was seen cannot be remembered in {self.path.parent}: {error.strerror}",
            hint="make that folder readable and writable, or name another one with XDG_STATE_HOME",
        )

    def _add(self, new: Memory) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.path.with_suffix(".lock")
        with locked(lock, what="the memory of gget", wait=_WAIT):
            old = self.load()
            if (both := merged(old, new)) != old:
                write_atomically(self.path, write_state(both), mode=0o600)


def merged(old: Memory, new: Memory) -> Memory:
    """Put two memories together: the earliest sight, every signature, the newest release."""
    seen = dict(old.seen)
    for digest, moment in new.seen.items():
        seen[digest] = min(moment, seen.get(digest, moment))
    counted = dict(old.counted)
    for release, own in new.counted.items():
        counted[release] = counted.get(release, frozenset()) | own
    newest = dict(old.newest)
    for package, release in new.newest.items():
        if is_older(release, newest.get(package, release)) is not True:
            newest[package] = release
    return Memory(seen=seen, counted=counted, newest=newest)


def witness(memory: Memory, now: int) -> Witness:
    """Make a witness that says when gget first saw a signature."""

    def told(signature: bytes, _stamp: bytes | None) -> Evidence | None:
        moment = memory.seen.get(hashlib.sha256(signature).hexdigest(), now)
        return Evidence(seen=moment, source="gget saw it")

    return told


Entry = tuple[str, str]
"""Folder and package of an entry of a tree."""


def entries(root: Path, release: str) -> Mapping[Entry, str]:
    """Return the sha256 of every signature file of a release, wherever in the tree it lies."""
    return {
        (found.folder, found.name or ""): hashlib.sha256(found.signature).hexdigest()
        for place in of_release(root, release)
        for found in read_place(root, place)
        if found.signature is not None
    }


def learned(
    verdicts: Iterable[ReleaseVerdict],
    there: Mapping[Entry, str],
    *,
    before: Memory,
    now: int,
    trusted: bool,
) -> Memory:
    """Return what a run adds to the memory.

    When a signature was seen is kept if its key is known (so nobody else can fill the memory); what
    must not be missing later, and the newest release, only when all of it was trusted.
    """
    seen: dict[str, int] = {}
    counted: dict[str, frozenset[str]] = {}
    newest: dict[str, str] = {}
    for verdict in verdicts:
        own: set[str] = set()
        for entry in verdict.signers:
            claim = entry.claim
            digest = there.get((claim.place, claim.name))
            if digest and claim.fingerprint:
                seen[digest] = before.seen.get(digest, now)
                own |= {digest} if entry.counted else set()
        if trusted:
            counted[verdict.release] = counted.get(verdict.release, frozenset()) | own
            newest[line(verdict.name)] = verdict.release
    return Memory(seen=seen, counted=counted, newest=newest)


def check_not_older(root: Path, memory: Memory, path: Path) -> None:
    """Refuse a tree that lacks signatures which counted before: an old one served again.

    Raises:
        Untrusted: names the releases.
    """
    gone = [release for release, own in memory.counted.items() if _is_gone(root, release, own)]
    if gone:
        raise Untrusted(
            "signatures that were in this tree before are gone or changed: it may be an old one",
            details=(f"releases: {', '.join(sorted(gone)[:10])}",),
            hint=f"if its keepers say why, forget what was seen: rm {path}",
        )


def _is_gone(root: Path, release: str, own: Iterable[str]) -> bool:
    try:
        return not frozenset(own) <= frozenset(entries(root, release).values())
    except Refused:
        return True


def check_no_downgrade(release: str, packages: Iterable[str], memory: Memory) -> str | None:
    """Refuse a release older than the newest that passed; return a note when nobody can tell.

    Raises:
        Untrusted: it is older.
    """
    note = None
    for package in packages:
        newest = memory.newest.get(line(package))
        if newest is None:
            continue
        older = is_older(release, newest)
        if older:
            raise Untrusted(
                f"{release} is older than {newest}, which was trusted before",
                hint="--allow-older if you want to go back",
            )
        if older is None:
            note = f"nobody can tell from their names whether {release} is newer than {newest}"
    return note
