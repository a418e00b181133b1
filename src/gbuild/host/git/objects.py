"""Read a repository by its objects: commits, differences, files. Nothing is checked out.

The repository is one that the person named; its configuration can say nothing that matters here:
raw differences and blobs go through no filter, attribute or program. Names and sizes are foreign
text and are checked before they become files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gbuild.errors import UsageFailure
from gbuild.host.git.command import Git

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_RAW = re.compile(
    rb":(?P<old_mode>[0-7]{6}) (?P<new_mode>[0-7]{6})"
    rb" (?P<old>[0-9a-f]{40,64}) (?P<new>[0-9a-f]{40,64}) (?P<letter>[A-Z])[0-9]*"
)
_STATUS: dict[bytes, Literal["added", "changed", "removed"]] = {b"A": "added", b"D": "removed"}
REGULAR = 0o100644
"""The mode of a plain file; git knows no other that a signature or a key may have."""

MAX_FILES = 100_000
MAX_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One path that differs between two commits; ``mode`` and ``blob`` are those of the second.

    ``path`` keeps undecodable bytes as surrogates. ``before`` is the blob of the first commit.
    """

    path: str
    status: Literal["added", "changed", "removed"]
    mode: int
    blob: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """One file of a commit; ``size`` is in bytes."""

    path: str
    mode: int
    blob: str
    size: int


def repository(folder: Path) -> Git:
    """Open the repository whose work tree, or whose git directory, is ``folder``.

    Raises:
        UsageFailure: there is none.
    """
    inner = folder / ".git"
    if inner.is_file():  # a linked work tree, or a submodule
        words = inner.read_text(errors="surrogateescape").strip()
        inner = folder / words.removeprefix("gitdir: ")
    for place in (inner, folder):
        if (place / "HEAD").is_file() and ((place / "objects").is_dir() or inner.is_dir()):
            return Git(git_dir=place.resolve())
    raise UsageFailure(f"{folder} is not a git repository")


def is_id(text: str) -> bool:
    """Say whether a text is the whole id of an object."""
    return _ID.fullmatch(text) is not None


def commit_id(git: Git, revision: str) -> str:
    """Return the commit that a revision names.

    Raises:
        UsageFailure: it names none.
    """
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    found = git.try_text(*words)
    if found is None or not _ID.fullmatch(found):
        raise UsageFailure(f"{revision!r} is no commit of {git.git_dir}")
    return found


def merge_base(git: Git, one: str, other: str) -> str:
    """Return the commit from which two histories part.

    Raises:
        UsageFailure: they have none in common.
    """
    found = git.try_text("merge-base", one, other)
    if not found:
        raise UsageFailure(
            f"{one[:12]} and {other[:12]} have no history in common",
            hint="fetch the whole history (a shallow clone lacks it)",
        )
    return found


def changes(git: Git, before: str, after: str) -> tuple[Change, ...]:
    """Return every path that differs between two commits, in git's order; no renames.

    Raises:
        UsageFailure: more differ than any honest change has.
    """
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--abbrev=64")
    fields = git.run(*words, before, after).stdout.split(b"\0")
    if len(fields) // 2 > MAX_FILES:
        raise UsageFailure(f"more than {MAX_FILES} files changed")
    return tuple(_change(fields[n], fields[n + 1]) for n in range(0, len(fields) - 1, 2))


def _change(raw: bytes, path: bytes) -> Change:
    match = _RAW.fullmatch(raw)
    if match is None:
        raise UsageFailure("git told a difference that cannot be read", details=(repr(raw),))
    return Change(
        path=path.decode("utf-8", "surrogateescape"),
        status=_STATUS.get(match["letter"], "changed"),
        mode=int(match["new_mode"], 8),
        blob=match["new"].decode(),
        before=match["old"].decode(),
    )


def changed_blobs(
    git: Git, pairs: Iterable[tuple[str, str]], *, seconds: float
) -> Iterator[tuple[str, str, str]]:
    """Yield (commit, path, blob) of every file that a commit has and another had otherwise.

    Args:
        git: the repository.
        pairs: a commit and what it is compared with; nothing when that is empty.
        seconds: how long git may take.
    """
    order = "".join(f"{one} {other}".rstrip() + "\n" for one, other in pairs).encode()
    words = ("diff-tree", "--stdin", "-r", "-z", "--root", "--raw", "--no-renames")
    more = ("--no-ext-diff", "--abbrev=64", "--diff-filter=AMT")
    commit = ""
    fields = iter(git.run(*words, *more, stdin=order, timeout=seconds).stdout.split(b"\0"))
    for field in fields:
        if not field.startswith(b":"):
            commit = field.decode()
            continue
        change = _change(field, next(fields))
        yield commit, change.path, change.blob


def files(git: Git, commit: str, *below: str) -> tuple[TreeFile, ...]:
    """List the files of a commit, or those below the given folders.

    Raises:
        UsageFailure: there are more than any honest tree has.
    """
    words = ("--literal-pathspecs", "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
    lines = git.run(*words, *(("--", *below) if below else ())).stdout.split(b"\0")
    if len(lines) > MAX_FILES:
        raise UsageFailure(f"the tree has more than {MAX_FILES} files")
    return tuple(_tree_file(line) for line in lines if line)


def _tree_file(line: bytes) -> TreeFile:
    head, _, path = line.partition(b"\t")
    mode, _kind, blob, size = head.split()
    return TreeFile(
        path=path.decode("utf-8", "surrogateescape"),
        mode=int(mode, 8),
        blob=blob.decode(),
        size=int(size) if size.isdigit() else 0,
    )


def contents(git: Git, wanted: Sequence[TreeFile]) -> Iterator[tuple[TreeFile, bytes]]:
    """Yield the bytes of files, all of them read by one git.

    Raises:
        UsageFailure: they are larger than any honest ones together.
    """
    if sum(file.size for file in wanted) > MAX_BYTES:
        raise UsageFailure(f"the files have more than {MAX_BYTES >> 20} MiB")
    if not wanted:
        return
    order = "".join(f"{file.blob}\n" for file in wanted).encode()
    data = git.run("cat-file", "--batch", stdin=order).stdout
    place = 0
    for file in wanted:
        end = data.index(b"\n", place)
        blob, kind, size = data[place:end].split()
        if (blob.decode(), kind, int(size)) != (file.blob, b"blob", file.size):
            raise UsageFailure(f"git does not hold {file.blob} as the tree says")
        yield file, data[end + 1 : end + 1 + file.size]
        place = end + 2 + file.size


def write(git: Git, wanted: Sequence[TreeFile], dest: Path) -> tuple[str, ...]:
    """Write the plain files among ``wanted`` below an empty folder; return the paths left out.

    Left out is what is no plain file (a link, a submodule, something executable) and what has a
    name that no file of ours may have.
    """
    plain = [file for file in wanted if file.mode == REGULAR and _harmless(file.path)]
    for file, data in contents(git, plain):
        path = dest / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as stream:
            stream.write(data)
    return tuple(file.path for file in wanted if file not in plain)


def _harmless(path: str) -> bool:
    """Say whether a path stays below its folder and is text that can be shown."""
    parts = path.split("/")
    ordinary = all(part not in {"", ".", ".."} and part.lower() != ".git" for part in parts)
    return ordinary and path.isprintable() and "\\" not in path
