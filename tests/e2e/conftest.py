"""Whole commands on real images: one store for the session, locks made once, one workspace a test.

``GBUILD_TEST_STORE`` names a store that outlives the session; without it the session starts from
an empty one, so that nothing warm hides a missing step.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest

CLONE = Path(__file__).parents[2]
DESCRIPTORS = CLONE / "descriptors"
_SCHEMA = CLONE / "docs" / "reference" / "schemas" / "gbuild.schema.json"
_TIMEOUT = 900


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> Any:
        """The JSON object on its standard output; gbuild's is held against its schema."""
        answer = json.loads(self.stdout)
        if answer["format"] == "gbuild.gbuild/1":
            jsonschema.validate(answer, json.loads(_SCHEMA.read_bytes()))
        return answer


@dataclass(frozen=True, slots=True)
class Commands:
    """Runs gbuild's commands with a store, in a clean environment.

    ``prefix`` is put before every command (another user, other clocks).
    """

    store: Path
    home: Path
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def argv(self, command: str, *words: str | Path) -> list[str]:
        """Return the words of a command."""
        python = str(Path(sys.executable))
        return [*self.prefix, python, "-m", f"gbuild.cli.{command}", *map(str, words)]

    def env(self) -> dict[str, str]:
        """Return the whole environment of a command."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": str(CLONE / "src"),
            "GBUILD_STORE": str(self.store),
            **{
                k: v for k, v in os.environ.items() if k.startswith(("GBUILD_MIRROR_", "COVERAGE_"))
            },
            **self.environment,
        }

    def run(
        self,
        command: str,
        *words: str | Path,
        cwd: Path,
        code: int | None = 0,
        timeout: float = _TIMEOUT,
    ) -> Ended:
        """Run a command to its end and check its exit code (None: any)."""
        done = subprocess.run(
            self.argv(command, *words),
            cwd=cwd,
            env=self.env(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        ended = Ended(done.returncode, done.stdout, done.stderr)
        if code is not None and ended.code != code:
            pytest.fail(
                f"{command} {words} ended with {ended.code}:\n{ended.stdout}\n{ended.stderr}"
            )
        return ended

    def start(self, command: str, *words: str | Path, cwd: Path) -> subprocess.Popen[str]:
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            self.argv(command, *words),
            cwd=cwd,
            env=self.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )


def _reachable_folder(prefix: str) -> Path:
    """Make a folder that mapped users reach (pytest's own ones are 0700)."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """A folder for the session, reachable for everybody."""
    folder = _reachable_folder("gbuild-e2e-")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def store(session_folder: Path) -> Path:
    """The store of the session."""
    chosen = os.environ.get("GBUILD_TEST_STORE")
    folder = Path(chosen) if chosen else session_folder / "store"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def commands(store: Path, session_folder: Path) -> Commands:
    """The commands, as whoever runs the tests."""
    home = session_folder / "home"
    home.mkdir()
    return Commands(store, home)


@pytest.fixture(scope="session")
def locked_hello(commands: Commands, session_folder: Path) -> Path:
    """A folder with hello.yml, its lock of today and the proof."""
    folder = session_folder / "hello"
    folder.mkdir()
    shutil.copy(DESCRIPTORS / "hello.yml", folder)
    commands.run("glock", "hello.yml", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def hello_tarball(commands: Commands, store: Path, locked_hello: Path) -> Path:
    """GNU hello's sources, fetched by gbuild."""
    commands.run("gbuild", "hello.yml", "--dry-run", cwd=locked_hello)
    found = re.search(r"sha256: ([0-9a-f]{64})", (locked_hello / "hello.yml").read_text())
    assert found is not None
    return store / "blobs" / found[1][:2] / found[1]


SCRIPT = """\
name: {name}
distro: debian
suites: [bookworm]
architectures: [amd64]
network: none
reference_datetime: "2024-01-31 12:00:00"
{more}script: |
{script}"""


@dataclass(frozen=True, slots=True)
class Project:
    """A workspace with small descriptors that share hello's image."""

    root: Path
    lock: Path
    commands: Commands

    def describe(self, script: str, *, name: str = "small", more: str = "") -> Path:
        """Write ``<name>.yml`` with its lock beside it."""
        body = "".join(f"  {line}\n" for line in script.splitlines())
        path = self.root / f"{name}.yml"
        path.write_text(SCRIPT.format(name=name, more=more, script=body))
        for suffix in (".lock", ".lock.proof"):
            shutil.copy(self.lock.with_name(f"hello{suffix}"), self.root / f"{name}{suffix}")
        return path

    def gbuild(self, *words: str | Path, code: int | None = 0, timeout: float = _TIMEOUT) -> Ended:
        """Run gbuild here."""
        return self.commands.run("gbuild", *words, cwd=self.root, code=code, timeout=timeout)


@pytest.fixture
def project(commands: Commands, locked_hello: Path) -> Iterator[Project]:
    """A fresh workspace."""
    root = _reachable_folder("gbuild-work-")
    yield Project(root, locked_hello / "hello.lock", commands)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def leaves_nothing(commands: Commands) -> Iterator[None]:
    """Check that no process and no target of a test is left behind."""
    before = processes(commands.store)
    yield
    after = processes(commands.store) - before
    assert not after, f"left behind: {after}"


def processes(store: Path) -> set[str]:
    """Return the processes whose environment or command line names the store."""
    found = set()
    needle = os.fsencode(store)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if needle in text and int(folder.name) != os.getpid():
            found.add(f"{folder.name} {line.replace(bytes(1), b' ').decode(errors='replace')}")
    return found
