"""Commit what was signed, when the tree of signatures is a git repository of its own.

The person's configuration is used (identity, signing of commits); hooks and file system
monitors of the repository are not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from gbuild.errors import HostFailure
from gbuild.host.gpg import personal_environment
from gbuild.host.process import Completed, ToolFailed, run, which

_KEPT = (
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_DATE",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_DATE",
    "EMAIL",
    "USER",
    "LOGNAME",
)
_QUIET = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0")
_UNFINISHED = (
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "rebase-merge",
    "rebase-apply",
)


class Repository:
    """The git repository whose top is ``top``."""

    def __init__(self, top: Path, environment: Mapping[str, str]) -> None:
        self._top = top
        kept = {name: environment[name] for name in _KEPT if name in environment}
        self._environment = {**personal_environment(environment), **kept}

    @classmethod
    def create(cls, folder: Path, environment: Mapping[str, str]) -> None:
        """Make a new repository in a folder, whatever templates the person may have."""
        repository = cls(folder, environment)
        repository._git("init", "--quiet", "--template=", "--initial-branch=main")

    @staticmethod
    def is_top(folder: Path) -> bool:
        """Say whether a folder is the top of a git tree of its own."""
        return (folder / ".git").exists()

    def refuse_unfinished(self) -> None:
        """Check that no merge or rebase is under way.

        Raises:
            HostFailure: there is one.
        """
        folder = Path(self._git("rev-parse", "--absolute-git-dir").stdout.decode().rstrip("\n"))
        unfinished = [name for name in _UNFINISHED if (folder / name).exists()]
        if unfinished or self._git("ls-files", "--unmerged").stdout:
            raise HostFailure(
                f"{self._top} is in the middle of a merge or rebase",
                details=tuple(unfinished),
                hint=f"finish it or abort it (git -C {self._top} status), then sign again",
            )

    def commit(self, paths: Sequence[Path], message: str) -> str | None:
        """Commit exactly these files; return the commit, or None when nothing changed.

        Raises:
            HostFailure: git refused (no identity, for example), or its own filters changed the
                bytes. The files are left where they are.
        """
        words = [str(path.relative_to(self._top)) for path in paths]
        try:
            self._git("add", "--force", "--", *words)
            if not self._git("status", "--porcelain", "--untracked-files=no", "--", *words).stdout:
                return None
            self._git("commit", "--quiet", f"--message={message}", "--", *words)
        except ToolFailed as error:
            raise HostFailure(
                "the signature was written, but not committed",
                details=error.details,
                hint=f"commit it by hand: git -C {self._top} commit",
            ) from error
        for path, word in zip(paths, words, strict=True):
            self._check_bytes(path, word)
        return self._git("rev-parse", "HEAD").stdout.decode().strip()

    def _check_bytes(self, path: Path, word: str) -> None:
        if self._git("cat-file", "blob", f"HEAD:{word}").stdout != path.read_bytes():
            raise HostFailure(
                f"git changed {word} while committing it: others would see a bad signature",
                hint="look for autocrlf, text or filter in .gitattributes and git's configuration",
            )

    def _git(self, *words: str) -> Completed:
        git = which("git", package="git")
        return run([git, "-C", self._top, *_QUIET, *words], env=self._environment)
