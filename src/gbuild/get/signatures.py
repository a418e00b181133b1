"""The tree of signatures: a folder, a commit of a repository, or an archive from the web.

git is never run inside of a tree: at a commit its files are read from the objects. An archive is
unpacked into a folder of its own that is gone afterwards.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.web import Settings, shown
from gbuild.model.event import Event, Sink

MAX_ARCHIVE = 256 << 20
_ARCHIVES = (".tar.gz", ".tgz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree that can be read: where it lies now, what it is called for good.

    ``remote`` says that it came over the network, so that nothing in it may say whom to trust,
    ``whole`` that it has every release (a package has one).
    """

    root: Path
    name: str
    remote: bool
    whole: bool = True


@contextmanager
def tree_of(
    text: str, *, release: str, commit: str | None, settings: Settings, sink: Sink
) -> Iterator[Tree]:
    """Open what the person named as the tree of signatures.

    Raises:
        UsageFailure: it is nothing that can be read, or has no such commit.
        Unavailable: an archive could not be fetched.
    """
    if "://" not in text and Path(text).is_dir():
        folder = Path(text).resolve()
        if commit is None:
            yield Tree(root=folder, name=str(folder), remote=False)
            return
        with _unpacking() as dest:
            _at_commit(folder, commit, dest, sink)
            yield Tree(root=dest, name=str(folder), remote=False)
        return
    if commit is not None:
        raise UsageFailure("--commit is for a git repository in a folder of this host")
    with _unpacking() as dest:
        tree = _archive(text, dest, settings, sink)
        yield replace(tree, root=_top(dest, release))


@contextmanager
def _unpacking() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gbuild-sigs-") as folder:
        yield Path(folder)


def _at_commit(folder: Path, commit: str, dest: Path, sink: Sink) -> None:
    from gbuild.host.git import objects

    git = objects.repository(folder)
    found = objects.commit_id(git, commit)
    left_out = objects.write(git, objects.files(git, found), dest)
    for path in left_out[:5]:
        sink(Event("warning", f"{path}: no plain file, not read"))
    sink(Event("info", f"signatures as of commit {found}"))


def _archive(text: str, dest: Path, settings: Settings, sink: Sink) -> Tree:
    remote = text.startswith(("http://", "https://"))
    name = shown(text) if remote else str(Path(text).absolute())
    if not name.partition("?")[0].endswith(_ARCHIVES):
        raise UsageFailure(
            f"{name} is no tree of signatures",
            hint="a folder, or a .tar.gz of one; a repository is cloned first: git clone ADDRESS",
        )
    from gbuild.host.tarball import unpack

    if remote:
        from gbuild.host.fetch import fetch_bytes

        limits = replace(settings, same_scheme=True)
        what = "the tree of signatures"
        _, data = fetch_bytes([text], name=what, limit=MAX_ARCHIVE, sink=sink, settings=limits)
    elif Path(text).is_file():
        from gbuild.host.files import read_small

        data = read_small(Path(text), limit=MAX_ARCHIVE)
    else:
        raise UsageFailure(f"there is no folder and no file {text}")
    unpack(data, dest, what=name)
    return Tree(root=dest, name=name, remote=remote)


def _top(dest: Path, release: str) -> Path:
    """Return the folder that holds the tree: archives often have one above it."""
    children = list(dest.iterdir())
    if len(children) == 1 and children[0].is_dir() and children[0].name != release:
        return children[0]
    return dest
