"""Unified tars for LXD and Incus."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.errors import UsageFailure, WrongHash
from gbuild.host.store import Store
from gbuild.image import unified
from gbuild.model.image import Image
from gbuild.model.lock import Archive, Environment


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def image(store: Store) -> Image:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "./", tarfile.DIRTYPE)
        _add(tar, "usr/", tarfile.DIRTYPE)
        _add(tar, "usr/file", tarfile.REGTYPE, data=b"text", caps=b"\x01\x00\xff")
        _add(tar, "usr/" + "long" * 60, tarfile.REGTYPE, data=b"")
        _add(tar, "usr/hard", tarfile.LNKTYPE, link="usr/file")
        _add(tar, "link", tarfile.SYMTYPE, link="usr/file")
        _add(tar, "tmp/", tarfile.DIRTYPE)
        _add(tar, "etc/", tarfile.DIRTYPE)
        _add(tar, "etc/hard", tarfile.LNKTYPE, link="usr/file")
    archive = Archive(name="debian", suite="s", sha256="0" * 64, date=99, signed_by=())
    environment = Environment(
        suite="s", arch="amd64", distro="debian", request=(), archives=(archive,), packages=()
    )
    digest = store.add(buffer.getvalue())
    tar_path = store.blob(digest)
    return Image(key="key", sha256=digest, recipe=1, environment=environment, tar=tar_path)


def _add(
    tar: tarfile.TarFile,
    name: str,
    kind: bytes,
    *,
    data: bytes = b"",
    link: str = "",
    caps: bytes = b"",
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode, info.mtime = kind, link, len(data), 0o755, 7
    info.uid = 3_000_000
    if caps:
        info.pax_headers = {
            "SCHILY.xattr.security.capability": caps.decode(errors="surrogateescape")
        }
    tar.addfile(info, io.BytesIO(data))


def _read(image: Image) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(b"".join(unified.pieces(image))))


def test_everything_is_below_rootfs(image: Image) -> None:
    with _read(image) as tar:
        members = {one.name: one for one in tar}
        text = tar.extractfile("rootfs/usr/file")
        assert text is not None
        assert text.read() == b"text"
    assert list(members)[:2] == ["metadata.yaml", "rootfs"]
    assert members["rootfs/usr/hard"].linkname == "rootfs/usr/file"
    assert members["rootfs/link"].linkname == "usr/file"
    file = members["rootfs/usr/file"]
    assert (file.uid, file.mode, file.mtime) == (3_000_000, 0o755, 7)
    assert file.pax_headers["SCHILY.xattr.security.capability"] == "\x01\x00\udcff"
    assert "rootfs/usr/" + "long" * 60 in members


def test_the_metadata_names_the_image(image: Image) -> None:
    with _read(image) as tar:
        found = tar.extractfile("metadata.yaml")
        assert found is not None
        document = json.load(found)
    assert (document["architecture"], document["creation_date"]) == ("x86_64", 99)
    assert document["properties"]["gbuild.sha256"] == image.sha256


def test_the_description_is_of_the_same_bytes(image: Image, store: Store) -> None:
    made = unified.describe(image, store, without=("tmp",))
    whole = b"".join(unified.pieces(image))
    assert (made.fingerprint, made.size) == (hashlib.sha256(whole).hexdigest(), len(whole))
    assert unified.describe(image, store, without=("tmp",)) == made
    assert unified.describe(image, store, without=()).listing != made.listing
    assert made.listing != made.tree


def test_the_sample_is_of_one_folder_with_its_bytes(image: Image, store: Store) -> None:
    made = unified.describe(image, store, without=("tmp",))
    text = hashlib.sha256(b"text").hexdigest()
    records = sorted((b"f 755 3000000 0 4 7 hard\0", f"{text}  ./hard\0".encode()))
    assert made.sample == hashlib.sha256(b"".join(records)).hexdigest()


def test_a_damaged_tar_is_refused(image: Image, store: Store) -> None:
    image.tar.chmod(0o644)
    data = bytearray(image.tar.read_bytes())
    data[data.index(b"text")] ^= 1
    image.tar.write_bytes(data)
    with pytest.raises(WrongHash, match="was changed"):
        unified.describe(image, store, without=())


def test_an_unknown_architecture_is_told(image: Image) -> None:
    other = replace(image, environment=replace(image.environment, arch="m68k"))
    with pytest.raises(UsageFailure, match="m68k"):
        next(unified.pieces(other))
