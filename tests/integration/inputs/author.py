"""Real repositories for tests, and a real git server on the loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

WHEN = 1_500_000_000


@dataclass
class Author:
    """A repository somebody works in; every commit is an hour after the one before."""

    folder: Path
    moment: int = WHEN
    tags: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, folder: Path) -> Author:
        """Make the repository, with one commit that is tagged v1.0."""
        folder.mkdir(parents=True)
        author = cls(folder)
        author.git("init", "--quiet", "--template=", "--initial-branch=main")
        # as the big forges do: a commit that no branch leads to may be asked for
        author.git("config", "uploadpack.allowAnySHA1InWant", "true")
        author.commit({"hello.c": "int main(void) { return 0; }\n", "run.sh": "#!/bin/sh\n"})
        author.git("tag", "-a", "-m", "one", "v1.0")
        return author

    def git(self, *words: str, check: bool = True) -> str:
        """Run git as this author."""
        stamp = f"{self.moment} +0200"
        who = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (
                ("NAME", "A U Thor"),
                ("EMAIL", "author@example.org"),
                ("DATE", stamp),
            )
        }
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/dev/null",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            **who,
        }
        allow = ("-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", *allow, *words],
            check=False,
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str | None], message: str = "change") -> str:
        """Write files (None removes one; names ending in .sh are made executable) and commit."""
        self.moment += 3600
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755 if name.endswith(".sh") else 0o644)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.head

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def submodule(self, path: str, url: str, commit: str, *, name: str | None = None) -> str:
        """Record a submodule without cloning it, and commit."""
        section = f'[submodule "{name or path}"]\n\tpath = {path}\n\turl = {url}\n'
        modules = self.folder / ".gitmodules"
        modules.write_text((modules.read_text() if modules.exists() else "") + section)
        (self.folder / path).mkdir(parents=True, exist_ok=True)  # as git has it before a clone
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        self.git("add", ".gitmodules")
        self.moment += 3600
        self.git("commit", "--quiet", "-m", "a submodule")
        return self.head


@contextmanager
def git_server(root: Path) -> Iterator[str]:
    """Serve every repository below ``root`` by ``git daemon``; gives the base address."""
    port = free_port()
    daemon = subprocess.Popen(
        [
            "git",
            "daemon",
            "--export-all",
            "--reuseaddr",
            "--listen=127.0.0.1",
            f"--port={port}",
            f"--base-path={root}",
            str(root),
        ],
        env={"PATH": os.environ["PATH"], "HOME": "/dev/null"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until_it_answers(port, daemon)
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(daemon.pid, 9)
        daemon.wait()


def _wait_until_it_answers(port: int, daemon: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert daemon.poll() is None, "git daemon ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("git daemon does not answer")
