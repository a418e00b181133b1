"""Which public keys a verification may use: key files of a folder, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.foreign import Folder, Refused, opened
from gbuild.model import sigs_layout

MAX_KEY_FILE = 1 << 20
MAX_KEY_FILES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """The bytes of one public key file; ``label`` is its path for messages."""

    label: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Key files with where they came from, and one line for every file that was refused."""

    folders: tuple[str, ...] = ()
    files: tuple[KeyFile, ...] = ()
    problems: tuple[str, ...] = ()


def from_folders(folders: Sequence[Path]) -> KeySource:
    """Read the key files of folders that the person named.

    Raises:
        UsageFailure: a folder does not exist or has no key file.
    """
    read = [_folder(folder) for folder in folders]
    for source in read:
        if not source.files:
            suffixes = ", ".join(sigs_layout.KEY_SUFFIXES)
            raise UsageFailure(
                f"no key file in {source.folders[0]}",
                details=source.problems,
                hint=f"key files end in {suffixes}",
            )
    return joined(read)


def from_tree(root: Path) -> KeySource:
    """Read the key folders that a tree keeps beside its releases, those that exist."""
    folders = sigs_layout.key_folders(root)
    return joined(
        [
            _folder(folder)
            for folder in folders
            if folder.parent.is_dir() and (folder.is_dir() or folder.is_symlink())
        ]
    )


def from_bytes(label: str, data: bytes) -> KeySource:
    """Make a source of one exported keyring; none when it is empty."""
    return KeySource(folders=(label,), files=(KeyFile(label=label, data=data),) if data else ())


def joined(sources: Sequence[KeySource]) -> KeySource:
    """Put several sources together, in order."""
    return KeySource(
        folders=tuple(folder for source in sources for folder in source.folders),
        files=tuple(file for source in sources for file in source.files),
        problems=tuple(problem for source in sources for problem in source.problems),
    )


def _folder(path: Path) -> KeySource:
    if path.is_symlink() and path.name in sigs_layout.KEY_FOLDERS:
        return KeySource(problems=(f"{path}: a symbolic link is not followed",))
    with opened(path) as folder:
        return _files(folder, path)


def _files(folder: Folder, path: Path) -> KeySource:
    files: list[KeyFile] = []
    problems: list[str] = []
    for name in folder.names(limit=MAX_KEY_FILES):
        if not name.endswith(sigs_layout.KEY_SUFFIXES):
            continue
        try:
            data = folder.read(name, limit=MAX_KEY_FILE)
        except Refused as refusal:
            problems.append(f"{path}: {refusal.brief}")
        else:
            files.append(KeyFile(label=f"{path / name}", data=data))
    return KeySource(folders=(str(path),), files=tuple(files), problems=tuple(problems))
