"""What a checkout will hold: one repository and its submodules, each at one commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from gbuild.errors import Unavailable, UsageFailure
from gbuild.host.git import revision as revisions
from gbuild.host.git import submodules
from gbuild.host.git.command import Git
from gbuild.host.git.mirror import Access, Mirror, references
from gbuild.host.store import Store
from gbuild.model.event import Event
from gbuild.model.names import remote_url

_DEEPEST = 16
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One repository of a checkout.

    ``path`` is where it lies below the checkout (empty for the remote itself), ``refs`` the
    references (full names, objects) it will have besides HEAD, ``author_time`` the author date
    of ``commit`` in seconds since the epoch.
    """

    path: str
    mirror: Mirror
    commit: str
    author_time: int
    refs: tuple[tuple[str, str], ...]
    modules: tuple[Module, ...] = ()

    @property
    def identity(self) -> str:
        """A digest of everything that decides what the checkout will be, addresses apart."""
        return hashlib.sha256(json.dumps(self._facts()).encode()).hexdigest()

    def _facts(self) -> list[object]:
        inner = [module._facts() for module in self.modules]  # noqa: SLF001 - its own kind
        return [_FORMAT, self.path, self.commit, self.refs, inner]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Plans checkouts; every mirror is brought up to date once.

    ``fetch`` allows the network. ``tags`` and ``branches`` give the checkout all of the remote's,
    not only the tags in the commit's history. ``urls`` are the person's own addresses, by
    ``<dir>`` or ``<dir>/<path of submodule>``.
    """

    store: Store
    access: Access
    fetch: bool
    tags: bool = False
    branches: bool = False
    urls: Mapping[str, str] = field(default_factory=dict)
    _used: dict[str, Mirror] = field(default_factory=dict)

    def plan(
        self, where: str, url: str, revision: str, *, path: str = "", depth: int = 0
    ) -> Module:
        """Find the commit and its submodules, fetching what is allowed and needed.

        Args:
            where: the remote's dir, with the submodule's path; for messages and ``urls``.
            url: the address, unless the person gave another.
            revision: tag, branch or hash.
            path: where the module lies below the checkout.
            depth: how many modules it lies in.

        Raises:
            Unavailable: the remote, the revision or a submodule's commit cannot be had.
            UsageFailure: the revision is ambiguous, or an address may not be used.
        """
        if depth > _DEEPEST:
            raise UsageFailure(f"{where}: more than {_DEEPEST} submodules within each other")
        mirror = self._mirror(where, url)
        self._obtain(mirror, revision, where)
        with mirror.reading() as git:
            commit = revisions.resolve(git, revision, where=where)
            found, homeless = submodules.submodules(git, commit, where=where)
            refs = self._references(git, commit)
            author_time = int(git.text("log", "-1", "--format=%at", commit, "--"))
        for one in homeless:
            self.access.sink(
                Event("warning", f"{where}: the submodule {one} has no address and stays empty")
            )
        return Module(
            path=path,
            mirror=mirror,
            commit=commit,
            author_time=author_time,
            refs=refs,
            modules=tuple(self._below(where, mirror, one, path, depth) for one in found),
        )

    def forget_damaged(self) -> bool:
        """Remove the mirrors in use whose objects are not all there; say whether there was one."""
        if not self.fetch:
            return False
        damaged = [url for url, mirror in self._used.items() if mirror.discard_if_damaged()]
        for url in damaged:
            del self._used[url]
        return bool(damaged)

    def _below(
        self, where: str, parent: Mirror, one: submodules.Submodule, path: str, depth: int
    ) -> Module:
        inner = f"{where}/{one.path}"
        url = self.urls.get(inner) or submodules.address(
            one, parent.url, parent_local=parent.local, where=inner
        )
        below = f"{path}/{one.path}" if path else one.path
        return self.plan(inner, url, one.commit, path=below, depth=depth + 1)

    def _mirror(self, where: str, url: str) -> Mirror:
        own = self.urls.get(where)
        checked = remote_url(own or url, where=where, local=own is not None)
        local = checked.startswith(("/", "file:"))
        mirror = Mirror(self.store, checked, local=local)
        if self.fetch and checked not in self._used:
            self._update(mirror, where)
        elif not mirror.exists:
            raise Unavailable(
                f"{where}: nothing of {checked} is in the store, and fetching is switched off",
                hint="run once without --offline and --skip-fetch",
            )
        self._used[checked] = mirror
        return mirror

    def _update(self, mirror: Mirror, where: str) -> None:
        try:
            mirror.update(self.access)
        except Unavailable as error:
            raise Unavailable(
                f"{where}: {error.brief}", details=error.details, hint=error.hint
            ) from error

    def _obtain(self, mirror: Mirror, revision: str, where: str) -> None:
        """Ask for a commit that no branch or tag leads to, or a reference elsewhere."""
        if not self.fetch or not revisions.fetched_by_name(revision):
            return
        if revision.startswith(("refs/heads/", "refs/tags/")):
            return
        with mirror.reading() as git:
            if not revision.startswith("refs/") and git.try_text("cat-file", "-t", revision):
                return
        try:
            mirror.fetch_one(revision, self.access)
        except Unavailable as error:
            raise Unavailable(
                f"{where}: the remote does not give {revision}", details=error.details
            ) from error

    def _references(self, git: Git, commit: str) -> tuple[tuple[str, str], ...]:
        everything = references(git) if self.tags or self.branches else {}
        chosen = {
            name: oid
            for name, oid in everything.items()
            if (self.tags if name.startswith("refs/tags/") else self.branches)
        }
        return tuple(sorted({**references(git, merged_into=commit), **chosen}.items()))
