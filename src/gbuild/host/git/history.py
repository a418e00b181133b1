"""When a repository first had a file, by the commits of its main line.

The main line is the chain of first parents: what was merged counts from its merge on, whatever
dates the merged commits carry. A commit is as old as the oldest of those before it allows: one
that claims to be older than its parent is taken to be as old as its parent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.git.command import Git
from gbuild.host.git.objects import changed_blobs, is_id, repository

MAX_COMMITS = 200_000
_SECONDS = 120.0
_LAST = 253_402_300_799
"""The last second of the year 9999: git takes later ones, calendars do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The commit that first had a file, and its moment in seconds since the epoch."""

    commit: str
    moment: int


def pinned(folder: Path, commit: str) -> Git:
    """Open a repository that holds a commit; only its whole id names one, for good.

    Raises:
        UsageFailure: that is no id, no repository, or a repository without the commit.
    """
    if not is_id(commit):
        raise UsageFailure(
            f"{commit!r} is no whole id of a commit: a branch, a tag or a short id can move",
            hint=f"git -C {folder} rev-parse REVISION prints it",
        )
    git = repository(folder)
    kind = git.try_text("cat-file", "-t", commit)
    if kind != "commit":
        raise UsageFailure(f"{folder} has no commit {commit}")
    return git


def first_seen(git: Git, commit: str, wanted: Callable[[str], bool]) -> dict[str, Seen]:
    """Return when the history of a commit first had every blob whose path is wanted.

    Raises:
        UsageFailure: the history is longer than any honest one.
        TimedOut: git took longer than two minutes.
    """
    line = _main_line(git, commit)
    moments = dict(line)
    ids = [each for each, _ in line]
    pairs = [(each, before) for before, each in zip(["", *ids], ids, strict=False)]
    found: dict[str, Seen] = {}
    for owner, path, blob in changed_blobs(git, pairs, seconds=_SECONDS):
        if wanted(path):
            found.setdefault(blob, Seen(commit=owner, moment=moments[owner]))
    return found


def _main_line(git: Git, commit: str) -> list[tuple[str, int]]:
    """Return the ids of the main line, oldest first, each with the moment it has at the least."""
    words = ("rev-list", "--first-parent", "--timestamp", f"--max-count={MAX_COMMITS + 1}")
    lines = git.text(*words, commit).split("\n")
    if len(lines) > MAX_COMMITS:
        raise UsageFailure(f"{git.git_dir} has a history of more than {MAX_COMMITS} commits")
    return list(_not_before_parents(reversed(lines)))


def _not_before_parents(lines: Iterator[str]) -> Iterator[tuple[str, int]]:
    latest = 0
    for line in lines:
        stamp, _, commit = line.partition(" ")
        latest = min(max(latest, int(stamp)), _LAST)
        yield commit, latest
