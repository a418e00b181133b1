"""Archives of our own with today's packages: what is resolved from them depends on no mirror."""

from __future__ import annotations

import gzip
import lzma
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.image.mirror import Key, Mirror

from gbuild.host.store import Store
from gbuild.image.provide import download
from gbuild.model.event import discard
from gbuild.model.lock import Environment

_MAGIC = b"!<arch>\n"
_HEAD = 60
_UNPACKERS: Mapping[str, Callable[[bytes], bytes]] = {"xz": lzma.decompress, "gz": gzip.decompress}


def serve(
    folder: Path,
    environment: Environment,
    store: Store,
    *,
    distro: str,
    suite: str,
    change: Callable[[bytes], bytes] = bytes,
) -> Mapping[str, str]:
    """Make a signed archive of an environment's packages; return the variables that lead to it.

    ``change`` is applied to every package. The pockets for updates and security are empty.
    """
    download(environment, store=store, sink=discard, os_environment=os.environ)
    key = Key.make(folder / "key")
    mirror = Mirror(folder / "archive", key)

    def enter(one: tuple[str, str]) -> None:
        sha256, name = one
        mirror.enter(change(store.blob(sha256).read_bytes()), name, suite=suite)

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(enter, [(p.sha256, p.file_name) for p in environment.packages]))
    name = distro.capitalize()
    for ending in ("", "-updates", "-security"):
        security = distro == "debian" and ending == "-security"
        mirror.publish(suite + ending, origin=name, label=f"{name}-Security" if security else name)
    rings = folder / "rings"
    rings.mkdir()
    (rings / f"{distro}.gpg").write_bytes(key.public())
    key.close()
    here = mirror.root.as_uri()
    return {
        "GBUILD_APT_ROOT": str(rings),
        "GBUILD_KEYRINGS": str(rings),
        f"GBUILD_MIRROR_{distro.upper()}": here,
        f"GBUILD_MIRROR_{distro.upper()}_SECURITY": here,
        f"GBUILD_SNAPSHOT_{distro.upper()}": (folder / "none").as_uri(),
    }


def with_zstd(deb: bytes) -> bytes:
    """Return a package with its members compressed by zstd, as Ubuntu's are; see deb(5)."""
    return _MAGIC + b"".join(_member(*_squeezed(name, data)) for name, data in _members(deb))


def _members(deb: bytes) -> Iterator[tuple[str, bytes]]:
    place = len(_MAGIC)
    while place < len(deb):
        head = deb[place : place + _HEAD]
        name, size = head[:16].decode().rstrip(" /"), int(head[48:58])
        yield name, deb[place + _HEAD : place + _HEAD + size]
        place += _HEAD + size + size % 2


def _squeezed(name: str, data: bytes) -> tuple[str, bytes]:
    stem, _, ending = name.rpartition(".")
    if ending not in _UNPACKERS:
        return name, data
    plain = _UNPACKERS[ending](data)
    argv = ["zstd", "--quiet", "-1", "--stdout"]
    done = subprocess.run(argv, input=plain, capture_output=True, check=True)
    return f"{stem}.zst", done.stdout


def _member(name: str, data: bytes) -> bytes:
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
    return head + data + b"\n" * (len(data) % 2)
