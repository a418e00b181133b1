"""Which public keys a verification may use: key files of a folder, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.formats.openpgp_keys import NotAKey, PublicKey, read_keys
from gbuild.formats.problems import InvalidText, refuse
from gbuild.formats.signers import FILE, Registered, read_signers
from gbuild.host.foreign import Folder, Refused, opened
from gbuild.model import sigs_layout
from gbuild.verify.binding import Binding, NamedKey, by_names, by_registry

MAX_KEY_FILE = 1 << 20
MAX_KEY_FILES = 1_000
MAX_SIGNERS_FILE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """One public key file: its path for messages, the signer in its name, and what is in it."""

    label: str
    name: str | None
    keys: tuple[PublicKey, ...]

    @property
    def data(self) -> bytes:
        """What gpg gets of it."""
        return b"".join(key.packets for key in self.keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySource:
    """Key files with where they came from, and one line for every file that was refused.

    ``registered`` is what a ``signers.yml`` says; None when there is none.
    """

    folders: tuple[str, ...] = ()
    files: tuple[KeyFile, ...] = ()
    problems: tuple[str, ...] = ()
    registered: tuple[Registered, ...] | None = None

    @property
    def binding(self) -> Binding:
        """Who may sign where, and whose the keys are."""
        if self.registered is not None:
            return by_registry(self.registered)
        return by_names(
            NamedKey(key=key, name=file.name) for file in self.files for key in file.keys
        )


def from_folders(folders: Sequence[Path]) -> KeySource:
    """Read the key files of folders that the person named, and a ``signers.yml`` in one of them.

    Raises:
        UsageFailure: a folder does not exist or has no key file, or ``signers.yml`` is wrong.
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
    return _registered(joined(read), folders)


def from_tree(root: Path) -> KeySource:
    """Read the key folders that a tree keeps beside its releases, and its ``signers.yml``.

    Raises:
        UsageFailure: ``signers.yml`` is wrong, or there are two.
    """
    folders = [
        folder
        for folder in sigs_layout.key_folders(root)
        if folder.parent.is_dir() and (folder.is_dir() or folder.is_symlink())
    ]
    places = dict.fromkeys((root, *(each.parent for each in folders), *folders))
    return _registered(joined([_folder(folder) for folder in folders]), tuple(places))


def from_bytes(label: str, data: bytes) -> KeySource:
    """Make a source of one exported keyring; none when it is empty or cannot be read."""
    try:
        keys = read_keys(data) if data else ()
    except NotAKey as error:
        return KeySource(folders=(label,), problems=(f"{label}: {error.brief}",))
    files = (KeyFile(label=label, name=None, keys=keys),) if keys else ()
    return KeySource(folders=(label,), files=files)


def joined(sources: Sequence[KeySource]) -> KeySource:
    """Put several sources together, in order; what one registers holds for all."""
    registries = [each.registered for each in sources if each.registered is not None]
    together = KeySource(
        folders=tuple(folder for source in sources for folder in source.folders),
        files=tuple(file for source in sources for file in source.files),
        problems=tuple(problem for source in sources for problem in source.problems),
    )
    if not registries:
        return together
    return _only_registered(together, tuple(each for part in registries for each in part))


def _registered(source: KeySource, places: Iterable[Path]) -> KeySource:
    """Add the ``signers.yml`` that lies in one of the places, if there is one."""
    found = [place / FILE for place in places if (place / FILE).exists()]
    if not found:
        return source
    if len(found) > 1:
        shown = tuple(map(str, found))
        raise UsageFailure(f"more than one {FILE}", details=shown, hint="remove all but one")
    return _only_registered(source, registry(found[0]))


def registry(path: Path) -> tuple[Registered, ...]:
    """Read a ``signers.yml``.

    Raises:
        UsageFailure: it is no regular file, too long, or breaks its format.
    """
    with opened(path.parent) as folder:
        data = folder.read(path.name, limit=MAX_SIGNERS_FILE)
    try:
        return read_signers(data)
    except InvalidText as error:
        raise refuse(str(path), data, error.problems) from error


def _only_registered(source: KeySource, registered: tuple[Registered, ...]) -> KeySource:
    """Leave out keys that are registered for nobody."""
    known = {key for each in registered for key in each.keys}
    kept = [
        replace(file, keys=tuple(key for key in file.keys if key.fingerprint in known))
        for file in source.files
    ]
    left_out = tuple(
        f"{file.label}: {key.fingerprint} is not in {FILE}, the key is not used"
        for file in source.files
        if file.name is not None
        for key in file.keys
        if key.fingerprint not in known
    )
    return replace(
        source,
        files=tuple(file for file in kept if file.keys),
        problems=(*source.problems, *left_out),
        registered=registered,
    )


def _folder(path: Path) -> KeySource:
    if path.is_symlink() and path.name in sigs_layout.KEY_FOLDERS:
        return KeySource(problems=(f"{path}: a symbolic link is not followed",))
    with opened(path) as folder:
        return _files(folder, path)


def _files(folder: Folder, path: Path) -> KeySource:
    problems: list[str] = []
    files = tuple(_key_files(folder, path, problems))
    return KeySource(folders=(str(path),), files=files, problems=tuple(problems))


def _key_files(folder: Folder, path: Path, problems: list[str]) -> Iterator[KeyFile]:
    present = [n for n in folder.names(limit=MAX_KEY_FILES) if n.endswith(sigs_layout.KEY_SUFFIXES)]
    stems = [_stem(name) for name in present]
    colliding = sigs_layout.collisions(set(stems))
    for name, stem in zip(present, stems, strict=True):
        try:
            data = folder.read(name, limit=MAX_KEY_FILE)
            keys = read_keys(data)
        except (Refused, NotAKey) as refusal:
            problems.append(f"{path / name}: {refusal.brief}")
            continue
        problem = "its name differs from another's only in case" if stem in colliding else None
        if len(keys) > 1:
            problem = f"it holds {len(keys)} keys; a signer's file holds one"
        if problem:
            problems.append(f"{path / name}: {problem}")
        else:
            yield KeyFile(label=f"{path / name}", name=stem, keys=keys)


def _stem(name: str) -> str:
    return next(name.removesuffix(s) for s in sigs_layout.KEY_SUFFIXES if name.endswith(s))
