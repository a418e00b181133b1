"""Trees into a target and out of it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gbuild.errors import BuildFailed
from gbuild.target.backend import Limits, Machine
from gbuild.target.contract.base import Contract, Start
from gbuild.target.shell import TreeLimits

_HOME = "/home/builder"
_ODD_NAMES = (
    *(" leading", "trailing ", "two  spaces", "-dash", "--", "~", "a'b", 'a"b', "a`b`", "$HOME"),
    *("*", "?", "[a]", "back\\slash", "ä ö ü", "日本", "{}", "#", "!", "&", ";", "x" * 255, "."),
)
_ALL = (
    f"cd {_HOME}/many && find . -type f -print0 | sort -z | xargs -0 cat | sha256sum;"
    " find . -type f | wc -l"
)


class TreeContract(Contract):
    """Putting and getting."""

    @pytest.fixture
    def memory(self) -> Iterator[Path]:
        """A folder in memory where the host has one: a disk takes minutes for that many files."""
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        with tempfile.TemporaryDirectory(prefix="gbuild-contract-", dir=place) as folder:
            yield Path(folder)

    def test_trees_go_in_and_come_out(self, machine: Machine, tmp_path: Path) -> None:
        source = tmp_path / "source"
        (source / "a" / "b").mkdir(parents=True)
        (source / "a" / "empty").mkdir()
        (source / "a" / "b" / "data").write_bytes(os.urandom(3_000_000))
        (source / "a" / "tool").write_text("#!/bin/sh\n")
        (source / "a" / "tool").chmod(0o700)
        (source / "a" / "link").symlink_to("b/data")
        with self.target(machine) as target:
            target.put_tree(source, f"{_HOME}/build", user="builder", mtime=1_234_567_890)
            listed = self.out(machine, "find build/a -printf '%P %u %m %Ts %l\\n'")
            target.get_tree(
                f"{_HOME}/build", tmp_path / "back", limits=TreeLimits(), user="builder"
            )
        assert sorted(listed.splitlines()) == [
            " builder 755 1234567890 ",
            "b builder 755 1234567890 ",
            "b/data builder 644 1234567890 ",
            "empty builder 755 1234567890 ",
            "link builder 777 1234567890 b/data",
            "tool builder 755 1234567890 ",
        ]
        copied = tmp_path / "back" / "a"
        assert (copied / "b" / "data").read_bytes() == (source / "a" / "b" / "data").read_bytes()
        assert str((copied / "link").readlink()) == "b/data"
        assert (copied / "tool").stat().st_mode & 0o777 == 0o755
        assert list((copied / "empty").iterdir()) == []

    def test_odd_names_survive(self, machine: Machine, tmp_path: Path) -> None:
        source = tmp_path / "odd"
        deep = source.joinpath(*(f"level{n}" for n in range(60)))
        deep.mkdir(parents=True)
        for name in (one for one in _ODD_NAMES if one != "."):
            (source / name).write_text(name)
            (deep / name).write_text(name)
        with self.target(machine) as target:
            target.put_tree(source, f"{_HOME}/odd names", user="builder")
            target.get_tree(
                f"{_HOME}/odd names", tmp_path / "back", limits=TreeLimits(), user="builder"
            )
        assert _contents(tmp_path / "back") == _contents(source)

    @pytest.mark.parametrize(
        "script",
        ["touch $'new\\nline'", "touch $'\\xff'", "ln -s /etc/passwd link", "mkfifo pipe"],
        ids=["newline", "bytes", "link out", "pipe"],
    )
    def test_what_no_tree_may_hold_is_refused(
        self, machine: Machine, tmp_path: Path, script: str
    ) -> None:
        self.out(machine, f"rm -rf bad; mkdir bad; cd bad; {script}")
        with self.target(machine) as target, pytest.raises(BuildFailed):
            target.get_tree(f"{_HOME}/bad", tmp_path / "bad", limits=TreeLimits(), user="builder")
        assert not (tmp_path / "bad").exists()

    def test_many_files(self, start: Start, memory: Path) -> None:
        source = memory / "many"
        wanted = _make_many(source, self.files)
        room = Limits(memory=1 << 30, disk=1 << 30, inodes=4 * self.files, processes=400)
        machine = start(name="many", limits=room)
        with self.target(machine) as target:
            target.put_tree(source, f"{_HOME}/many", user="builder")
            assert self.out(machine, _ALL).split() == [wanted, "-", str(self.files)]
            target.get_tree(f"{_HOME}/many", memory / "back", limits=TreeLimits(), user="builder")
        assert _contents(memory / "back") == _contents(source)


def _make_many(folder: Path, count: int) -> str:
    """Make ``count`` small files in folders of a thousand; return the digest of all contents."""
    digest = hashlib.sha256()
    for number in range(count):
        place = folder / f"{number // 1000:03}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        data = f"{number:06}\n".encode()
        digest.update(data)
        (place / f"{number:06}").write_bytes(data)
    return digest.hexdigest()


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        os.path.relpath(os.path.join(place, name), folder): Path(place, name).read_bytes()
        for place, _, names in os.walk(folder)
        for name in names
    }
