"""git, deaf to this host: no foreign configuration, hooks, filters, replace objects or prompts.

What git reads is what is passed here (git(1) and git-config(1), ENVIRONMENT and -c): every
repository is named by an explicit ``--git-dir``, the environment is empty but for the lines
below, and only the protocols a caller allows can be spoken.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gbuild.errors import HostFailure
from gbuild.host import process
from gbuild.host.partial import cannot_write
from gbuild.host.process import Completed, ToolFailed

_ENVIRONMENT = {
    # a HOME below which nothing can exist: ~/.gitconfig, ~/.config/git/*, ~/.netrc
    "HOME": "/dev/null",
    "XDG_CONFIG_HOME": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_SSH_COMMAND": "ssh -oBatchMode=yes -oConnectTimeout=30 -oServerAliveInterval=15 "
    "-oClearAllForwardings=yes -oPermitLocalCommand=no",
    "GIT_SSH_VARIANT": "ssh",
}

_CONFIGURATION = {
    "safe.bareRepository": "explicit",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.logAllRefUpdates": "false",
    "core.symlinks": "true",
    "core.fileMode": "true",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.commitGraph": "false",
    "core.abbrev": "12",
    "advice.graftFileDeprecated": "false",
    "credential.helper": "",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "fetch.unpackLimit": "1",
    "transfer.fsckObjects": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.sslVerify": "true",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    # oddities of honest old histories that cannot change what is checked out
    **{
        f"fetch.fsck.{oddity}": "ignore"
        for oddity in (
            "badDate",
            "badDateOverflow",
            "badEmail",
            "badName",
            "badTimezone",
            "missingEmail",
            "missingNameBeforeEmail",
            "missingSpaceBeforeDate",
            "missingSpaceBeforeEmail",
            "missingTaggerEntry",
            "zeroPaddedDate",
            "zeroPaddedFilemode",
        )
    },
}
_PARAMETERS = tuple(
    word for key, value in _CONFIGURATION.items() for word in ("-c", f"{key}={value}")
)

NETWORK = "https:http:git:ssh"
"""Protocols of remotes that a descriptor or a submodule may name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Git:
    """One repository, and how to run git on it.

    ``keep`` are descriptors that children inherit: a lock lives as long as the git it guards,
    even when this process is killed. ``env`` is added to git's environment.
    """

    git_dir: Path
    work_tree: Path | None = None
    keep: tuple[int, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        *words: str | os.PathLike[str],
        stdin: bytes = b"",
        check: bool = True,
        timeout: float | None = None,
    ) -> Completed:
        """Run ``git <words>`` on this repository and return what it wrote.

        Raises:
            ToolFailed: git failed and ``check`` is set.
            HostFailure: the disk is full.
        """
        done = process.run(
            self.command(*words),
            env=self.environment,
            cwd=self.work_tree or self.git_dir,
            stdin=stdin,
            check=False,
            timeout=timeout,
            pass_fds=self.keep,
        )
        if check and done.returncode != 0:
            raise failure(done, self.git_dir)
        return done

    def command(self, *words: str | os.PathLike[str]) -> tuple[str, ...]:
        """Return the whole argv of ``git <words>`` on this repository."""
        where = [f"--git-dir={self.git_dir}"]
        if self.work_tree is not None:
            where.append(f"--work-tree={self.work_tree}")
        git = process.which("git", package="git")
        return tuple(os.fspath(word) for word in (git, *_PARAMETERS, *where, *words))

    @property
    def environment(self) -> dict[str, str]:
        """What git's environment holds besides :data:`gbuild.host.process.CLEAN_ENVIRONMENT`."""
        return {**_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": "none", **self.env}

    def text(self, *words: str | os.PathLike[str], stdin: bytes = b"") -> str:
        """Run git and return its output without the newline at the end."""
        return os.fsdecode(self.run(*words, stdin=stdin).stdout).removesuffix("\n")

    def try_text(self, *words: str | os.PathLike[str]) -> str | None:
        """Run git and return its output, or None when it failed."""
        done = self.run(*words, check=False)
        if done.returncode != 0:
            return None
        return os.fsdecode(done.stdout).removesuffix("\n")


def failure(done: Completed, folder: Path) -> HostFailure:
    """Turn a failed git into an error; a full disk is told as such."""
    if os.strerror(errno.ENOSPC).encode() in done.stderr:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return cannot_write(folder, full)
    words = [word for word in done.argv if word not in _PARAMETERS]
    return ToolFailed(Completed(tuple(words), done.returncode, done.stdout, done.stderr))
