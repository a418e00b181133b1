"""Persons with real keys, and workspaces with something built in them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gbuild.formats.manifest import write_manifest
from gbuild.formats.report import write_report
from gbuild.model.manifest import Entry, Report

DESCRIPTOR = """\
name: "hello"
distro: "debian"
suites:
- "bookworm"
architectures:
- "amd64"
packages: []
reference_datetime: "2024-05-01 00:00:00"
remotes: []
files: []
script: |
  true
"""


class Pool:
    """Homes with one key each, made once and copied: to make one is to wait for an agent.

    The second key of the same description that a test asks for is another one than the first.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], tuple[Path, str]] = {}
        self._taken: Counter[tuple[object, ...]] = Counter()

    def forget(self) -> None:
        """Begin with the first keys again: another test asks."""
        self._taken.clear()

    def fill(self, home: Path, *words: str, **named: Any) -> str:
        """Put a key into an empty home, and return its fingerprint."""
        wanted = (*words, *sorted(named.items()))
        number = self._taken[wanted]
        self._taken[wanted] += 1
        if (wanted, number) not in self._made:
            person = Person(new_home())
            fingerprint = person.make(*words, **named)
            person.end_agent()
            self._made[wanted, number] = (person.home, fingerprint)
        made, fingerprint = self._made[wanted, number]
        shutil.copytree(made, home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("S.*", ".#*"))
        return fingerprint

    def remove(self) -> None:
        """Remove every home."""
        for home, _ in self._made.values():
            shutil.rmtree(home, ignore_errors=True)


def new_home() -> Path:
    """Make an empty GNUPGHOME; agents' sockets need short paths."""
    return Path(tempfile.mkdtemp(prefix="gb", dir="/tmp"))


@dataclass
class Person:
    """A GNUPGHOME of its own; its agent ends with the test."""

    home: Path
    pool: Pool | None = None

    def end_agent(self) -> None:
        """End the agent that gpg left behind."""
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)

    def gpg(self, *words: str | Path, at: str | None = None, stdin: bytes = b"") -> bytes:
        clock = [] if at is None else ["--faked-system-time", f"{at}T000000!"]
        done = subprocess.run(
            ["gpg", "--batch", "--quiet", "--no-tty", "--yes", "--pinentry-mode", "loopback",
             "--passphrase", "", *clock, *words],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "GNUPGHOME": str(self.home)},
            input=stdin,
            capture_output=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def make(
        self,
        user_id: str,
        algorithm: str = "ed25519",
        *,
        expires: str = "never",
        at: str | None = None,
    ) -> str:
        """Make a key and return its fingerprint."""
        if self.pool is not None and not any(self.home.iterdir()):
            return self.pool.fill(self.home, user_id, algorithm, expires=expires, at=at)
        before = set(self.fingerprints())
        self.gpg("--quick-generate-key", user_id, algorithm, "sign", expires, at=at)
        (new,) = set(self.fingerprints()) - before
        return new

    def fingerprints(self) -> list[str]:
        lines = self.gpg("--with-colons", "--list-secret-keys").decode().split("\n")
        return [
            lines[index + 1].split(":")[9]
            for index, line in enumerate(lines)
            if line.startswith("sec:")
        ]

    def revoke(self, fingerprint: str) -> None:
        prepared = (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
        self.gpg("--import", stdin=prepared.replace("\n:-----", "\n-----").encode())

    def sign(self, document: bytes, key: str, *words: str, at: str | None = None) -> bytes:
        return self.gpg(*words, "--local-user", key, "--detach-sign", at=at, stdin=document)

    def export(self, *keys: str) -> bytes:
        return self.gpg("--armor", "--export", *keys)


@dataclass
class Ran:
    code: int
    out: str
    err: str


@dataclass
class Workspace:
    """A workspace as gbuild leaves it, and the commands run in it as real processes."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def sigs(self) -> Path:
        return self.root / "sigs"

    def build(self, files: dict[str, bytes]) -> None:
        shutil.rmtree(self.root / "build", ignore_errors=True)
        for name, data in files.items():
            path = self.root / "build" / "out" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (self.root / "hello.yml").write_text(DESCRIPTOR)
        (self.root / "result").mkdir(exist_ok=True)
        (self.root / "result" / "hello-res.yml").write_bytes(write_report(self.report(files)))

    def report(self, files: dict[str, bytes]) -> Report:
        entries = [Entry(path=p, digest=hashlib.sha256(d).hexdigest()) for p, d in files.items()]
        descriptor = hashlib.sha256(DESCRIPTOR.encode()).hexdigest()
        return Report(
            out_manifest=write_manifest(entries),
            in_manifest=f"{descriptor}  hello-desc.yml\ngit:{'a' * 40} hellogit:{'b' * 40} world",
            base_manifests={"bookworm-amd64": f"{'0' * 64}  base_1%3a2_all.deb\n" * 2},
            cache_common_manifest=f"{'1' * 64}  common.tar\n",
        )

    def run(self, command: str, *words: str | Path, person: Person | None = None) -> Ran:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), **self.environment}
        if person:
            environment["GNUPGHOME"] = str(person.home)
        done = subprocess.run(
            [sys.executable, "-m", f"gbuild.cli.{command}", *words],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def sign(self, person: Person, *words: str | Path) -> Ran:
        return self.run("gsign", "--release", "1.0", *words, "hello.yml", person=person)

    def verify(self, *words: str | Path) -> Ran:
        return self.run("gverify", "--release", "1.0", *words)

    def files(self) -> dict[str, bytes]:
        return {
            str(p.relative_to(self.sigs)): p.read_bytes()
            for p in sorted(self.sigs.rglob("*"))
            if p.is_file() and ".git/" not in str(p)
        }
