"""Where the releases of a tree lie, in every layout that real trees have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.host.foreign import Refused
from gbuild.verify.places import of_release, places, releases

ENTRY = "hello-build.assert"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return tmp_path


def put(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")


def found(root: Path) -> list[str]:
    return [place.path for place in places(root)]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"1.0/alice/{ENTRY}", "1.0"),
        (f"hello/1.0/alice/{ENTRY}", "hello/1.0"),
        (f"archive/1.0/alice/{ENTRY}", "archive/1.0"),
        (f"archive/hello/1.0/alice/{ENTRY}", "archive/hello/1.0"),
        (f"1.0/alice/alice/{ENTRY}", "1.0"),
        ("1.0/alice/all.SHA256SUMS.asc", "1.0"),
        ("1.0/SHA256SUMS", "1.0"),
        ("archive/1.0/SHA256SUMS", "archive/1.0"),
        (f"1.0/alice/{ENTRY}.sig", "1.0"),
    ],
)
def test_layouts(tree: Path, path: str, place: str) -> None:
    put(tree, path)
    assert found(tree) == [place]
    assert [each.path for each in of_release(tree, "1.0")] == [place]
    assert releases(tree) == ("1.0",)


def test_what_is_no_release(tree: Path) -> None:
    put(
        tree,
        "README.md",
        f".git/1.0/alice/{ENTRY}",
        f"builder-keys/alice/{ENTRY}",
        "contrib/tool/check.py",
        f"a/b/c/d/e/{ENTRY}",
    )
    assert found(tree) == []
    assert of_release(tree, "9.9") == ()


def test_an_empty_folder_is_a_release_that_nobody_signed(tree: Path) -> None:
    (tree / "2.0").mkdir()
    assert found(tree) == ["2.0"]


def test_links_lead_nowhere_and_are_seen(tree: Path) -> None:
    put(tree, f"1.0/alice/{ENTRY}")
    (tree / "1.1").symlink_to("1.0")
    (tree / "1.0" / "bob").symlink_to("alice")
    (tree / "1.0" / "loop").symlink_to("..")
    assert found(tree) == ["1.0"]


def test_one_release_in_two_places(tree: Path) -> None:
    put(tree, f"one/1.0/alice/{ENTRY}", f"two/1.0/alice/{ENTRY}")
    assert [each.path for each in of_release(tree, "1.0")] == ["one/1.0", "two/1.0"]
    assert [each.path for each in of_release(tree, "one/1.0")] == ["one/1.0"]
    assert of_release(tree, "../1.0") == ()


def test_a_tree_that_is_not_there(tree: Path) -> None:
    with pytest.raises(Refused, match="not a folder"):
        places(tree / "nowhere")
