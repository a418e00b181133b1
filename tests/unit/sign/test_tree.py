"""Both files or none, whatever happens in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.errors import UsageFailure
from gbuild.sign import tree
from gbuild.sign.tree import Place, present, put


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(root=tmp_path / "sigs", release="1.0", signer="alice", name="hello")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_new_entry(place: Place) -> None:
    put(place, b"document", b"signature")
    assert contents(place.root) == {
        "1.0/alice/hello-build.assert": b"document",
        "1.0/alice/hello-build.assert.sig": b"signature",
    }
    assert place.folder.stat().st_mode & 0o777 == 0o755
    assert place.assertion.stat().st_mode & 0o777 == 0o644
    assert present(place).assertion == b"document"


def test_an_assertion_that_is_signed_elsewhere(place: Place) -> None:
    put(place, b"document", None)
    assert list(contents(place.root)) == ["1.0/alice/hello-build.assert"]


def test_other_packages_of_the_signer_stay(place: Place) -> None:
    put(place, b"document", b"signature")
    other = Place(root=place.root, release="1.0", signer="alice", name="world")
    put(other, b"w", b"s")
    assert len(contents(place.root)) == 4


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("moment", [1, 2])
def test_an_interruption_between_the_files_leaves_what_was_there(
    place: Place, monkeypatch: pytest.MonkeyPatch, earlier: bool, moment: int
) -> None:
    neighbour = Place(root=place.root, release="1.0", signer="alice", name="world")
    put(neighbour, b"w", b"s")
    if earlier:
        put(place, b"old document", b"old signature")
    before = contents(place.root)
    real, calls = Path.replace, 0

    def interrupted(self: Path, target: Path) -> Path:
        nonlocal calls
        if target.parent == place.folder:
            calls += 1
            if calls == moment:
                raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(place, b"document", b"signature")
    assert contents(place.root) == before


def test_a_full_disk_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tree, "write_atomically", full)
    with pytest.raises(OSError, match="No space"):
        put(place, b"document", b"signature")
    assert contents(place.root) == {}


def test_what_a_killed_run_left_is_removed_by_the_next(place: Place) -> None:
    left = place.root / "1.0" / ".gsign-dead"
    left.mkdir(parents=True)
    (left / "hello-build.assert").write_bytes(b"half")
    put(place, b"document", b"signature")
    assert not left.exists()


@pytest.mark.parametrize("part", ["1.0", "1.0/alice", "1.0/alice/hello-build.assert"])
def test_links_are_not_written_through(place: Place, tmp_path: Path, part: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = place.root / part
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    with pytest.raises(UsageFailure, match="symbolic link"):
        present(place)


def test_a_neighbour_that_differs_only_in_case_is_refused(place: Place) -> None:
    (place.root / "1.0" / "Alice").mkdir(parents=True)
    with pytest.raises(UsageFailure, match="only in case"):
        present(place)


@pytest.mark.parametrize(("root", "release"), [("sigs", "keys"), ("sigs/builder-keys", "1.0")])
def test_a_key_folder_is_no_release_and_no_package(tmp_path: Path, root: str, release: str) -> None:
    place = Place(root=tmp_path / root, release=release, signer="alice", name="hello")
    with pytest.raises(UsageFailure, match="keeps its keys"):
        present(place)
