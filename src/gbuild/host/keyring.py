"""A temporary keyring: gpg with given public keys, no options, no agent, no network."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from gbuild.errors import TimedOut
from gbuild.host.process import Completed, run, which

_LISTING = ("--with-colons", "--fixed-list-mode", "--list-keys")
_SECONDS = 60.0
_FILE_SECONDS = 10.0
_FILES_SECONDS = 60.0
"""For one key file, and for all one by one, after all at once took too long."""
_FLAGS = (
    "--no-options",
    "--batch",
    "--no-tty",
    "--no-autostart",
    "--disable-dirmngr",
    "--no-auto-key-retrieve",
    "--no-auto-key-locate",
    "--no-auto-check-trustdb",
    "--trust-model=always",
    "--display-charset=utf-8",
)


class Keyring:
    """A keyring in a folder of its own that is gone after the ``with`` block.

    Args:
        at: judge as of that moment (seconds since the epoch); now when None.
    """

    def __init__(self, *, at: int | None = None) -> None:
        self._gpg = which("gpg", package="gnupg")
        self._folder = tempfile.TemporaryDirectory(prefix="gbuild-keys-")
        self._home = Path(self._folder.name)
        self._clock = () if at is None else (f"--faked-system-time={_stamp(at)}!",)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def add(self, keys: Sequence[bytes]) -> tuple[int, ...]:
        """Import key files, armored or not; trust packets and private notes in them are ignored.

        Returns the indices of those from which gpg could not import everything.
        """
        if not keys or self._import(keys, _SECONDS):
            return ()
        end = time.monotonic() + _FILES_SECONDS
        return tuple(
            index
            for index, key in enumerate(keys)
            if not self._import([key], min(_FILE_SECONDS, end - time.monotonic()))
        )

    def _import(self, keys: Sequence[bytes], seconds: float) -> bool:
        if seconds <= 0:
            return False
        paths = []
        for index, key in enumerate(keys):
            path = self._home / f"import-{index}"
            path.write_bytes(key)
            paths.append(path)
        try:
            done = self._run("--import", *paths, seconds=seconds)
        except TimedOut:  # a key with thousands of parts: as good as a broken one
            return False
        finally:
            for path in paths:
                path.unlink()
        found = _words(done, "IMPORT_RES")
        return done.returncode == 0 and bool(found) and found[0] != "0"

    def listing(self) -> str:
        """Return every key and subkey as a colon listing (see gbuild.formats.gpgstatus)."""
        done = self._run("--with-fingerprint", "--with-fingerprint", *_LISTING)
        return done.stdout.decode("utf-8", "replace")

    def verify(self, signature: bytes, document: bytes) -> tuple[str, ...]:
        """Check detached signature packets over a document; return gpg's status lines.

        Raises:
            TimedOut: gpg took longer than a minute.
        """
        path = self._home / "signature"
        path.write_bytes(signature)
        done = self._run("--verify", path, "-", stdin=document)
        return _lines(done)

    def export(self) -> bytes:
        """Return all keys armored, without the signatures of others."""
        return self._run("--armor", "--export-options", "export-minimal", "--export").stdout

    def _run(self, *words: str | Path, stdin: bytes = b"", seconds: float = _SECONDS) -> Completed:
        status = () if "--export" in words else ("--status-fd=1",)
        argv = (self._gpg, "--homedir", self._home, *_FLAGS, *self._clock, *status, *words)
        return run(argv, stdin=stdin, timeout=seconds, check=False, env={"HOME": str(self._home)})


def _lines(done: Completed) -> tuple[str, ...]:
    return tuple(done.stdout.decode("utf-8", "replace").split("\n"))


def _words(done: Completed, keyword: str) -> list[str]:
    """Return the arguments of the first status line with that keyword."""
    start = f"[GNUPG:] {keyword} "
    return next((each[len(start) :].split() for each in _lines(done) if each.startswith(start)), [])


def _stamp(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S")
