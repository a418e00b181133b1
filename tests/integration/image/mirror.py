"""A tiny signed archive of our own: real .debs, real signatures, any lie that a test needs."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import lzma
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

DAY = 86400
SUITE = "trixie"


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key in a GnuPG home of its own."""

    home: Path
    fingerprint: str

    @classmethod
    def make(cls, home: Path) -> Key:
        home.mkdir(mode=0o700)
        gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", ""]
        name = f"{home.name} <archive@example.org>"
        subprocess.run([*gpg, "--quick-generate-key", name, "ed25519", "sign", "never"], check=True)
        listed = subprocess.run(
            [*gpg, "--list-keys", "--with-colons"], check=True, capture_output=True, text=True
        ).stdout
        return cls(home, next(x for x in listed.splitlines() if x.startswith("fpr")).split(":")[9])

    def public(self, *, armour: bool = False) -> bytes:
        words = ["gpg", "--homedir", str(self.home), "--batch", "--export"]
        words += ["--armor"] if armour else []
        return subprocess.run(words, check=True, capture_output=True).stdout

    def clear_sign(self, text: str) -> bytes:
        return subprocess.run(
            ["gpg", "--homedir", str(self.home), "--batch", "--quiet", "--clear-sign"],
            input=text.encode(),
            check=True,
            capture_output=True,
        ).stdout

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False)


@dataclass
class Mirror:
    """An archive below ``root``: packages in ``pool``, suites in ``dists``."""

    root: Path
    key: Key
    stanzas: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def package(
        self,
        name: str,
        version: str = "1.0",
        *,
        suite: str = SUITE,
        arch: str = "amd64",
        fields: str = "",
        made: bool = False,
    ) -> Path:
        """Build a .deb and enter it into a suite.

        ``fields`` are further lines of its control; ``made``: its folder has scripts already.
        """
        folder = self.root / "build" / f"{name}_{version}_{arch}"
        (folder / "DEBIAN").mkdir(parents=True, exist_ok=made)
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\n"
            f"Maintainer: T <t@example.org>\nDescription: test\n{fields}"
        )
        (folder / "DEBIAN/control").write_text(control)
        (folder / "usr/share/tiny").mkdir(parents=True)
        (folder / "usr/share/tiny" / name).write_text(name)
        path = f"pool/main/{name[0]}/{name}/{name}_{version}_{arch}.deb"
        deb = self.root / path
        deb.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["dpkg-deb", "--build", "--root-owner-group", str(folder), str(deb)],
            check=True,
            capture_output=True,
        )
        data = deb.read_bytes()
        stanza = (
            f"{control}Filename: {path}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
        self.stanzas.setdefault((suite, arch), []).append(stanza)
        return deb

    def enter(self, data: bytes, name: str, *, suite: str = SUITE, arch: str = "amd64") -> None:
        """Enter a .deb that somebody else made."""
        path = f"pool/main/{name}"
        deb = self.root / path
        deb.parent.mkdir(parents=True, exist_ok=True)
        deb.write_bytes(data)
        control = subprocess.run(
            ["dpkg-deb", "--field", str(deb)], check=True, capture_output=True, text=True
        ).stdout
        stanza = (
            f"{control.rstrip()}\nFilename: {path}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
        self.stanzas.setdefault((suite, arch), []).append(stanza)

    def publish(
        self,
        suite: str = SUITE,
        *,
        label: str = "Debian",
        origin: str = "Debian",
        codename: str | None = None,
        date: float | None = None,
        valid_until: float | None = None,
        key: Key | None = None,
        architectures: tuple[str, ...] = ("amd64",),
        by_hash: bool = True,
    ) -> Path:
        """Write the indexes of a suite and its signed InRelease; return the latter's path."""
        dists = self.root / "dists" / suite
        sums = []
        for arch in architectures:
            folder = dists / f"main/binary-{arch}"
            text = "\n".join(self.stanzas.get((suite, arch), [])).encode()
            forms = {"": text, ".xz": lzma.compress(text), ".gz": gzip.compress(text)}
            for ending, data in forms.items():
                digest = hashlib.sha256(data).hexdigest()
                hashed = folder / "by-hash/SHA256"
                hashed.mkdir(parents=True, exist_ok=True)
                (folder / f"Packages{ending}").write_bytes(data)
                if by_hash:
                    (hashed / digest).write_bytes(data)
                sums.append(f" {digest} {len(data)} main/binary-{arch}/Packages{ending}")
        now = time.time() if date is None else date
        lines = [
            f"Origin: {origin}",
            f"Label: {label}",
            f"Suite: {codename or suite}",
            f"Codename: {codename or suite}",
            f"Date: {formatdate(now).replace('-0000', 'UTC')}",
            *([f"Valid-Until: {formatdate(valid_until)}"] if valid_until is not None else []),
            f"Acquire-By-Hash: {'yes' if by_hash else 'no'}",
            f"Architectures: {' '.join(architectures)}",
            "Components: main",
            "SHA256:",
            *sums,
        ]
        path = dists / "InRelease"
        path.write_bytes((key or self.key).clear_sign("\n".join(lines) + "\n"))
        return path


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on the loopback; yield its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
