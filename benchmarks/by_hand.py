"""What a person types to reach a container that has our SSH server's files, without gbuild."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import call, tool

from gbuild.target.guest import DAEMON, Guest, archive, new_key

SERVER = " ".join(DAEMON)


@dataclass(frozen=True, slots=True)
class Hand:
    """Keys in a folder, and the files of the server that knows them."""

    folder: Path
    files: bytes

    def first_command(self, proxy: str, *, env: Mapping[str, str] | None = None) -> None:
        """Run ``true`` as root by OpenSSH over what ``proxy`` runs."""
        call(
            tool("ssh"), "-F", "none", "-i", self.folder / "key",
            "-o", f"ProxyCommand={proxy}", "-o", f"UserKnownHostsFile={self.folder / 'known'}",
            "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "root@gitian", "true", env=env,
        )  # fmt: skip

    def unpack(self, folder: Path, *, owner: int) -> None:
        """Put the server's files below a folder; root inside is ``owner`` outside."""
        (folder / "run" / "sshd").mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(self.files)) as tar:
            tar.extractall(folder)  # noqa: S202 - our own
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner, owner)
            if path.is_dir():
                path.chmod(0o755)


def hand(folder: Path) -> Hand:
    """Make keys."""
    host, client = new_key(), new_key()
    folder.mkdir()
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_text(client.private)
    (folder / "known").write_text(f"gitian {host.public}\n")
    guest = Guest(user="builder", host=host, client=client)
    return Hand(folder, archive(guest))
