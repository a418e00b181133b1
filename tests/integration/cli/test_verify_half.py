"""gverify without the build half, on other systems as far as can be played, and as one file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.integration.getting.conftest import project, signers
from tests.integration.getting.project import Project

__all__ = ["project", "signers"]

ROOT = Path(__file__).parents[3]
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65534

WITHOUT = """\
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in MODULES or name.startswith(PACKAGES):
            raise ModuleNotFoundError(name + " is not on this system", name=name)

MODULES = {modules!r}
PACKAGES = {packages!r}
sys.meta_path.insert(0, Blocked())
for name in MODULES:
    sys.modules.pop(name, None)
"""
BUILD_HALF = tuple(
    f"gbuild.{name}" for name in ("app", "backends", "engine", "image", "sign", "target")
)
LIBRARIES = {"paramiko", "cryptography", "nacl", "bcrypt", "rich", "pygments", "pylxd", "libvirt"}
UNIX_ONLY = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog", "_posixshmem"}
LIKE_WINDOWS = """\
import os, select, signal, subprocess, tempfile, shutil

for name in ("O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "getuid",
             "geteuid", "getgid", "fork", "ttyname", "fchmod", "chown", "mkfifo", "uname"):
    delattr(os, name)
for name in ("SIGHUP", "SIGPIPE", "SIGKILL", "SIGALRM"):
    delattr(signal, name)
del select.poll
shutil._use_fd_functions = False
os.supports_dir_fd = os.supports_fd = os.supports_follow_symlinks = set()

def by_path(real):
    def call(path, *words, **named):
        if isinstance(path, int) or named.get("dir_fd") is not None:
            raise NotImplementedError("no descriptors of folders on this system")
        return real(path, *words, **named)
    return call

def never_a_folder(path, *words, real=os.open, **named):
    if os.path.isdir(path):
        raise PermissionError(13, "a folder cannot be opened on this system")
    return real(path, *words, **named)

os.scandir = by_path(os.scandir)
os.open = by_path(never_a_folder)
"""
RUN = "from gbuild.cli.gverify import main; main()"


def verify(project: Project, prelude: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run gverify after something was taken away from the interpreter."""
    return subprocess.run(
        [sys.executable, "-c", prelude + RUN, "-d", "sigs", *words],
        cwd=project.root,
        env={"PATH": os.environ["PATH"], "HOME": str(project.root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def without(*, modules: set[str], packages: tuple[str, ...] = ()) -> str:
    return WITHOUT.format(modules=modules, packages=packages or ("-",))


VIEWS = [("--markdown",), ("--html",), ("--explain", "-v"), ("--json",), ("--all",)]


@pytest.mark.parametrize("view", VIEWS, ids=lambda words: words[0])
def test_gverify_needs_nothing_of_the_build_half(project: Project, view: tuple[str, ...]) -> None:
    project.release()
    prelude = without(modules=LIBRARIES, packages=BUILD_HALF)
    words = view if "--all" in view else ("-r", "1.0", *view)
    done = verify(project, prelude, *words)
    assert done.returncode == 0, done.stderr


def test_a_build_says_what_it_lacks(tmp_path: Path) -> None:
    prelude = without(modules={"paramiko"})
    run = "import gbuild.cli._failure as f; import click\n"
    run += "from gbuild.cli._boundary import run\n"
    run += "run(click.Command('x', callback=lambda: __import__('paramiko')))"
    done = subprocess.run(
        [sys.executable, "-c", prelude + run], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr == (
        "error: the Python library paramiko, which builds need, is not installed\n"
        "hint: pip install 'gbuild[build]'\n"
    )


def test_gverify_judges_without_what_only_unix_has(project: Project) -> None:
    project.release()
    prelude = without(modules=UNIX_ONLY | LIBRARIES, packages=BUILD_HALF) + LIKE_WINDOWS
    done = verify(project, prelude, "-r", "1.0")
    assert done.returncode == 0, done.stderr
    assert "GOOD" in done.stdout
    project.release(files={"hello.tar.gz": b"another"}, by=("carol",))
    assert verify(project, prelude, "-r", "1.0").returncode == 1


def test_links_are_refused_by_path_too(project: Project) -> None:
    project.release(by=("alice", "bob"))
    (project.sigs / "1.0/bob").rename(project.root / "bob")
    (project.sigs / "1.0/bob").symlink_to(project.root / "bob")
    entry = project.sigs / "1.0/alice/hello-build.assert"
    entry.rename(project.root / "entry")
    entry.symlink_to(project.root / "entry")
    prelude = without(modules=UNIX_ONLY) + LIKE_WINDOWS
    done = verify(project, prelude, "-r", "1.0")
    assert done.returncode == 8
    assert "bob is a symbolic link" in done.stdout
    assert "hello-build.assert is a symbolic link" in done.stdout
    plain = verify(project, "", "-r", "1.0")
    assert plain.stdout == done.stdout


def test_a_pipe_in_a_tree_is_refused_by_path_too(project: Project) -> None:
    project.release()
    entry = project.sigs / "1.0/alice/hello-build.assert"
    entry.unlink()
    os.mkfifo(entry)
    done = verify(project, without(modules=UNIX_ONLY) + LIKE_WINDOWS, "-r", "1.0")
    assert done.returncode == 8
    assert "is not a regular file" in done.stdout


# One file.


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zipapp(ROOT, tmp_path_factory.mktemp("made") / "gverify.pyz")


def zipapp(clone: Path, file: Path, *, user: int | None = None, umask: int = 0o22) -> Path:
    done = subprocess.run(
        [sys.executable, "-I", clone / "bin/.zipapp.py", "gverify", file],
        env={"PATH": os.environ["PATH"], "TZ": "Asia/Tokyo" if user else "UTC"},
        capture_output=True,
        text=True,
        check=False,
        user=user,
        umask=umask,
    )
    assert done.returncode == 0, done.stderr
    return file


def test_one_file_is_the_same_wherever_it_is_made(made: Path, open_folder: Path) -> None:
    clone = open_folder / "another/clone"
    for part in ("src", "bin"):
        shutil.copytree(ROOT / part, clone / part)
    shutil.copy(ROOT / "LICENSE", clone)
    for name in ("page.css.orig", "page.css~", ".page.css", "page.css.rej", "tree.py.orig"):
        (clone / "src/gbuild/ui" / name).write_text("left by an editor")
    for path in clone.rglob("*"):
        os.utime(path, (1, 1))
    folder = open_folder / "out"
    folder.mkdir()
    user = NOBODY if os.geteuid() == 0 else None
    if user:
        os.chown(folder, user, user)
    other = zipapp(clone, folder / "other.pyz", user=user, umask=0o77)
    assert other.read_bytes() == made.read_bytes()
    assert (made.stat().st_mode & 0o777, other.stat().st_mode & 0o777) == (0o755, 0o755)


def test_one_file_holds_what_is_needed_and_no_more(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {name for name in _data() if f"{Path(name).parent}/__init__.py" in names} <= {*names}
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    tops = {name.split("/")[0] for name in names}
    assert tops == {"__main__.py", "licenses", "gbuild", "click", "yaml", "gnupg.py"}
    packages = {name.split("/")[1] for name in names if name.startswith("gbuild/")}
    assert packages.isdisjoint({"app.py", "backends", "engine", "image", "sign", "target", "get"})
    assert {f"licenses/{each}.txt" for each in ("gbuild", "click", "PyYAML")} < set(names)


def _data() -> list[str]:
    """Return what there is beside modules, so that none is forgotten for its suffix.

    In a clone that is what git knows, so that leftovers of an editor do not matter; an export has
    nothing else.
    """
    words = ("git", "-C", ROOT / "src", "-c", f"safe.directory={ROOT}", "ls-files", "gbuild")
    if (ROOT / ".git").exists():
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        listed = done.stdout.splitlines()
    else:
        paths = (ROOT / "src/gbuild").rglob("*")
        listed = [str(path.relative_to(ROOT / "src")) for path in paths if path.is_file()]
    found = [name for name in listed if not name.endswith((".py", ".pyc"))]
    assert "gbuild/ui/page.css" in found
    return found


def test_one_file_runs_where_there_is_nothing_but_python_and_gpg(
    made: Path, project: Project
) -> None:
    project.release()
    done = subprocess.run(
        [SYSTEM_PYTHON, "-I", "-S", made, "-r", "1.0", "-d", "sigs", "--html", "-o", "page.html"],
        cwd=project.root,
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "hello" in (project.root / "page.html").read_text()


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_one_file_answers_at_once(made: Path, option: str) -> None:
    """Nothing that reads trees is loaded for it."""
    words = (SYSTEM_PYTHON, "-I", "-X", "importtime", made, option)
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {"click", "gbuild.cli.gverify"} <= loaded
    late = ("yaml", "gnupg", "gbuild.verify", "gbuild.formats", "gbuild.ui", "ssl", "asyncio")
    assert not [name for name in loaded if name.startswith(late)]
