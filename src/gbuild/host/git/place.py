"""Checkouts in a workspace: made anew beside, swapped in whole, and never over a person's work.

``inputs/<dir>`` belongs to gbuild when ``inputs/.gbuild/<dir>.json`` describes it. Anything else
at that place, and any change to the files, the HEAD or the references of a checkout of ours, is
somebody's work: it is named in an error and left alone. What git itself touches when one looks
around (the index, time stamps) is put right again silently.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.host.files import write_atomically
from gbuild.host.git import checkout
from gbuild.host.git.plan import Module
from gbuild.host.tree_digest import seal

_OWN = ".gbuild"


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """A checkout as it was made: what was asked for, and digests of what came out."""

    identity: str
    seal: str
    tree: str
    references: str


def place(module: Module, inputs: Path, name: str) -> str:
    """Make ``inputs/<name>`` the checkout of a planned module; return its tree digest.

    The caller holds the workspace's lock.

    Raises:
        UsageFailure: something that is not a checkout of gbuild's lies there, or was changed.
        HostFailure: git failed, or the disk is full.
    """
    inputs = inputs.absolute()  # git runs elsewhere
    target, own = inputs / name, inputs / _OWN
    own.mkdir(parents=True, exist_ok=True)
    _sweep(own)
    record = own / f"{name}.json"
    states = _read(record)
    if os.path.lexists(target):
        current = _recognise(target, states)
        if current is not None and current.identity == module.identity:
            return current.tree
    new = Path(tempfile.mkdtemp(dir=own, prefix="new-"))
    made = _make(module, new / name)
    # both are ours until the swap is over
    _write(record, (*states, made))
    if target.exists():
        target.rename(new / "old")
    (new / name).rename(target)
    _write(record, (made,))
    shutil.rmtree(new)
    return made.tree


def check(inputs: Path, name: str) -> None:
    """Look whether ``inputs/<name>`` may be replaced, without changing anything.

    Raises:
        UsageFailure: as :func:`place`.
    """
    if os.path.lexists(inputs / name):
        _recognise(inputs / name, _read(inputs / _OWN / f"{name}.json"))


def _make(module: Module, folder: Path) -> _State:
    checkout.build(module, folder)
    sealed, tree = seal(folder)
    return _State(identity=module.identity, seal=sealed, tree=tree, references=_references(folder))


def _recognise(target: Path, states: tuple[_State, ...]) -> _State | None:
    """Return the state a checkout of ours is in, None when git has merely looked around in it."""
    if target.is_symlink() or not target.is_dir() or not states:
        raise UsageFailure(
            f"{target} is not a checkout that gbuild made, so it is left alone",
            hint=f"move it away; to build from it: --url {target.name}=<where you moved it>",
        )
    sealed, tree = seal(target)
    for state in states:
        if state.seal == sealed:
            return state
    references = _references(target)
    if any((state.tree, state.references) == (tree, references) for state in states):
        return None
    raise UsageFailure(
        f"{target} was changed since gbuild made it, so it is left alone",
        details=(f"to see how: git -C {target} status; git -C {target} log",),
        hint=f"move it away; to build from it: --url {target.name}=<where you moved it>",
    )


def _references(folder: Path) -> str:
    """Return a digest of what a person's work in a checkout changes in its ``.git`` folders."""
    digest = hashlib.sha256()
    for git in _git_folders(folder):
        work = [git / "HEAD", git / "packed-refs", git / "config", git / "logs"]
        work += sorted(path for path in (git / "refs").rglob("*") if path.is_file())
        for path in work:
            content = path.read_bytes() if path.is_file() else b"%d" % path.exists()
            name = os.fsencode(path.relative_to(folder))
            digest.update(b"%s %d %s" % (name, len(content), content))
    return digest.hexdigest()


def _git_folders(folder: Path) -> Iterator[Path]:
    for top, folders, files in os.walk(folder):
        if ".git" in folders + files:
            yield Path(top, ".git")
        folders[:] = sorted(name for name in folders if name != ".git")


def _sweep(own: Path) -> None:
    """Remove what killed runs left half made or half removed; all of it was recognised as ours."""
    for rest in own.glob("new-*"):
        shutil.rmtree(rest)


def _read(record: Path) -> tuple[_State, ...]:
    try:
        content = json.loads(record.read_bytes())
        return tuple(_State(**state) for state in content["states"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ()


def _write(record: Path, states: tuple[_State, ...]) -> None:
    text = json.dumps({"states": [asdict(state) for state in states]}, indent=1)
    write_atomically(record, text.encode() + b"\n")
