"""Hash what the targets made, after they are dead, and merge it in Gitian's order."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from gbuild.engine.workspace import remove
from gbuild.errors import BuildFailed
from gbuild.formats.manifest import write_manifest
from gbuild.host.files import sha256_of
from gbuild.model.manifest import Entry
from gbuild.model.outcome import Artifact, JobOutcome


def artifacts_of(root: Path) -> tuple[Artifact, ...]:
    """Hash every file below ``root``, sorted by the bytes of the path.

    As in Gitian folders do not count, and a symbolic link to a file inside ``root`` counts
    with that file's bytes.

    Raises:
        BuildFailed: a name cannot stand in a manifest, or a link leads out or nowhere.
    """
    return tuple(_artifact(root, path) for path in _files(root))


def _files(root: Path) -> list[str]:
    found = [_relative(root, name) for name in _walk(os.fsencode(root))]
    return sorted(found, key=str.encode)


def _walk(folder: bytes) -> Iterator[bytes]:
    for here, _folders, names in os.walk(folder, onerror=_raise):
        yield from (here + b"/" + name for name in names)


def _raise(error: OSError) -> None:
    raise error


def _relative(root: Path, name: bytes) -> str:
    inner = name[len(os.fsencode(root)) + 1 :]
    try:
        text = inner.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable() or "\\" in text or text != text.strip():
        raise BuildFailed(
            f"out/ holds a name that cannot stand in a manifest: {inner!r}",
            hint="let the script give it a name of printable characters, without backslash",
        )
    return text


def _artifact(root: Path, name: str) -> Artifact:
    path = root / name
    kind = path.lstat().st_mode
    if stat.S_ISLNK(kind):
        _check_link(root, path, name)
    elif not stat.S_ISREG(kind):
        raise BuildFailed(f"out/{name} is neither a file nor a folder")
    return Artifact(path=name, sha256=sha256_of(path), size=path.stat().st_size)


def _check_link(root: Path, path: Path, name: str) -> None:
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(os.path.realpath(root)) or not real.is_file():
        raise BuildFailed(
            f"out/{name} is a symbolic link that leads out of out/ or to nothing",
            details=(f"it points to {str(path.readlink())!r}",),
            hint="let the script copy the file instead",
        )


def manifest_of(artifacts: Iterable[Artifact]) -> str:
    """Write ``<sha256>  <path>`` lines, sorted by the bytes of the path."""
    return write_manifest(Entry(path=a.path, digest=a.sha256) for a in artifacts)


def merge(
    outcomes: Sequence[JobOutcome], dest: Path, *, strict: bool
) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
    """Merge every job's artefacts into ``dest``, later jobs over earlier ones, as Gitian did.

    Returns the merged artefacts, sorted, and warnings.

    Raises:
        BuildFailed: two jobs made one path with different bytes and ``strict`` is set.
    """
    owners, clashes = _owners(outcomes)
    if clashes and strict:
        raise BuildFailed(
            "two jobs made one path with different bytes",
            details=clashes,
            hint="let the script name its files by architecture, or build them apart",
        )
    staging = dest.with_name(f".{dest.name}.part")
    remove(staging)
    staging.mkdir()
    for outcome in outcomes:
        _overlay(outcome.out, staging)
    present = (a for _label, a in owners.values() if (staging / a.path).is_file())
    merged = tuple(sorted(present, key=lambda a: a.path.encode()))
    remove(dest)
    staging.rename(dest)
    return merged, tuple(f"the later job wins: {clash}" for clash in clashes)


def _owners(
    outcomes: Sequence[JobOutcome],
) -> tuple[Mapping[str, tuple[str, Artifact]], tuple[str, ...]]:
    owners: dict[str, tuple[str, Artifact]] = {}
    clashes = []
    for outcome in outcomes:
        for artifact in outcome.artifacts:
            label, other = owners.get(artifact.path, (outcome.label, artifact))
            if other.sha256 != artifact.sha256:
                clashes.append(f"{artifact.path} ({label} and {outcome.label})")
            owners[artifact.path] = (outcome.label, artifact)
    return owners, tuple(clashes)


def _overlay(source: Path, dest: Path) -> None:
    for here, folders, names in os.walk(source, onerror=_raise):
        inner = dest / Path(here).relative_to(source)
        for name in (n for n in folders if not Path(here, n).is_symlink()):
            _make_folder(inner / name)
        for name in [*names, *(n for n in folders if Path(here, n).is_symlink())]:
            _place(Path(here, name), inner / name)


def _make_folder(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        path.mkdir()


def _place(source: Path, dest: Path) -> None:
    """Put one file at ``dest``: a hard link where the file system can, else a copy."""
    remove(dest)
    if source.is_symlink():
        dest.symlink_to(source.readlink())
        return
    try:
        os.link(source, dest)
    except OSError:
        shutil.copy2(source, dest)


def merge_cache(source: Path, dest: Path) -> None:
    """Lay what a target left in a cache folder over the workspace's (nothing is removed)."""
    dest.mkdir(parents=True, exist_ok=True)
    _overlay(source, dest)
