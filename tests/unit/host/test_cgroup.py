"""Control groups, on a folder that plays the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.host import cgroup

_CAPS = cgroup.Caps(memory=1 << 30, cpus=2, processes=100)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The two files of /proc/self that say where we are."""
    return tmp_path / "cgroup", tmp_path / "mountinfo"


def _mount(point: Path, kind: str, options: str, root: str = "/") -> str:
    return f"30 20 0:26 {root} {point} rw shared:1 - {kind} {kind} rw,{options}\n"


def test_version_1_has_a_place_per_controller(tmp_path: Path, files: tuple[Path, Path]) -> None:
    membership, mounts = files
    for name in ("memory/own", "pids", "cpu"):
        (tmp_path / name).mkdir(parents=True)
    membership.write_text("4:memory:/own\n3:cpu,cpuacct:/\n2:pids:/\n1:name=systemd:/\n0::/\n")
    mounts.write_text(
        _mount(tmp_path / "memory", "cgroup", "memory")
        + _mount(tmp_path / "cpu", "cgroup", "cpu,cpuacct")
        + _mount(tmp_path / "pids", "cgroup", "pids")
    )
    found = cgroup.places(membership=membership, mounts=mounts)
    assert {tuple(p.controllers): p.folder for p in found} == {
        ("memory",): tmp_path / "memory/own",
        ("cpu",): tmp_path / "cpu",
        ("pids",): tmp_path / "pids",
    }


def test_version_2_takes_the_nearest_group_that_can_limit_children(
    tmp_path: Path, files: tuple[Path, Path]
) -> None:
    membership, mounts = files
    own = tmp_path / "all/user/session"
    own.mkdir(parents=True)
    (own / "cgroup.subtree_control").write_text("\n")
    (own.parent / "cgroup.subtree_control").write_text("cpu memory pids io\n")
    membership.write_text("0::/user/session\n")
    mounts.write_text(_mount(tmp_path / "all", "cgroup2", "nsdelegate"))
    (place,) = cgroup.places(membership=membership, mounts=mounts)
    assert (place.folder, place.version) == (own.parent, 2)
    assert place.controllers == {"cpu", "memory", "pids"}


def test_no_place_without_controllers(tmp_path: Path, files: tuple[Path, Path]) -> None:
    membership, mounts = files
    membership.write_text("0::/\n1:name=systemd:/\n")
    mounts.write_text(_mount(tmp_path, "cgroup2", "nsdelegate"))
    assert cgroup.places(membership=membership, mounts=mounts) == ()


def test_values_are_written_and_the_process_added(tmp_path: Path) -> None:
    every = frozenset({"memory", "cpu", "pids"})
    group = cgroup.make("x", _CAPS, (cgroup.Place(folder=tmp_path, controllers=every, version=2),))
    group.add(42)
    (folder,) = group.folders
    assert folder == tmp_path / "gbuild-x"
    assert group.held == every
    assert (folder / "memory.max").read_text() == f"{1 << 30}\n"
    assert (folder / "cpu.max").read_text() == "200000 100000\n"
    assert (folder / "pids.max").read_text() == "100\n"
    assert (folder / "cgroup.procs").read_text() == "42\n"


def test_what_cannot_be_written_is_not_held(tmp_path: Path) -> None:
    place = cgroup.Place(folder=tmp_path, controllers=frozenset({"memory", "pids"}), version=1)
    (tmp_path / "gbuild-x/memory.limit_in_bytes").mkdir(parents=True)
    assert cgroup.make("x", _CAPS, (place,)).held == {"pids"}
    gone = cgroup.Place(folder=tmp_path / "gone", controllers=frozenset({"cpu"}), version=1)
    assert cgroup.make("x", _CAPS, (gone,)).held == frozenset()


def test_groups_of_the_dead_are_removed_wherever_they_are(tmp_path: Path) -> None:
    ours, foreign = tmp_path / "a/gbuild-x", tmp_path / "other"
    ours.mkdir(parents=True)
    foreign.mkdir()
    removed = cgroup.remove_dead([str(ours), str(foreign), str(tmp_path / "gbuild-gone")])
    assert removed == (str(ours),)
    assert not ours.exists()
    assert foreign.exists()


def test_only_our_empty_groups_are_leftovers(tmp_path: Path) -> None:
    makers = (("gbuild-x~1~ab", ""), ("gbuild-dead", ""), ("gbuild-alive", "42\n"), ("other", ""))
    for name, processes in makers:
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").write_text(processes)
    place = cgroup.Place(folder=tmp_path, controllers=frozenset({"pids"}), version=1)
    assert cgroup.leftovers((place,)) == (tmp_path / "gbuild-dead",)


@pytest.mark.parametrize("name", ["memory.events", "memory.oom_control"])
def test_a_group_tells_whether_it_was_starved(tmp_path: Path, name: str) -> None:
    group = cgroup.Group(folders=(tmp_path,), held=frozenset())
    assert not group.starved()
    (tmp_path / name).write_text("max 4\noom_kill 0\n")
    assert not group.starved()
    (tmp_path / name).write_text("max 4\noom_kill 1\n")
    assert group.starved()
