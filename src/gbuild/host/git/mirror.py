"""Mirrors of remotes in the store: every branch and tag of one address, shared by workspaces.

Only ``refs/heads/*`` and ``refs/tags/*`` are taken, plus single commits and references that were
asked for by name (kept below ``refs/gbuild/``); nothing a server offers elsewhere, such as
``refs/replace/*``, ever arrives. A mirror gets its name when its first fetch is complete.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gbuild.errors import TimedOut, Unavailable
from gbuild.host.git.command import NETWORK, Git
from gbuild.host.git.watch import watch
from gbuild.host.process import ToolFailed
from gbuild.host.store import Store
from gbuild.host.web import Settings, shown
from gbuild.model.event import Event, Sink, discard

HASH = re.compile(r"[0-9a-f]{40}\Z")
"""A full commit hash."""

_BRANCHES_AND_TAGS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_OPTIONS = (
    "--progress",
    "--force",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
)
_ATTEMPTS = 3
_MANY_PACKS = 40
_ASKS_FOR_AN_ACCOUNT = "could not read Username"
# of git's messages, which are English here
_FINAL_WORDS = (
    _ASKS_FOR_AN_ACCOUNT,
    "not our ref",
    "find remote ref",
    "not found",
    "not exported",
    "Permission denied",
    "Host key verification failed",
    "fsck error",
    "certificate",
    "transport '",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How remotes are reached: proxies, the person's ssh agent, and who is told what happens.

    A fetch that says nothing for ``idle`` seconds is ended; the first pause before another try
    is ``delay`` seconds.
    """

    settings: Settings = field(default_factory=Settings)
    ssh_agent: str | None = None
    sink: Sink = discard
    delay: float = 1.0
    idle: float = 600.0

    def environment(self, url: str, *, local: bool) -> dict[str, str]:
        """Return the environment of a git that talks to ``url``, and to nothing else."""
        chosen = {"GIT_ALLOW_PROTOCOL": "file" if local else NETWORK}
        parts = urlsplit(url)
        proxy = self.settings.proxies.get(parts.scheme)
        if proxy is not None and not self.settings.is_direct(parts.hostname or ""):
            chosen[f"{parts.scheme}_proxy"] = proxy
        if self.ssh_agent is not None and parts.scheme not in ("http", "https", "git", "file"):
            chosen["SSH_AUTH_SOCK"] = self.ssh_agent
        return chosen


class Mirror:
    """The mirror of one address.

    Args:
        store: where it lies.
        url: the address, checked by :func:`gbuild.model.names.remote_url`.
        local: the person gave a folder of this host; nothing else may be read from there.
    """

    def __init__(self, store: Store, url: str, *, local: bool) -> None:
        key = hashlib.sha256(url.encode()).hexdigest()
        self.url = url
        self.local = local
        self.path = store.root / "git" / f"{key}.git"
        self._store = store
        self._lock = f"git-{key}"

    @property
    def exists(self) -> bool:
        """Whether a complete mirror is in the store."""
        return (self.path / "HEAD").is_file()

    @contextmanager
    def reading(self) -> Iterator[Git]:
        """Hold the mirror still and give git on it."""
        with self._store.lock(self._lock, shared=True) as lock:
            with suppress(OSError):
                os.utime(self.path)  # used now: see gbuild.image.downloads
            yield Git(git_dir=self.path, keep=(lock.fileno(),))

    def discard_if_damaged(self) -> bool:
        """Remove a mirror whose objects are not all there (slow); say whether it was removed."""
        with self._store.lock(self._lock) as lock:
            git = Git(git_dir=self.path, keep=(lock.fileno(),))
            check = ("fsck", "--connectivity-only", "--no-dangling", "--no-progress")
            if self.exists and git.run(*check, check=False).returncode == 0:
                return False
            shutil.rmtree(self.path, ignore_errors=True)
            return True

    def update(self, access: Access) -> None:
        """Bring every branch and tag up to date, or make the mirror.

        Raises:
            Unavailable: the remote does not answer or is no repository.
        """
        access.sink(Event("info", f"fetching {shown(self.url)}"))
        with self._store.lock(self._lock) as lock:
            keep = (lock.fileno(),)
            if self.exists and self._usable(keep):
                self._fetch(self.path, access, keep, "--prune", *_BRANCHES_AND_TAGS)
                self._tidy(keep)
            else:
                self._make(access, keep)

    def fetch_one(self, name: str, access: Access) -> None:
        """Fetch one commit by its full hash, or one reference by its full name.

        Raises:
            Unavailable: the remote does not give it.
        """
        access.sink(Event("info", f"fetching {name} from {shown(self.url)}"))
        with self._store.lock(self._lock) as lock:
            self._fetch(self.path, access, (lock.fileno(),), f"+{name}:{kept_as(name)}")

    def _usable(self, keep: tuple[int, ...]) -> bool:
        """Clear what a killed git left behind; a damaged mirror is removed."""
        for stale in (*self.path.rglob("*.lock"), *self.path.glob("objects/**/tmp_*")):
            stale.unlink()
        git = Git(git_dir=self.path, keep=keep)
        # every reference must lead to an object that can be read
        if git.run("for-each-ref", "--format=%(objectname) %(tree)", check=False).returncode == 0:
            return True
        shutil.rmtree(self.path)
        return False

    def _tidy(self, keep: tuple[int, ...]) -> None:
        """Make one pack of many: every fetch brings one, and git slows down with them."""
        if sum(1 for _ in self.path.glob("objects/pack/*.pack")) > _MANY_PACKS:
            Git(git_dir=self.path, keep=keep).run("repack", "-a", "-d", "--quiet")

    def _make(self, access: Access, keep: tuple[int, ...]) -> None:
        new = self._store.root / "tmp" / self._lock
        shutil.rmtree(new, ignore_errors=True)  # of a killed run: the lock is ours
        new.mkdir()
        try:
            Git(git_dir=new, keep=keep).run(
                "init", "--quiet", "--bare", "--template=", "--initial-branch=main"
            )
            self._fetch(new, access, keep, *_BRANCHES_AND_TAGS)
            shutil.rmtree(self.path, ignore_errors=True)
            new.rename(self.path)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _fetch(self, where: Path, access: Access, keep: tuple[int, ...], *what: str) -> None:
        options = [word for word in what if word.startswith("--")]
        refspecs = [word for word in what if not word.startswith("--")]
        git = Git(git_dir=where, keep=keep, env=access.environment(self.url, local=self.local))
        words = ("fetch", *_OPTIONS, *options, "--", self.url, *refspecs)
        for attempt in range(_ATTEMPTS):
            try:
                watch(git, words, item=shown(self.url), sink=access.sink, idle=access.idle)
            except TimedOut as error:
                raise Unavailable(
                    f"cannot fetch from {shown(self.url)}", details=(error.brief,)
                ) from error
            except ToolFailed as error:
                if self.local or _is_final(error) or attempt + 1 == _ATTEMPTS:
                    raise self._unavailable(error) from error
                time.sleep(access.delay * 2**attempt)
            else:
                return

    def _unavailable(self, error: ToolFailed) -> Unavailable:
        secret = any(_ASKS_FOR_AN_ACCOUNT in line for line in error.details)
        return Unavailable(
            f"cannot fetch from {shown(self.url)}",
            details=error.details[1:],
            hint="it is private or not there: try an ssh address, or a clone of yours, with --url"
            if secret
            else None,
        )


def _is_final(error: ToolFailed) -> bool:
    """Say whether the remote answered, and trying again would only bring the same answer."""
    return any(word in line for line in error.details[1:] for word in _FINAL_WORDS)


def kept_as(name: str) -> str:
    """Return the reference under which a single fetched commit or reference is kept."""
    return f"refs/gbuild/{name}"


def references(git: Git, *, merged_into: str | None = None) -> Mapping[str, str]:
    """Return the branches and tags (full names) and the objects they name.

    With ``merged_into``, only the tags of commits in that commit's history.
    """
    words = ["for-each-ref", "--format=%(objectname) %(refname)"]
    words += (
        [f"--merged={merged_into}", "refs/tags"] if merged_into else ["refs/heads", "refs/tags"]
    )
    lines = git.text(*words).splitlines()
    return {name: oid for oid, _, name in (line.partition(" ") for line in lines)}
