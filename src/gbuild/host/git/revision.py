"""From what a person writes (tag, branch, hash, abbreviation) to one commit."""

from __future__ import annotations

import re

from gbuild.errors import Unavailable, UsageFailure
from gbuild.host.git.command import Git
from gbuild.host.git.mirror import HASH, kept_as, references

_PREFIX = re.compile(r"[0-9a-f]{4,39}\Z")
_SUFFIX = re.compile(r"[~^][0-9~^]*\Z")


def fetched_by_name(revision: str) -> bool:
    """Say whether a remote can be asked for this revision alone: a full hash or ``refs/...``."""
    return bool(HASH.match(revision)) or (
        revision.startswith("refs/") and not revision.startswith(("refs/replace/", "refs/gbuild/"))
    )


def resolve(git: Git, revision: str, *, where: str) -> str:
    """Return the full hash of the commit that ``revision`` names in a mirror.

    In this order: a full hash; a full reference name; a tag or a branch; an abbreviated hash. A
    suffix such as ``~1`` or ``^2`` walks to an ancestor.

    Raises:
        UsageFailure: a tag and a branch have this name and differ, or several commits begin so.
        Unavailable: nothing has this name; names the nearest ones.
    """
    if suffix := _SUFFIX.search(revision):
        base = resolve(git, revision[: suffix.start()], where=where)
        return _commit(git, base + suffix[0]) or _not_there(git, revision, where)
    if fetched_by_name(revision):
        found = _commit(git, revision) or _commit(git, kept_as(revision))
        return found or _not_there(git, revision, where)
    return (
        _named(git, revision, where)
        or _abbreviated(git, revision, where)
        or _not_there(git, revision, where)
    )


def _commit(git: Git, name: str) -> str | None:
    return git.try_text(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )


def _named(git: Git, revision: str, where: str) -> str | None:
    short = revision.removeprefix("origin/")
    names = {
        "tag": f"refs/tags/{revision}",
        "branch": f"refs/heads/{short}",
        "reference": f"refs/{revision}",
    }
    if not revision.startswith(("tags/", "heads/")):
        del names["reference"]
    found = {kind: commit for kind, name in names.items() if (commit := _commit(git, name))}
    if len(set(found.values())) > 1:
        raise UsageFailure(
            f"{where}: {revision} is a tag and a branch, at different commits",
            details=tuple(f"{names[kind]} is {commit}" for kind, commit in found.items()),
            hint=f"write which one, for instance refs/tags/{revision}",
        )
    return next(iter(found.values()), None)


def _abbreviated(git: Git, revision: str, where: str) -> str | None:
    if not _PREFIX.match(revision):
        return None
    listed = git.text("rev-parse", f"--disambiguate={revision}").split()
    commits = sorted({commit for oid in listed if (commit := _commit(git, oid))})
    if len(commits) > 1:
        raise UsageFailure(
            f"{where}: {revision} is the beginning of {len(commits)} commits",
            details=tuple(commits),
            hint="write the full hash",
        )
    return next(iter(commits), None)


def _not_there(git: Git, revision: str, where: str) -> str:
    import difflib  # only a mistake needs it

    names = [name.split("/", 2)[2] for name in references(git)]
    near = difflib.get_close_matches(revision, names, n=3)
    raise Unavailable(
        f"{where}: the remote has no {revision}",
        details=(f"nearest names: {', '.join(near)}",) if near else (),
        hint="give a tag, a branch or a full hash with --commit",
    )
