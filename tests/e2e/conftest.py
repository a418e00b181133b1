"""Whole commands on real images: one store for the run, locks made once, one workspace a test.

``GBUILD_TEST_STORE`` names a store that outlives the run; without it the run starts from an empty
one, so that nothing warm hides a missing step.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

if TYPE_CHECKING:
    from tests.conftest import Common

CLONE = Path(__file__).parents[2]
DESCRIPTORS = CLONE / "descriptors"
_SCHEMA = CLONE / "docs" / "reference" / "schemas" / "gbuild.schema.json"
_TIMEOUT = 900

RELEASES_ONLY = tuple(
    word
    for suite in ("bookworm", "trixie")
    for pocket in ("security", "updates")
    for word in ("--without", f"{suite}-{pocket}")
)
"""For glock: leave out what changes every day, so that a mirror may have it out of step.

What pockets do is tested with archives of our own (tests/integration/image/test_lock.py).
"""


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
            lines = ended.stderr.splitlines()
            error = next((line for line in lines if "error" in line), "")
            what = f"{command} ended with {ended.code}: {error}"  # a short summary shows only this
            pytest.fail(f"{what}\n{words}\n{ended.stdout}\n{ended.stderr}")
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


@pytest.fixture(scope="session")
def store(common: Common) -> Path:
    """The store of the run."""
    chosen = os.environ.get("GBUILD_TEST_STORE")
    folder = Path(chosen) if chosen else common.root / "store"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def commands(store: Path, common: Common) -> Commands:
    """The commands, as whoever runs the tests."""
    return Commands(store, common.once("home", lambda _: None))


@pytest.fixture(scope="session")
def locked_hello(commands: Commands, common: Common) -> Path:
    """A folder with hello.yml, its lock of today and the proof; not to be worked in.

    The lock has what virtual machines boot, too: that changes neither image nor report.
    """

    def lock(folder: Path) -> None:
        shutil.copy(DESCRIPTORS / "hello.yml", folder)
        commands.run("glock", "--boot", "hello.yml", *RELEASES_ONLY, cwd=folder)

    return common.once("hello", lock)


@pytest.fixture(scope="session")
def locked_minimal(commands: Commands, locked_hello: Path, common: Common) -> Path:
    """A folder with the lock of the smallest image; its packages are those of hello's and less."""

    def lock(folder: Path) -> None:
        (folder / "minimal.yml").write_text(
            SCRIPT.format(name="minimal", more="base: minimal\n", script="  true\n")
        )
        commands.run("glock", "--no-image", "minimal.yml", *RELEASES_ONLY, cwd=folder)

    return common.once("minimal", lock)


@dataclass(frozen=True, slots=True)
class Result:
    """What a build left, to be compared with another's; ``images``: their sha256."""

    report: bytes
    out: dict[str, bytes]
    images: frozenset[str]
    ended: float = field(compare=False)

    @classmethod
    def of(cls, workspace: Path, name: str = "hello") -> Result:
        """Read what a build of ``name`` left in a workspace."""
        out = workspace / "build" / "out"
        jobs = (workspace / "build").glob("*/finished.json")
        report = workspace / "result" / f"{name}-res.yml"
        return cls(
            report=report.read_bytes(),
            out={str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()},
            images=frozenset(json.loads(job.read_bytes())["image"] for job in jobs),
            ended=report.stat().st_mtime,
        )


def build_hello(commands: Commands, locked: Path, workspace: Path, *words: str) -> Result:
    """Build hello, with the lock that lies in ``locked``, in another folder."""
    for suffix in (".yml", ".lock", ".lock.proof"):
        shutil.copy(locked / f"hello{suffix}", workspace)
    # A user's own git and temporary files lie in the workspace; enter it by --workspace.
    path = workspace / "hello.yml"
    commands.run("gbuild", "--workspace", workspace, *words, path, cwd=workspace)
    return Result.of(workspace)


@pytest.fixture(scope="session")
def built_hello(commands: Commands, locked_hello: Path, common: Common) -> Result:
    """What the default backend makes of hello, built once for all who compare with it."""
    return Result.of(
        common.once("built hello", lambda folder: build_hello(commands, locked_hello, folder))
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """A new folder that other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="gbuild-agreement-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def hello(locked_hello: Path, project: Project) -> Path:
    """A workspace with hello.yml, its lock and the proof."""
    for suffix in (".yml", ".lock", ".lock.proof"):
        shutil.copy(locked_hello / f"hello{suffix}", project.root)
    return project.root


@pytest.fixture
def hello_tarball(commands: Commands, store: Path, hello: Path) -> Path:
    """GNU hello's sources, fetched by gbuild."""
    commands.run("gbuild", "hello.yml", "--dry-run", cwd=hello)
    found = re.search(r"sha256: ([0-9a-f]{64})", (hello / "hello.yml").read_text())
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
    """A workspace with small descriptors that share one lock: hello's, if nothing is said."""

    root: Path
    lock: Path
    commands: Commands

    def describe(self, script: str, *, name: str = "small", more: str = "") -> Path:
        """Write ``<name>.yml`` with its lock beside it."""
        body = "".join(f"  {line}\n" for line in script.splitlines())
        path = self.root / f"{name}.yml"
        path.write_text(SCRIPT.format(name=name, more=more, script=body))
        for suffix in (".lock", ".lock.proof"):
            shutil.copy(self.lock.with_suffix(suffix), self.root / f"{name}{suffix}")
        return path

    def gbuild(self, *words: str | Path, code: int | None = 0, timeout: float = _TIMEOUT) -> Ended:
        """Run gbuild here."""
        return self.commands.run("gbuild", *words, cwd=self.root, code=code, timeout=timeout)


@pytest.fixture
def project(commands: Commands, locked_hello: Path) -> Iterator[Project]:
    """A fresh workspace."""
    root = Path(tempfile.mkdtemp(prefix="gbuild-work-", dir="/var/tmp"))
    root.chmod(0o755)  # pytest's own folders are closed to mapped users
    yield Project(root, locked_hello / "hello.lock", commands)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def minimal(project: Project, locked_minimal: Path) -> Project:
    """A fresh workspace whose image is quick to make; for ``more``: ``base: minimal``."""
    return replace(project, lock=locked_minimal / "minimal.lock")


@pytest.fixture
def small_disk(project: Project) -> Iterator[Path]:
    """A file system of 90 MiB."""
    folder = project.root / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def orphans() -> Iterator[Callable[[], set[str]]]:
    """Return a function that tells which new processes live below this one, orphans included."""
    _adopt_orphans(yes=True)
    before = _below(os.getpid())
    yield lambda: _below(os.getpid()) - before
    _adopt_orphans(yes=False)
    for pid in _zombies():
        os.waitpid(pid, os.WNOHANG)


@pytest.fixture
def leaves_nothing(orphans: Callable[[], set[str]]) -> Iterator[None]:
    """Check that no process of a test is left behind."""
    yield
    check_gone(orphans)


def end_after(process: subprocess.Popen[str], text: str, number: int, delay: float = 0) -> int:
    """Send a signal ``delay`` seconds after a line of standard error held ``text``.

    Returns its exit status, once it has ended.
    """
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            break
    time.sleep(delay)
    os.kill(process.pid, number)
    process.communicate(timeout=120)
    return process.returncode


def check_gone(orphans: Callable[[], set[str]]) -> None:
    """Fail unless all processes of the test are gone, now or within two minutes."""
    for _ in range(1200):
        if not orphans():
            return
        time.sleep(0.1)
    pytest.fail(f"left behind: {orphans()}")


def _adopt_orphans(*, yes: bool) -> None:
    """Be the parent of descendants whose parent ends (PR_SET_CHILD_SUBREAPER of prctl(2))."""
    if ctypes.CDLL(None).prctl(36, int(yes), 0, 0, 0) != 0:
        pytest.fail("this process cannot become a subreaper")


def _below(pid: int) -> set[str]:
    """Return the living descendants of a process: pid and command line of each."""
    parents = {child: parent for child, (parent, state) in _states().items() if state != "Z"}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {f"{child} {_command(child)}" for child in found - {pid}}


def _zombies() -> list[int]:
    own = os.getpid()
    return [pid for pid, (parent, state) in _states().items() if (parent, state) == (own, "Z")]


def _states() -> dict[int, tuple[int, str]]:
    """Return parent and state of every process; proc(5)."""
    states = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = place.read_text().rpartition(")")[2].split()
            states[int(place.parent.name)] = (int(fields[1]), fields[0])
    return states


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1")
    except OSError:
        return ""
