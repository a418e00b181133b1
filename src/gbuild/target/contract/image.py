"""An image of a few megabytes made from this host's own programs: quick to unpack, no network."""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import pytest

from gbuild.host.files import write_atomically
from gbuild.host.process import CLEAN_ENVIRONMENT, run
from gbuild.host.store import Store
from gbuild.model.image import Image
from gbuild.model.lock import Archive, Environment

_TOOLS = (
    *("bash", "sh", "env", "true", "false", "test", "id", "cat", "head", "tail", "tar", "mkdir"),
    *("rm", "ls", "stat", "chmod", "touch", "sleep", "setsid", "hostname", "ln", "cp", "ps", "wc"),
    *("stty", "sort", "find", "printf", "readlink", "sha256sum", "timeout", "tr", "grep", "yes"),
    *("xargs", "chown", "df", "dd", "mkfifo", "seq", "uname", "nproc", "kill", "pkill", "mount"),
    "umount",
)
_SERVER = ("/usr/sbin/sshd", "/usr/lib/openssh/sftp-server")
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0::/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n",
}
_FOLDERS = ("dev", "etc", "home", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/tmp")


SET_UID = "usr/bin/contract-root"
"""A shell with the set-uid bit: where such programs work, ``-p`` keeps it root."""


def small_image(store: Store) -> Image:
    """Put the tar into the store and return it as an image."""
    digest = store.add(_packed())
    place = store.root / "images" / digest
    place.mkdir(exist_ok=True)
    record = {"label": "none-amd64", "sha256": digest, "recipe": 0, "date": 1_700_000_000}
    write_atomically(place / "image.json", json.dumps(record).encode())
    path = store.blob(digest)
    return Image(key=digest, sha256=digest, recipe=0, environment=_environment(), tar=path)


@cache
def _packed() -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", dereference=True) as tar:
        for name in _FOLDERS:
            _add(tar, name, tarfile.DIRTYPE, mode=0o1777 if name.endswith("tmp") else 0o755)
        for name in ("bin", "sbin", "lib", "lib64"):
            _add(tar, name, tarfile.SYMTYPE, link=f"usr/{name}")
        for name, text in _ACCOUNTS.items():
            _add(tar, name, tarfile.REGTYPE, data=text.encode())
        needed = sorted(set(_needed()), key=_inside)
        for folder in sorted({parent for file in needed for parent in _above(_inside(file))}):
            _add(tar, folder, tarfile.DIRTYPE, mode=0o755)
        for file in needed:
            tar.add(file, _inside(file), filter=_of_root)
        _add(tar, SET_UID, tarfile.REGTYPE, mode=0o4755, data=_find("bash").read_bytes())
    return buffer.getvalue()


def _environment() -> Environment:
    archive = Archive(
        name="debian", suite="none", sha256="0" * 64, date=1_700_000_000, signed_by=()
    )
    return Environment(
        suite="none",
        arch="amd64",
        distro="debian",
        request=(),
        archives=(archive,),
        packages=(),
    )


def _needed() -> Iterator[Path]:
    """Yield the programs and the libraries they are linked with; fail the test without them."""
    tools = (*map(_find, _TOOLS), *map(Path, _SERVER))
    if missing := [tool.name for tool in tools if not tool.exists()]:
        pytest.fail(
            f"the contract's image is made of this host's programs; missing: {', '.join(missing)}"
            " (sudo apt-get install openssh-server procps mount hostname)",
            pytrace=False,
        )
    yield from tools
    listed = run(["ldd", *tools], check=False).stdout.decode()
    yield from map(Path, re.findall(r"(/\S+) \(0x", listed))


def _find(name: str) -> Path:
    found = shutil.which(name, path=CLEAN_ENVIRONMENT["PATH"])
    return Path(found or f"/usr/bin/{name}")


def _inside(path: Path) -> str:
    text = str(path)
    return text.lstrip("/") if text.startswith("/usr/") else f"usr{text}"


def _above(name: str) -> list[str]:
    """Return the folders that hold a file, without those that every image has."""
    return [str(path) for path in Path(name).parents if str(path) not in (".", *_FOLDERS)]


def _add(
    tar: tarfile.TarFile, name: str, kind: bytes, *, mode: int = 0o644, data: bytes = b"",
    link: str = "",
) -> None:  # fmt: skip
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, len(data), link
    tar.addfile(info, BytesIO(data))


def _of_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode &= 0o755
    return info
