"""A checkout whose every visible part follows from its commit and references alone.

Not from this host, its configuration, the time, or what else a mirror holds: a detached HEAD,
packed references, one pack with exactly the objects that these reach, an index without the stat
data of this disk, no remotes, logs or hooks. Files are 0644 or 0755, and every time stamp is the
author date of the commit. (The bytes inside the pack are storage: deltas are as the remote sent
them.) Submodules have a ``.git`` folder of their own at their path.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from gbuild.errors import Bug
from gbuild.host.git.command import Git
from gbuild.host.git.plan import Module

_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tabbrev = 12
"""
# without it `git submodule` in the target would call every submodule uninitialised
_ACTIVE = "[submodule]\n\tactive = .\n"


def build(module: Module, folder: Path) -> None:
    """Make the checkout of a planned module in ``folder`` (absolute), which is empty or absent.

    Raises:
        ToolFailed: git failed, or the mirror is damaged.
        HostFailure: the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _repository(module, folder / ".git")
    git = Git(git_dir=folder / ".git", work_tree=folder)
    git.run("read-tree", module.commit)
    git.run("checkout-index", "--all", "--force", "--quiet")
    for inner in module.modules:
        place = folder / Path(inner.path).relative_to(module.path)
        _must_be_inside(place, folder)
        build(inner, place)
    _normalise(folder, module)


def _repository(module: Module, git_dir: Path) -> None:
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
        (git_dir / name).mkdir(parents=True)
    (git_dir / "config").write_text(_CONFIG + (_ACTIVE if module.modules else ""))
    (git_dir / "HEAD").write_text(f"{module.commit}\n")
    wanted = "".join(f"{oid}\n" for oid in [module.commit, *(oid for _, oid in module.refs)])
    with module.mirror.reading() as mirror:
        mirror.run(
            "pack-objects",
            "--quiet",
            "--revs",
            "--delta-base-offset",
            "--threads=1",
            git_dir / "objects/pack/pack",
            stdin=wanted.encode(),
        )
    git = Git(git_dir=git_dir)
    updates = "".join(f"create {name} {oid}\n" for name, oid in module.refs)
    git.run("update-ref", "--stdin", stdin=os.fsencode(updates))
    git.run("pack-refs", "--all", "--prune")
    shutil.rmtree(git_dir / "refs")  # folders of names such as a/b remain after packing
    for name in ("refs/heads", "refs/tags"):
        (git_dir / name).mkdir(parents=True)


def _must_be_inside(place: Path, folder: Path) -> None:
    """Refuse a submodule below a symbolic link: git made the place, so this cannot be."""
    for parent in (place, *place.parents):
        if parent == folder:
            return
        if not stat.S_ISDIR(parent.lstat().st_mode):
            break
    raise Bug(f"a submodule would lie outside its checkout: {place}")


def _normalise(folder: Path, module: Module) -> None:
    """Set modes and time stamps; submodules were done before and keep their own."""
    inner = {folder / Path(one.path).relative_to(module.path) for one in module.modules}
    moment = max(module.author_time, 0)
    visited: list[Path] = []
    for top, folders, files in os.walk(folder):
        here = Path(top)
        folders[:] = [name for name in folders if here / name not in inner]
        for name in files + [name for name in folders if (here / name).is_symlink()]:
            _stamp(here / name, moment)
        visited.append(here)
    for here in reversed(visited):
        _stamp(here, moment)


def _stamp(path: Path, moment: int) -> None:
    mode = path.lstat().st_mode
    if not stat.S_ISLNK(mode):
        path.chmod(0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644)
    os.utime(path, (moment, moment), follow_symlinks=False)
