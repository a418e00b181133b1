"""A temporary keyring: gpg with given public keys, no options, no agent, no network."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from gbuild.errors import TimedOut
from gbuild.host.process import Completed, run, which

_LISTING = ("--with-colons", "--fixed-list-mode", "--list-keys")
_SECONDS = 60.0
_FILE_SECONDS = 10.0
_FILES_SECONDS = 60.0
"""For one key file, and for all one by one, after all at once took too long."""
_ONE_SECONDS = 20.0
"""For one signature."""
_SHARED_MEMORY = "/dev/shm"
_ROOMY = 1 << 30
"""Bytes: two processes with two batches each, all of the largest documents, have a quarter."""
_FLAGS = (
    "--no-options",
    "--lock-never",
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
        self._folder = tempfile.TemporaryDirectory(prefix="gbuild-keys-", dir=_memory())
        self._home = Path(self._folder.name)
        self._clock = () if at is None else (f"--faked-system-time={_stamp(at)}!",)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def add(self, keys: Sequence[bytes]) -> tuple[int, ...]:
        """Import key files, armored or not; trust packets and private notes in them are ignored.

        Returns the indices of those from which gpg could not import everything.
        """
        if not keys or self._import(keys, _SECONDS):
            return ()
        end = time.monotonic() + _FILES_SECONDS
        small_first = sorted(range(len(keys)), key=lambda index: len(keys[index]))
        return tuple(
            sorted(
                index
                for index in small_first  # so that a slow one takes no time from the others
                if not self._import([keys[index]], min(_FILE_SECONDS, end - time.monotonic()))
            )
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
        return _text(done.stdout)

    def verify(self, signature: bytes, document: bytes) -> tuple[str, ...]:
        """Check detached signature packets over a document; return gpg's status lines.

        May be called from several threads at once.

        Raises:
            TimedOut: gpg took longer than it ever does.
        """
        descriptor, name = tempfile.mkstemp(dir=self._home, prefix="signature-")
        try:
            with os.fdopen(descriptor, "wb") as file:  # closed: else Windows lets gpg not read it
                file.write(signature)
            done = self._run("--verify", name, "-", stdin=document, seconds=_ONE_SECONDS)
        finally:
            os.unlink(name)
        return _lines(done)

    def open_message(self, message: bytes, *, limit: int) -> tuple[bytes, tuple[str, ...]]:
        """Take the content out of a signed message; return it with gpg's status lines.

        Args:
            message: clear-signed or inline-signed, armored or not.
            limit: bytes of content; compressed data can hold a thousand times its size.

        Raises:
            TimedOut: gpg took longer than it ever does.
        """
        with tempfile.TemporaryDirectory(dir=self._home, prefix="message-") as folder:
            (source := Path(folder, "message")).write_bytes(message)
            content = Path(folder, "content")
            bound = f"--max-output={limit + 1}"
            done = self._run(bound, "--output", content, "--verify", source, seconds=_ONE_SECONDS)
            return content.read_bytes() if content.exists() else b"", _lines(done)

    @contextmanager
    def messages(self) -> Iterator[Messages]:
        """Give a folder for messages that one gpg will check; it is gone in the end."""
        with tempfile.TemporaryDirectory(dir=self._home, prefix="batch-") as folder:
            yield Messages(self._run, Path(folder))

    def export(self) -> bytes:
        """Return all keys armored, without the signatures of others."""
        return self._run("--armor", "--export-options", "export-minimal", "--export").stdout

    def _run(
        self,
        *words: str | Path,
        stdin: bytes = b"",
        seconds: float = _SECONDS,
        cwd: Path | None = None,
    ) -> Completed:
        status = () if "--export" in words else ("--status-fd=1",)
        argv = (self._gpg, "--homedir", self._home, *_FLAGS, *self._clock, *status, *words)
        home = {"HOME": str(self._home)}
        return run(argv, stdin=stdin, timeout=seconds, check=False, env=home, cwd=cwd)


class Messages:
    """Signed messages (a signature, then the literal data) in files, to be checked together."""

    def __init__(self, gpg: Callable[..., Completed], folder: Path) -> None:
        self._gpg = gpg
        self._folder = folder
        self._names: list[str] = []

    def add(self, *parts: bytes) -> str:
        """Write one message; return the name by which gpg's status lines call it."""
        name = str(len(self._names))
        with (self._folder / name).open("xb") as file:
            file.writelines(parts)
        self._names.append(name)
        return name

    def verify(self, names: Sequence[str]) -> tuple[str, ...]:
        """Have one gpg check these messages in order; return its status lines.

        They stop early when gpg gives up, as it does after a bad signature.

        Raises:
            TimedOut: gpg took longer than a minute.
        """
        listed = "".join(f"{name}\n" for name in names).encode()
        return _lines(self._gpg("--verify-files", stdin=listed, cwd=self._folder))

    def read(self, name: str, *, start: int) -> bytes:
        """Return a message again, from its octet ``start`` on."""
        with (self._folder / name).open("rb") as file:
            file.seek(start)
            return file.read()


def _lines(done: Completed) -> tuple[str, ...]:
    return tuple(_text(done.stdout).split("\n"))


def _text(output: bytes) -> str:
    """Decode what gpg says; on Windows its lines end in two characters."""
    return output.decode("utf-8", "replace").replace("\r\n", "\n")


def _words(done: Completed, keyword: str) -> list[str]:
    """Return the arguments of the first status line with that keyword."""
    start = f"[GNUPG:] {keyword} "
    return next((each[len(start) :].split() for each in _lines(done) if each.startswith(start)), [])


def _memory() -> str | None:
    """Return a file system in memory, for thousands of short-lived files; None for the usual place.

    Only where the person named no place, and where everything that can be there at once is little.
    """
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return None
    try:
        roomy = shutil.disk_usage(_SHARED_MEMORY).free >= _ROOMY
    except OSError:
        return None
    return _SHARED_MEMORY if roomy and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None


def _stamp(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S")
