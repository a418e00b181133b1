"""Put the files of a release in place: all of them or none."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from gbuild.errors import HostFailure, UsageFailure
from gbuild.get import layout
from gbuild.get.download import Download
from gbuild.host import foreign
from gbuild.host.foreign import Folder, Kind
from gbuild.host.staging import staging

_MOST = 100_000


def install(
    destination: Path, release: str, files: Mapping[str, str], download: Download
) -> Mapping[str, int] | None:
    """Fetch every file (sha256 by path) into ``<destination>/<release>``; return their bytes.

    None when exactly these files are there already. Until the last step the folder does not
    exist, then it is whole.

    Raises:
        HostFailure: another folder has that name, or the disk is full.
        Unavailable, WrongHash: as :meth:`Download.run`.
    """
    layout.check(files)
    prepare(destination)
    target = destination / release
    if target.exists() or target.is_symlink():
        _check_present(target, files)
        return None
    with staging(destination, release) as stage:
        if target.exists():  # another gget was faster
            _check_present(target, files)
            return None
        sizes = download.run(stage, files)
        stage.publish(release)
    return sizes


def prepare(destination: Path) -> None:
    """Make the folder of the releases if need be, and see that it can be written.

    Raises:
        UsageFailure: the folder above it does not exist.
        HostFailure: it cannot be had.
    """
    try:
        destination.mkdir(exist_ok=True)
    except FileNotFoundError as error:
        raise UsageFailure(
            f"there is no folder {destination.parent}", hint=f"mkdir -p {destination.parent}"
        ) from error
    except OSError as error:
        raise _unwritable(destination, error) from error
    if not os.access(destination, os.W_OK | os.X_OK):
        raise _unwritable(destination, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _unwritable(destination: Path, error: OSError) -> HostFailure:
    return HostFailure(
        f"no release can be put in {destination}: {error.strerror}",
        hint="choose another folder with --destination",
    )


def _check_present(target: Path, files: Mapping[str, str]) -> None:
    """Look whether a folder holds exactly these files.

    Raises:
        HostFailure: it does not; says how.
    """
    odd: list[str] = []
    try:
        with foreign.opened(target.parent) as above, above.enter(target.name) as folder:
            there = dict(_walk(folder, "", odd))
    except foreign.Refused as error:
        raise HostFailure(f"{target} is in the way: {error.brief}") from error
    odd += [f"{path}: not there" for path in files if path not in there]
    odd += [f"{path}: not of this release" for path in there if path not in files]
    odd += [f"{path}: other bytes" for path, d in there.items() if files.get(path, d) != d]
    if odd:
        raise HostFailure(
            f"{target} is there already, and not what was signed",
            details=tuple(sorted(odd)[:10]),
            hint=f"move {target} away, or choose another --destination",
        )


def _walk(folder: Folder, above: str, odd: list[str]) -> Iterator[tuple[str, str]]:
    for name, kind in folder.children(limit=_MOST).items():
        path = f"{above}{name}"
        if kind is Kind.FOLDER:
            with folder.enter(name) as inner:
                yield from _walk(inner, f"{path}/", odd)
        elif kind is Kind.FILE:
            digest = hashlib.sha256()
            for piece in folder.pieces(name):
                digest.update(piece)
            yield path, digest.hexdigest()
        else:
            odd.append(f"{path}: no plain file")
