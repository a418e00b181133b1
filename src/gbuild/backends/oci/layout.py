"""An image of ours as the OCI image format has it: same image, same digests, on every host.

Layer, configuration and manifest follow the OCI image specification 1.0; the layer is the image's
tar as it is. ``manifest.json`` is the older format of ``docker save``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gbuild.model.image import Image

KEY = "org.gbuild.image"
"""Label of an image: its key."""

ENVIRONMENT = "org.gbuild.environment"
"""Label of an image: its suite and architecture."""

_ARCHITECTURES = {"amd64": "amd64", "i386": "amd64", "arm64": "arm64"}
"""Debian's names to Go's; an i386 image runs on amd64 hosts, by setarch."""

_MEDIA = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True, kw_only=True)
class OciImage:
    """The documents of an image; ``config`` names it for engines, ``manifest`` for registries."""

    layer: str
    size: int
    config: bytes
    manifest: bytes

    @property
    def identity(self) -> str:
        """sha256 (64 hex) of the configuration: the engine's image id."""
        return hashlib.sha256(self.config).hexdigest()

    @property
    def digest(self) -> str:
        """``sha256:<64 hex>`` of the manifest."""
        return f"sha256:{hashlib.sha256(self.manifest).hexdigest()}"


def describe(image: Image) -> OciImage:
    """Compose the documents of an image; nothing but the image decides their bytes."""
    environment = image.environment
    size = image.tar.stat().st_size
    created = datetime.fromtimestamp(environment.date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = _canonical(
        {
            "architecture": architecture(image),
            "config": {"Labels": {KEY: image.key, ENVIRONMENT: environment.label}},
            "created": created,
            "history": [{"created": created, "created_by": "gbuild"}],
            "os": "linux",
            "rootfs": {"diff_ids": [f"sha256:{image.sha256}"], "type": "layers"},
        }
    )
    manifest = _canonical(
        {
            "config": _descriptor("config.v1+json", config),
            "layers": [
                {
                    "digest": f"sha256:{image.sha256}",
                    "mediaType": f"{_MEDIA}.layer.v1.tar",
                    "size": size,
                }
            ],
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "schemaVersion": 2,
        }
    )
    return OciImage(layer=image.sha256, size=size, config=config, manifest=manifest)


def architecture(image: Image) -> str:
    """Return what OCI calls the architecture that the image's programs run on."""
    arch = image.environment.arch
    return _ARCHITECTURES.get(arch, arch)


def write_folder(oci: OciImage, tar: Path, folder: Path) -> None:
    """Make ``folder`` what podman pulls as ``dir:``; its layer is a symbolic link to ``tar``.

    From a folder in the layout of OCI podman makes a name of the path, which not every path allows.
    Format: directory/ in github.com/containers/image.
    """
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    (folder / "manifest.json").write_bytes(oci.manifest)
    (folder / oci.identity).write_bytes(oci.config)
    (folder / oci.layer).symlink_to(tar)


def write_archive(oci: OciImage, tar: Path, path: Path) -> None:
    """Write a tar that ``docker load`` reads; equal for equal images."""
    listing = [{"Config": f"{oci.identity}.json", "Layers": [f"{oci.layer}.tar"], "RepoTags": None}]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as out:
        for name, data in (
            (f"{oci.identity}.json", oci.config),
            ("manifest.json", _canonical(listing)),
        ):
            out.addfile(_member(name, len(data)), io.BytesIO(data))
        with tar.open("rb") as layer:
            out.addfile(_member(f"{oci.layer}.tar", os.fstat(layer.fileno()).st_size), layer)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _descriptor(kind: str, data: bytes) -> dict[str, str | int]:
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return {"digest": digest, "mediaType": f"{_MEDIA}.{kind}", "size": len(data)}


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
