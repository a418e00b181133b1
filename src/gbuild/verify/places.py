"""Where the releases of a tree lie: its folders, found by what is in them.

Accepted are ``<release>/<signer>/`` and any of these above it, up to four folders deep:
``archive/``, ``<package>/``, both. Files of sums may lie in the release's folder itself.
A signer's folder inside a folder of the same name (one real tree has it) is read as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gbuild.host.foreign import Folder, Kind, Refused, opened
from gbuild.model import sigs_layout
from gbuild.model.sigs_entries import is_entry_file

MAX_FOLDERS = 200_000
MAX_NAMES = 20_000
_DEEPEST = 4
_ARCHIVES = frozenset({"archive", "archives", "old"})
"""Folders whose children are releases, whatever they hold."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A release's folder: the names from the tree to it."""

    folders: tuple[str, ...]

    @property
    def release(self) -> str:
        """The release: the folder's own name."""
        return self.folders[-1]

    @property
    def path(self) -> str:
        """The folder below the tree, with slashes."""
        return "/".join(self.folders)


def places(root: Path) -> tuple[Place, ...]:
    """Find every release of a tree, sorted.

    A folder at the top with nothing in it is a release that nobody signed; links, and folders
    that hold other things, are none.

    Raises:
        Refused: the tree cannot be read, or has more folders than any honest one.
    """
    with opened(root) as tree:
        walk = _Walk()
        walk.visit(tree, ())
    return tuple(sorted({_place(folders) for folders in walk.leaves} | walk.empty))


def of_release(root: Path, release: str) -> tuple[Place, ...]:
    """Find the folders of one release: a path below the tree, or a name at any depth.

    Raises:
        Refused: the tree cannot be read.
    """
    direct = tuple(release.split("/"))
    found = {Place(direct)} if _is_there(root, direct) else set[Place]()
    if len(direct) == 1:
        with opened(root) as tree:
            found |= {place for place in _above(tree, release, ()) if _has_entries(root, place)}
    return tuple(sorted(found))


def releases(root: Path) -> tuple[str, ...]:
    """List the names of a tree's releases, sorted."""
    return tuple(sorted({place.release for place in places(root)}))


class _Walk:
    """Collects the folders that hold entries, and the empty ones at the top."""

    def __init__(self) -> None:
        self.leaves: set[tuple[str, ...]] = set()
        self.empty: set[Place] = set()
        self._visited = 0

    def visit(self, folder: Folder, here: tuple[str, ...]) -> bool:
        """Look into a folder; say whether there is anything in it."""
        self._visited += 1
        if self._visited > MAX_FOLDERS:
            raise Refused(f"the tree has more than {MAX_FOLDERS} folders")
        children = folder.children(limit=MAX_NAMES)
        if here and any(is_entry_file(name) for name in children):
            self.leaves.add(here)
        filled = False
        for name, kind in children.items():
            filled |= self._child(folder, name, kind, here)
        return filled

    def _child(self, folder: Folder, name: str, kind: Kind, here: tuple[str, ...]) -> bool:
        if kind is Kind.LINK and _may_hide_folder(name, here):
            self.leaves.add((*here, name, ""))
        if kind is not Kind.FOLDER or len(here) == _DEEPEST or not _may_be_release(name, here):
            return True
        try:
            with folder.enter(name) as child:
                filled = self.visit(child, (*here, name))
        except Refused:
            self.leaves.add((*here, name, ""))
            return True
        if not filled and not here:
            self.empty.add(Place((name,)))
        return filled


def _may_be_release(name: str, here: tuple[str, ...]) -> bool:
    return not name.startswith(".") and (bool(here) or name not in sigs_layout.KEY_FOLDERS)


def _may_hide_folder(name: str, here: tuple[str, ...]) -> bool:
    """Say whether a link stands where a signer's folder would."""
    depth = len(here) - (here[:1] != () and here[0] in _ARCHIVES)
    return depth == 1 and _may_be_release(name, here) and not is_entry_file(name)


def _place(leaf: tuple[str, ...]) -> Place:
    """Return the release's folder for one that holds entries."""
    if leaf[-1] == "":  # a link, or a folder that cannot be read: a release, or a signer in one
        return Place(leaf[:-1] if len(leaf) == 2 or leaf[-3] in _ARCHIVES else leaf[:-2])
    if len(leaf) == 1 or leaf[-2] in _ARCHIVES:
        return Place(leaf)
    if len(leaf) > 2 and leaf[-1].casefold() == leaf[-2].casefold():
        return Place(leaf[:-2])
    return Place(leaf[:-1])


def _is_there(root: Path, folders: tuple[str, ...]) -> bool:
    path = root.joinpath(*folders)
    return ".." not in folders and (path.is_dir() or path.is_symlink())


def _above(folder: Folder, release: str, here: tuple[str, ...]) -> Iterator[Place]:
    """Yield folders of that name below a package's folder, an archive's, or both."""
    for name, kind in folder.children(limit=MAX_NAMES).items():
        if kind is not Kind.FOLDER or not _may_be_release(name, here):
            continue
        if name == release and here:
            yield Place((*here, name))
        elif not here or (len(here) == 1 and here[0] in _ARCHIVES):
            with folder.enter(name) as child:
                yield from _above(child, release, (*here, name))


def _has_entries(root: Path, place: Place) -> bool:
    """Say whether signers' folders, or sums, lie in a folder (else it is a signer's own)."""
    with opened(root.joinpath(*place.folders)) as folder:
        walk = _Walk()
        walk.visit(folder, place.folders)
    return any(_place(leaf) == place for leaf in walk.leaves)
