"""Our own programs as mapped root, and foreign code run from inside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gbuild.errors import BackendFailure, TimedOut
from gbuild.host.idmap import IdMap
from gbuild.host.sandbox.trusted import run_trusted

from .conftest import PROGRAMS
from .processes import marked, until


def test_a_program_is_root_of_its_namespaces_without_our_environment(
    idmap: IdMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "secret")
    done = run_trusted(idmap, PROGRAMS / "identity.py", ["/", "b"])
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["uid"], facts["pid"], facts["argv"]) == (2, 0, 1, ["/", "b"])
    assert "CANARY_TOKEN" not in facts["environment"]
    assert not facts["effective"].strip("0f1")  # full capabilities, in its own user namespace
    assert tmp_path.exists()


def test_a_folder_below_closed_ones_is_reached_under_its_own_path(
    idmap: IdMap, tmp_path: Path
) -> None:
    first, second = tmp_path / "closed/a/b", tmp_path / "closed/a/c"
    for folder in (first, second):
        folder.mkdir(parents=True)
        (folder / f"file-{folder.name}").touch()
    (tmp_path / "closed").chmod(0o700)
    for folder in (first, second):
        done = run_trusted(idmap, PROGRAMS / "identity.py", [str(folder)], folders=[first, second])
        assert json.loads(done.stdout)["folder"] == [f"file-{folder.name}"]


def test_a_program_below_a_closed_folder_can_be_run(idmap: IdMap, tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    program = folder / "answer.py"
    program.write_text("def main(argv):\n    return 42\n")
    assert run_trusted(idmap, program, []).returncode == 42


def test_what_targets_need_is_tried_with_a_python_below_a_closed_folder(idmap: IdMap) -> None:
    """Such as one of pyenv's: nothing more of it can be imported once users are mapped."""
    done = run_trusted(idmap, PROGRAMS / "alone.py", [])
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert "several users\t" in lines


def test_an_exception_is_a_bug_with_its_traceback(idmap: IdMap) -> None:
    done = run_trusted(idmap, PROGRAMS / "explode.py", ["boom"])
    assert done.returncode == 70
    assert b"RuntimeError: boom" in done.stderr


def test_a_missing_folder_is_an_error_that_names_it(idmap: IdMap, tmp_path: Path) -> None:
    with pytest.raises(BackendFailure) as caught:
        run_trusted(idmap, PROGRAMS / "identity.py", [], folders=[tmp_path / "absent"])
    assert "absent" in "".join(caught.value.details)


def test_a_timeout_leaves_nothing(idmap: IdMap) -> None:
    with pytest.raises(TimedOut):
        run_trusted(idmap, PROGRAMS / "wait.py", [], timeout=0.5)
    assert until(lambda: not marked(b"gbuild.host.sandbox.launcher", parent=os.getpid()))


def test_killing_the_caller_leaves_nothing(idmap: IdMap) -> None:
    script = (
        "import os; from pathlib import Path; from gbuild.host.idmap import current;"
        "from gbuild.host.sandbox.trusted import run_trusted;"
        f"run_trusted(current(os.environ), Path({str(PROGRAMS / 'wait.py')!r}), [], stdout=1)"
    )
    caller = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert caller.stdout is not None
    with caller, caller.stdout:
        assert caller.stdout.readline() == b"waiting\n"
        (launcher,) = marked(b"gbuild.host.sandbox.launcher", parent=caller.pid)
        family = {launcher, *marked(b"gbuild.host.sandbox.launcher", below=launcher)}
        assert len(family) == 3  # the launcher, the program and its grandchild
        caller.kill()
        caller.wait()
        assert until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
    assert idmap.label


def test_foreign_code_is_confined(idmap: IdMap, own_tree: Path) -> None:
    script = (
        "id -u; echo hello >/written; readlink /proc/self/ns/user >&2;"
        "mount -t tmpfs x /tmp; unshare -U true; echo x >/proc/sysrq-trigger; exit 7"
    )
    done = run_trusted(
        idmap, PROGRAMS / "confine.py", [str(own_tree), "bash", "-c", script], folders=[own_tree]
    )
    assert done.returncode == 7
    assert done.stdout == b"0\n"
    assert done.stderr.count(b"Operation not permitted") + done.stderr.count(b"denied") >= 2
    assert (own_tree / "written").read_text() == "hello\n"


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["false"], 1),
        (["no-such-program"], 127),
        (["bash", "-c", "kill -9 $$"], 137),
        (["bash", "-c", "setsid sleep 600 & exit 3"], 3),
    ],
)
def test_a_confined_status_is_a_shells(
    idmap: IdMap, tree: Path, command: list[str], status: int
) -> None:
    began = time.monotonic()
    done = run_trusted(idmap, PROGRAMS / "confine.py", [str(tree), *command], folders=[tree])
    assert done.returncode == status, done.stderr
    assert time.monotonic() - began < 300


def test_a_tree_without_a_real_proc_directory_is_refused(idmap: IdMap, own_tree: Path) -> None:
    arguments = [str(own_tree / "proc"), "/etc"]
    assert (
        run_trusted(idmap, PROGRAMS / "symlink.py", arguments, folders=[own_tree]).returncode == 0
    )
    done = run_trusted(idmap, PROGRAMS / "confine.py", [str(own_tree), "true"], folders=[own_tree])
    assert done.returncode == 125
    assert b"sandbox: " in done.stderr
