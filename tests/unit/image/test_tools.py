"""apt in an image: what it is shown, and what its end means."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gbuild.errors import BackendFailure, HostFailure
from gbuild.host.idmap import IdMap
from gbuild.host.process import Completed
from gbuild.image import tools

_MAP = IdMap(uids=((0, 0, 65536),), gids=((0, 0, 65536),), label="none")


class Sandbox:
    """Stands for the sandbox: notes what it is told, and ends as it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.status = 0
        self.folder = tmp_path
        self.asked: dict[str, Any] = {}
        self.shown: Sequence[Path] = ()
        monkeypatch.setattr(tools, "run_trusted", self.run)
        monkeypatch.setattr(tools, "_hand_over", lambda folder, idmap: None)

    def run(
        self,
        idmap: IdMap,
        program: Path,
        words: Sequence[str],
        *,
        folders: Sequence[Path],
        stdin: bytes,
    ) -> Completed:
        self.asked, self.shown = json.loads(stdin), folders
        return Completed((program.name, *words), self.status, b"out", b"its last words")

    def apt(self) -> Completed:
        tree, blobs = Path("/tree"), Path("/store/blobs")
        return tools._confined(tree, self.folder, blobs, _MAP, ["update"], {"APT_CONFIG": "c"})


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sandbox:
    return Sandbox(monkeypatch, tmp_path)


def test_it_may_write_its_own_folder_alone(sandbox: Sandbox) -> None:
    own = str(sandbox.folder / "apt")
    assert sandbox.apt() == Completed(("apt-get", "update"), 0, b"out", b"its last words")
    assert sandbox.asked["folders"] == ["/store/blobs", str(sandbox.folder), own]
    assert sandbox.asked["writable"] == [own]
    assert sandbox.asked["env"]["APT_CONFIG"] == "c"
    assert list(sandbox.shown) == [Path("/tree"), Path("/store/blobs"), sandbox.folder]


def test_its_refusal_is_its_callers_business(sandbox: Sandbox) -> None:
    sandbox.status = 100
    assert sandbox.apt().returncode == 100


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (125, BackendFailure, "could not be started in the sandbox"),
        (127, BackendFailure, "could not be started in the sandbox"),
        (124, HostFailure, "took longer than 600 seconds"),
        (70, BackendFailure, "could not be started in the sandbox"),
    ],
)
def test_what_is_not_apts_own_end_is_told(
    sandbox: Sandbox, status: int, kind: type[HostFailure], said: str
) -> None:
    sandbox.status = status
    with pytest.raises(kind, match=said) as caught:
        sandbox.apt()
    assert caught.value.details == ("its last words",)
