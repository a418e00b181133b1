from __future__ import annotations

from pathlib import Path

import pytest

from gbuild.model import sigs_layout as layout
from gbuild.model.sigs_layout import Pair


def test_an_assertion_and_its_signature_are_a_pair() -> None:
    files = ["b-build.assert.sig", "b-build.assert", "README", "a-build.assert", ".hidden"]
    assert layout.pairs(files) == (
        Pair(name="a", assertion="a-build.assert", signature=None),
        Pair(name="b", assertion="b-build.assert", signature="b-build.assert.sig"),
    )


def test_the_short_signature_name_is_used_only_without_the_long_one() -> None:
    short = ["a-build.assert", "a-build.sig"]
    assert layout.pairs(short)[0].signature == "a-build.sig"
    assert layout.pairs([*short, "a-build.assert.sig"])[0].signature == "a-build.assert.sig"


@pytest.mark.parametrize("file", ["a-build.assert.sig", "a-build.sig"])
def test_a_lone_signature_is_an_entry(file: str) -> None:
    assert layout.pairs([file]) == (Pair(name="a", assertion=None, signature=file),)


def test_a_name_must_be_left() -> None:
    assert layout.pairs(["-build.assert", "-build.sig", "build.assert"]) == ()


def test_names_that_a_careless_disk_would_mix_up() -> None:
    names = ["Bob", "bob", "alice", "\ufb01n", "fin", "straße", "STRASSE"]
    assert layout.collisions(names) == frozenset(names) - {"alice"}


def test_keys_above_the_tree_are_used_only_around_a_folder_called_sigs() -> None:
    assert Path("/x/keys") in layout.key_folders(Path("/x/sigs"))
    assert Path("/x/sigs/builder-keys") in layout.key_folders(Path("/x/sigs/hello"))
    assert all(p.parent == Path("/tmp/x") for p in layout.key_folders(Path("/tmp/x")))
