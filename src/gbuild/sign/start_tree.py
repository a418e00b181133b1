"""Start a repository for signatures: its page, a place for keys, a policy, a check of changes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.files import write_atomically
from gbuild.model import sigs_layout
from gbuild.sign.commit import Repository

_FILES = {
    "README.md": "README.md",
    "gitattributes": ".gitattributes",
    "policy.yml": sigs_layout.POLICY_FILE,
    "keys.md": f"{sigs_layout.KEYS_FOLDER}/README.md",
    "workflow.yml": ".github/workflows/signatures.yml",
}


def start_tree(folder: Path, name: str, environment: Mapping[str, str]) -> str | None:
    """Make a git repository in ``folder`` with everything a tree of signatures needs.

    Returns:
        The first commit.

    Raises:
        UsageFailure: there is something in the folder already.
        HostFailure: git could not commit; the files stay.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageFailure(f"{folder} is there already and not empty", hint="name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    Repository.create(folder, environment)
    written = [_write(folder / place, source, name) for source, place in _FILES.items()]
    return Repository(folder, environment).commit(written, f"Start the signatures of {name}")


def _write(path: Path, source: str, name: str) -> Path:
    text = files("gbuild.sign.new_tree").joinpath(source).read_text(encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.replace("@NAME@", name).encode())
    return path
