"""The command gbase over backends, as a person uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gbuild.backends.userns import UsernsBackend
from gbuild.host.store import Store
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.target.contract import Contract, small_image

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "gbase.schema.json"

Gbase = Callable[..., Any]


@pytest.fixture
def own_store(open_folder: Path) -> Iterator[Store]:
    """A store whose images a test may remove."""
    store = Store(open_folder / "store")
    yield store
    subprocess.run(_words(store, "prune", "--all"), check=True, capture_output=True)


@pytest.fixture
def own_image(own_store: Store) -> Image:
    """An image that userns has prepared."""
    image = small_image(own_store)
    _userns(own_store).prepare(image)
    return image


@pytest.fixture
def gbase(own_store: Store) -> Gbase:
    """Run a gbase command with --json; returns its answer, checked against the schema."""

    def go(*words: str, code: int = 0) -> Any:
        done = subprocess.run(_words(own_store, *words, "--json"), capture_output=True, check=False)
        assert done.returncode == code, done.stderr.decode()
        answer = json.loads(done.stdout)
        jsonschema.validate(answer, json.loads(SCHEMA.read_text()))
        return answer

    return go


def _words(store: Store, *words: str) -> list[str]:
    return [sys.executable, "-m", "gbuild.cli.gbase", *words, "--store", str(store.root)]


def _userns(store: Store) -> UsernsBackend:
    return UsernsBackend(store=store, environment=os.environ, sink=discard)


def _prepared(answer: Any, key: str) -> list[str]:
    return [one["backend"] for one in answer["prepared"] if one["key"] == key]


def test_list_says_which_backends_have_it(gbase: Gbase, own_image: Image, own_store: Store) -> None:
    answer = gbase("list")
    assert [one["key"] for one in answer["images"]] == [own_image.key]
    assert "userns" in _prepared(answer, own_image.key)
    shown = subprocess.run(_words(own_store, "list"), capture_output=True, check=True).stdout
    assert shown.decode().splitlines()[0].endswith("prepared for")
    assert "userns" in shown.decode().splitlines()[1]


def test_remove_for_one_backend_leaves_the_image(gbase: Gbase, own_image: Image) -> None:
    gone = gbase("remove", "--backend", "userns", own_image.sha256[:8])
    assert gone["removed"] == [own_image.key]
    answer = gbase("list")
    assert [one["key"] for one in answer["images"]] == [own_image.key]
    assert "userns" not in _prepared(answer, own_image.key)


def test_remove_takes_the_image_from_all(gbase: Gbase, own_image: Image) -> None:
    assert gbase("remove", "none-amd64")["removed"] == [own_image.key]
    answer = gbase("list")
    assert answer["images"] == []
    assert _prepared(answer, own_image.key) == []


def test_what_a_target_uses_stays(gbase: Gbase, own_image: Image, own_store: Store) -> None:
    with _userns(own_store).start(Contract.spec(own_image)) as machine:
        assert gbase("remove", own_image.key, code=3)["removed"] == []
        assert gbase("prune", "--all")["removed"] == []
        assert [one["key"] for one in gbase("list")["images"]] == [own_image.key]
        assert machine.alive()
    assert gbase("prune", "--all")["removed"] == [own_image.key]


def test_prune_leaves_what_was_used_lately(gbase: Gbase, own_image: Image) -> None:
    assert gbase("prune")["removed"] == []
    assert _prepared(gbase("list"), own_image.key)


@pytest.mark.parametrize("name", ["nosuch-amd64", "12345", "0" * 64, ""])
def test_an_image_that_is_not_there(gbase: Gbase, own_image: Image, name: str) -> None:
    assert "there is no image" in gbase("remove", name, code=2)["error"]["brief"]
    assert [one["key"] for one in gbase("list")["images"]] == [own_image.key]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "--suite and --arch"),
        (["--suite", "bookworm"], "--suite and --arch"),
        (["--suite", "nosuch", "--arch", "amd64"], "unknown suite"),
        (["--suite", "stable", "--arch", "amd64", "--distro", "debian"], "moves from release"),
        (["--suite", "bookworm", "--arch", "m68k"], "unknown architecture"),
        (["--suite", "bookworm", "--arch", "amd64", "--distro", "nixos"], "unknown distribution"),
    ],
)
def test_a_base_that_cannot_be_made(
    gbase: Gbase, tmp_path: Path, words: list[str], why: str
) -> None:
    answer = gbase("make", "--workspace", str(tmp_path), *words, code=2)
    assert why in answer["error"]["brief"]
