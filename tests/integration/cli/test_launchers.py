"""The launchers make their Python environment by themselves, once, and keep foreign code out."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
EMPTY_LOCK = "# no packages: nothing has to be downloaded\n"
PYTHON = "/usr/bin/python3"
WITHOUT_PIP = f"""\
#!/bin/sh
case "$*" in
"-I -m venv "*)
    {PYTHON} -I -m venv --without-pip "$4" && cd "$4"/lib/python*/site-packages || exit
    mkdir pip && touch pip/__init__.py pip/__main__.py
    ;;
*) exec {PYTHON} "$@" ;;
esac
"""
"""An interpreter whose environments have a pip that does nothing: real ones take seconds."""

PROBE = """\
import json, sys
def main():
    print(json.dumps({"prefix": sys.prefix, "path": sys.path, "argv": sys.argv}))
"""
NOBODY = 65534


@pytest.fixture
def clone(open_folder: Path) -> Path:
    """Return a clone whose gverify tells how it was run, and whose lock is empty."""
    clone = open_folder / "clone"
    shutil.copytree(ROOT / "bin", clone / "bin")
    (clone / "src/gbuild/cli").mkdir(parents=True)
    for name in ("", "cli/"):
        (clone / f"src/gbuild/{name}__init__.py").touch()
    (clone / "src/gbuild/cli/gverify.py").write_text(PROBE)
    (clone / "requirements.lock").write_text(EMPTY_LOCK)
    (clone / "quick-python").write_text(WITHOUT_PIP)
    (clone / "quick-python").chmod(0o755)
    return clone


@pytest.fixture
def ready(clone: Path) -> Path:
    """Return a clone that has its environment."""
    told(clone)
    return clone


def start(
    clone: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: int | None = None,
    umask: int = -1,
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [clone / "bin/gverify", "--help"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(clone.parent),
            "GBUILD_PYTHON": str(clone / "quick-python"),
            **(env or {}),
        },
        cwd=cwd,
        user=user,
        group=user,
        extra_groups=None if user is None else (),
        umask=umask,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def told(clone: Path, **options: Any) -> dict[str, object]:
    code, out, err = finish(start(clone, **options))
    assert code == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def environments(clone: Path) -> list[str]:
    return sorted(path.name for path in (clone / ".venv").glob("requirements-*"))


def test_made_once_by_whoever_comes_first(clone: Path) -> None:
    real = {"GBUILD_PYTHON": PYTHON}
    ends = [finish(one) for one in [start(clone, env=real, umask=0o077) for _ in range(3)]]
    assert [code for code, _, _ in ends] == [0, 0, 0]
    assert "".join(err for _, _, err in ends).count("making the Python environment") == 1
    code, out, err = finish(start(clone, env=real))
    assert (code, err) == (0, "")
    assert json.loads(out)["argv"] == ["gverify", "--help"]
    assert json.loads(out)["path"][0] == str(clone / "src")
    for path in (clone / ".venv").rglob("*"):
        assert path.stat().st_mode & 0o444 == 0o444, f"others cannot read {path}"


def test_a_new_lock_gets_a_new_environment(ready: Path) -> None:
    old = told(ready)["prefix"]
    (ready / "requirements.lock").write_text(EMPTY_LOCK + "# newer\n")
    new = told(ready)["prefix"]
    assert old != new
    assert len(environments(ready)) == 2


def test_one_that_was_interrupted_is_made_anew(ready: Path) -> None:
    (name,) = environments(ready)
    half = ready / ".venv" / name
    (half / ".ready").unlink()
    shutil.rmtree(half / "lib")
    assert told(ready)["prefix"] == str(half)
    assert (half / ".ready").exists()


def test_foreign_modules_are_not_imported(ready: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("json", "importlib", "gbuild", "sitecustomize", "usercustomize"):
        (trap / f"{name}.py").write_text("raise SystemExit('imported from the trap')")
    env = {"PYTHONPATH": str(trap), "PYTHONHOME": str(trap), "PYTHONSTARTUP": str(trap / "json.py")}
    assert str(trap) not in str(told(ready, cwd=trap, env=env)["path"])


def test_ctrl_c_among_the_imports_leaves_no_traceback(ready: Path) -> None:
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (ready / "src/gbuild/cli/gverify.py").write_text(text)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # else children ignore it
    try:
        code, out, err = finish(start(ready))
    finally:
        signal.signal(signal.SIGINT, before)
    assert (code, out, err) == (-signal.SIGINT, "", "")


def test_a_link_to_a_launcher_works(ready: Path, tmp_path: Path) -> None:
    link = tmp_path / "somewhere"
    link.symlink_to(ready / "bin/gverify")
    env = {**os.environ, "GBUILD_PYTHON": str(ready / "quick-python")}
    done = subprocess.run([link], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["argv"] == ["gverify"]


@pytest.mark.root
def test_a_read_only_clone_uses_the_store(clone: Path) -> None:
    home = clone.parent / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    env = {"HOME": str(home)}
    found = told(clone, env=env, user=NOBODY)
    assert str(found["prefix"]).startswith(f"{home}/.cache/gbuild/venv/")
    told(clone)  # root has made the clone's own, which everybody then uses
    assert str(told(clone, env=env, user=NOBODY)["prefix"]).startswith(f"{clone}/.venv/")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 1", "is not Python 3.11 or newer"),
        ('case "$*" in *ensurepip*) exit 1 ;; esac', "hint: sudo apt-get install python3-venv"),
    ],
)
def test_an_unfit_interpreter_is_named(clone: Path, script: str, message: str) -> None:
    python = clone / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    code, out, err = finish(start(clone, env={"GBUILD_PYTHON": str(python)}))
    assert (code, out) == (3, "")
    assert message in err
    assert str(python) in err


def test_a_missing_interpreter_is_named(clone: Path) -> None:
    code, _, err = finish(start(clone, env={"GBUILD_PYTHON": "/nonexistent/python"}))
    assert code == 3
    assert "/nonexistent/python is not Python 3.11 or newer" in err


def test_packages_that_cannot_be_had_are_tried_again(clone: Path, tmp_path: Path) -> None:
    (clone / "requirements.lock").write_text(f"nothing==1 \\\n    --hash=sha256:{'0' * 64}\n")
    sleep = tmp_path / "tools/sleep"
    sleep.parent.mkdir()
    sleep.write_text("#!/bin/sh\n")
    sleep.chmod(0o755)
    env = {
        "PATH": f"{sleep.parent}:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "GBUILD_PYTHON": PYTHON,
    }
    code, out, err = finish(start(clone, env=env))
    assert (code, out) == (4, "")
    assert err.count("trying again") == 4
    assert "hint: check the network" in err


@pytest.mark.parametrize("command", ["gbuild", "gsign", "gverify", "gtarget", "glock", "gdoctor"])
def test_help_imports_nothing_slow(command: str) -> None:
    program = (
        f"import atexit, sys\nfrom gbuild.cli.{command} import main\n"
        "slow = {'paramiko', 'yaml', 'rich', 'cryptography', 'gnupg', 'asyncio'}\n"
        "loaded = lambda: print('loaded:', *slow & set(sys.modules), file=sys.stderr, flush=True)\n"
        f"atexit.register(loaded)\nsys.argv = [{command!r}, '--help']\nmain()"
    )
    env = {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"Usage: {command}")
    assert done.stderr == "loaded:\n"


@pytest.mark.slow
def test_help_is_quick() -> None:
    """The time of the processor, which a busy machine does not change much."""
    used = []
    for _ in range(11):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([f"{ROOT}/bin/gverify", "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(used) < 0.15, sorted(used)
