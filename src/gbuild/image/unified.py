"""An image as LXD and Incus import it: one tar of ``metadata.yaml`` and ``rootfs/``.

The image's own tar is packed anew member by member while it is read: nothing is unpacked, no
root is needed, and the same image gives the same bytes, whose sha256 is the fingerprint that the
server knows it by.

Format: "unified tarball" of LXD's and Incus's image documentation. JSON is YAML.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from gbuild.errors import Bug, UsageFailure, WrongHash
from gbuild.host.files import sha256_of, write_atomically
from gbuild.host.store import Store
from gbuild.model.image import Image

RECIPE = 1
"""Counts changes of how the bytes are made."""

ARCHITECTURES = {
    "amd64": "x86_64",
    "i386": "i686",
    "arm64": "aarch64",
    "armhf": "armv7l",
    "ppc64el": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
"""Debian's names to the kernel's."""

SAMPLE = "etc"
"""A folder that is read in no time, and differs between any two images that matter."""

_PIECE = 1 << 20
_ROOT = "rootfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unified:
    """A unified tar: its sha256 and size (bytes).

    ``listing`` and ``tree`` are digests of what it holds as a target reads it again, see
    :class:`TreeDigest`: without and with the contents of files. ``sample`` is that of the folder
    :data:`SAMPLE` alone, with contents.
    """

    fingerprint: str
    size: int
    listing: str
    tree: str
    sample: str


class TreeDigest:
    """The sha256 over sorted records of NUL-ended text, one for every file of a tree.

    ``f <mode> <uid> <gid> <size> <mtime> <path>`` for a regular file, ``l <uid> <gid> <target>
    <path>`` for a symbolic link, ``<letter> <mode> <uid> <gid> <path>`` for anything else (the
    letters are find(1)'s), and with contents also ``<sha256>  ./<path>`` for a regular file.
    Modes are octal without leading zeros; the top itself does not count.

    Args:
        without: names of folders at the top that do not count.
        below: the folder that is the top.
    """

    def __init__(self, *, without: tuple[str, ...], below: str = "") -> None:
        self._without = without
        self._top = f"{below}/" if below else ""
        self._records: list[bytes] = []
        self._contents: list[bytes] = []
        self._files: dict[str, tuple[str, str]] = {}

    def add(self, member: tarfile.TarInfo, path: str, sha256: str, target: str) -> None:
        """Add a member of a tar; ``target`` is where a hard link leads."""
        owner = f"{member.uid} {member.gid}"
        if member.isreg():
            start = f"f {member.mode:o} {owner} {member.size} {int(member.mtime)}"
            self._files[path] = start, sha256
        elif member.islnk():
            self._files[path] = self._files[target]
        below = path.removeprefix(self._top)
        if not path.startswith(self._top) or not below:
            return
        if below.partition("/")[0] not in self._without:
            self._count(member, owner, below, self._files.get(path))

    def _count(
        self, member: tarfile.TarInfo, owner: str, path: str, file: tuple[str, str] | None
    ) -> None:
        if file is not None:
            start, sha256 = file
            self._records.append(_record(f"{start} {path}"))
            self._contents.append(_record(f"{sha256}  ./{path}"))
        elif member.issym():
            self._records.append(_record(f"l {owner} {member.linkname} {path}"))
        else:
            letter = {tarfile.DIRTYPE: "d", tarfile.FIFOTYPE: "p"}.get(member.type, "?")
            self._records.append(_record(f"{letter} {member.mode:o} {owner} {path}"))

    def listing(self) -> str:
        """Return the digest without contents."""
        return hashlib.sha256(b"".join(sorted(self._records))).hexdigest()

    def tree(self) -> str:
        """Return the digest with contents."""
        return hashlib.sha256(b"".join(sorted(self._records + self._contents))).hexdigest()


def describe(image: Image, store: Store, *, without: tuple[str, ...]) -> Unified:
    """Return what the unified tar is; worked out once, then kept beside the image.

    Raises:
        WrongHash: the image's tar is damaged.
        UsageFailure: an architecture that LXD does not know.
    """
    note = store.root / "images" / image.key / f"unified-{RECIPE}.json"
    try:
        kept = json.loads(note.read_bytes())
        if kept.pop("sha256") == image.sha256 and tuple(kept.pop("without")) == without:
            return Unified(**kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not worked out yet, or by another gbuild
    with ThreadPoolExecutor(1) as beside:  # hashing leaves Python's lock to others
        checked = beside.submit(_check, image)
        unified = _measured(image, without)
        checked.result()
    kept = {**asdict(unified), "sha256": image.sha256, "without": without}
    note.parent.mkdir(exist_ok=True)
    write_atomically(note, json.dumps(kept, sort_keys=True).encode())
    return unified


def _measured(image: Image, without: tuple[str, ...]) -> Unified:
    digest = TreeDigest(without=without)
    sample = TreeDigest(without=without, below=SAMPLE)
    whole = hashlib.sha256()
    size = 0
    for piece in pieces(image, digest, sample):
        whole.update(piece)
        size += len(piece)
    return Unified(
        fingerprint=whole.hexdigest(),
        size=size,
        listing=digest.listing(),
        tree=digest.tree(),
        sample=sample.tree(),
    )


def _check(image: Image) -> None:
    found = sha256_of(image.tar)
    if found != image.sha256:
        raise WrongHash(
            f"the image's tar was changed: {image.tar}",
            details=(f"expected sha256 {image.sha256}", f"got      sha256 {found}"),
            hint="gbase prune --all, then build again",
        )


def pieces(image: Image, *digests: TreeDigest) -> Iterator[bytes]:
    """Yield the bytes of the unified tar; ``digests`` are told of every file."""
    metadata = tarfile.TarInfo("metadata.yaml")
    text = _metadata(image)
    metadata.size, metadata.mode, metadata.mtime = len(text), 0o644, image.environment.date
    size = 0
    for piece in (_header(metadata), _padded(text)):
        size += len(piece)
        yield piece
    with image.tar.open("rb") as source, tarfile.open(fileobj=source, mode="r:") as tar:
        for member in tar:
            for piece in _again(tar, member, digests):
                size += len(piece)
                yield piece
    end = 2 * tarfile.BLOCKSIZE
    yield bytes(end + -(size + end) % tarfile.RECORDSIZE)


def _again(
    tar: tarfile.TarFile, member: tarfile.TarInfo, digests: Sequence[TreeDigest]
) -> Iterator[bytes]:
    """Yield one member below ``rootfs``."""
    path = member.name.removeprefix("./").strip("/")
    path = "" if path == "." else path
    target = member.linkname.removeprefix("./")
    moved = tarfile.TarInfo(f"{_ROOT}/{path}" if path else _ROOT)
    for name in ("mode", "uid", "gid", "size", "mtime", "type", "linkname"):
        setattr(moved, name, getattr(member, name))
    moved.mtime = int(member.mtime)
    if member.islnk():
        moved.linkname, moved.size = f"{_ROOT}/{target}", 0
    moved.pax_headers = {k: v for k, v in member.pax_headers.items() if k.startswith("SCHILY.")}
    yield _header(moved)
    content = hashlib.sha256()
    for piece in _content(tar, member) if member.isreg() else ():
        if digests:
            content.update(piece)
        yield piece
    if member.isreg() and (padding := -member.size % tarfile.BLOCKSIZE):
        yield bytes(padding)
    for digest in digests:
        digest.add(member, path, content.hexdigest(), target)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    stream = tar.fileobj
    if stream is None:
        raise Bug("a tar without a file")
    stream.seek(member.offset_data)
    left = member.size
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise WrongHash(f"the image's tar ends within {member.name}")
        left -= len(piece)
        yield piece


def _header(member: tarfile.TarInfo) -> bytes:
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _record(text: str) -> bytes:
    return os.fsencode(text) + b"\0"


def _metadata(image: Image) -> bytes:
    environment = image.environment
    architecture = ARCHITECTURES.get(environment.arch)
    if architecture is None:
        raise UsageFailure(f"LXD knows no architecture called {environment.arch}")
    properties = {
        "description": f"gbuild {environment.label}",
        "os": environment.distro,
        "release": environment.suite,
        "gbuild.key": image.key,
        "gbuild.sha256": image.sha256,
    }
    document = {
        "architecture": architecture,
        "creation_date": environment.date,
        "properties": properties,
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"
