from __future__ import annotations

from pathlib import Path

from gbuild.model import sigs_layout as layout


def test_names_that_a_careless_disk_would_mix_up() -> None:
    names = ["Bob", "bob", "alice", "\ufb01n", "fin", "straße", "STRASSE"]
    assert layout.collisions(names) == frozenset(names) - {"alice"}


def test_keys_above_the_tree_are_used_only_around_a_folder_called_sigs() -> None:
    assert Path("/x/keys") in layout.key_folders(Path("/x/sigs"))
    assert Path("/x/sigs/builder-keys") in layout.key_folders(Path("/x/sigs/hello"))
    assert all(p.parent == Path("/tmp/x") for p in layout.key_folders(Path("/tmp/x")))
