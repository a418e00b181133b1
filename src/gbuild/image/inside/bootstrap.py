"""A locked environment to a tree, and the tree to a tar; a program for ``run_trusted``.

Standard input has the plan (JSON, see :func:`gbuild.image.bootstrap.plan`); the tar goes to the
descriptor that it names, what was installed to standard output. Foreign code runs only in
:func:`run_confined`; every other write into the tree is made by a child whose root is the tree.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import stat
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.confined import run_confined
from gbuild.host.sandbox.layout import Bind, Directory, Layout
from gbuild.image.inside.archive import Packer
from gbuild.image.inside.debs import below, decompress_all, finish, in_child, lay_out, wait_for

_PLACES = ("/mnt", "/srv", "/opt", "/tmp")
_POLICY = "/usr/sbin/policy-rc.d"
_FAILED = 1
FULL = 75
"""Status when the tar could not be written because its file system is full."""

_TAIL = 8000
_LARGEST_STATUS = 64 << 20
_NO_CORE = (1, 1)  # 0 would still feed the host's core handler; see core(5)
_MOST_DATA = 2 << 30
_LIMITS = {
    resource.RLIMIT_NPROC: (4096, 4096),
    resource.RLIMIT_CORE: _NO_CORE,
    resource.RLIMIT_DATA: (_MOST_DATA, _MOST_DATA),
}
"""Of each process; what all may use together is the business of a control group."""

_SCRUBBED = (
    "/.debs",
    "/.locales",
    _POLICY,
    "/etc/.pwd.lock",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/passwd-",
    "/etc/shadow-",
    "/etc/subgid-",
    "/etc/subuid-",
    "/var/cache/apt",
    "/var/cache/debconf/config.dat-old",
    "/var/cache/debconf/templates.dat-old",
    "/var/cache/ldconfig/aux-cache",
    "/var/lib/apt/extended_states",
    "/var/lib/dbus/machine-id",
    "/var/lib/dpkg/available",
    "/var/lib/dpkg/available-old",
    "/var/lib/dpkg/diversions-old",
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/status-old",
    "/var/lib/dpkg/statoverride-old",
    "/var/lib/dpkg/triggers/Lock",
    "/var/lib/systemd/catalog/database",
    "/var/lib/systemd/random-seed",
)
"""What two runs would leave with different bytes, or what belongs to one machine only."""

_EMPTIED = ("/run", "/tmp", "/var/tmp")
_STATUS = "/var/lib/dpkg/status"
_PREFIX = "/.locales"
_ARCHIVE = "/usr/lib/locale/locale-archive"
_FOLDERS = (
    "/.debs",
    "/etc/ssh",
    "/var/lib/dpkg/info",
    "/var/lib/dpkg/updates",
    f"{_PREFIX}/usr/lib/locale",
)
_HOST_KEYS = ("/etc/ssh", "ssh_host_")
_HOST_KEY_KINDS = ("dsa", "ecdsa", "ed25519", "rsa")
_FILES = {
    "/etc/fstab": b"",
    "/etc/hostname": b"localhost\n",
    "/etc/machine-id": b"",
    "/etc/resolv.conf": b"",
}


def main(argv: list[str]) -> int:
    """Make the tree and write its tar; status 1 with dpkg's last words when a package fails."""
    plan = json.load(sys.stdin)
    out, blobs = int(argv[0]), int(argv[1])
    place = next(p for p in _PLACES if os.path.isdir(p))
    options = f"mode=755,size={plan['tmpfs']}"
    kernel.mount("gbuild", place, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    return _Bootstrap(plan, place, blobs).run(out)


class _Bootstrap:
    def __init__(self, plan: dict[str, Any], place: str, blobs: int) -> None:
        self._plan = plan
        self._blobs = blobs
        self._tree = f"{place}/tree"
        self._debs = f"{place}/debs"
        self._log = os.open(f"{place}/log", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
        self._began = time.monotonic()
        self.laps: dict[str, float] = {}
        os.umask(0o022)
        for folder in (self._tree, self._debs):
            os.mkdir(folder)

    def run(self, out: int) -> int:
        plan = self._plan
        workers = self._decompress([*plan["first"], *plan["rest"]])
        wait_for([f"{self._debs}/{name}" for _, name in plan["first"]], workers)
        self._lap("first packages decompressed")
        with ExitStack() as stack:  # opened here: the child's root has no way to them
            names = [f"{self._debs}/{name}" for _, name in plan["first"]]
            first = [stack.enter_context(open(name, "rb")) for name in names]
            finish([below(self._tree, lambda: self._skeleton(first))])
        self._lap("first packages laid out")
        done = self._install()
        finish(workers)
        self._lap("first packages configured")
        done = done and self._install_rest()
        if not done:
            return self._failed()
        finish([below(self._tree, self._scrub)])
        status = self._status()
        self._lap("scrubbed")
        room = os.statvfs(self._tree)
        largest = room.f_blocks * room.f_frsize
        try:
            Packer(out, latest=plan["date"], largest=largest).pack(self._tree)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            return FULL
        self._lap("packed")
        json.dump({"status": status, "laps": self.laps}, sys.stdout)
        return 0

    def _lap(self, what: str) -> None:
        now = time.monotonic()
        self.laps[what] = round(now - self._began, 3)
        self._began = now

    def _decompress(self, debs: Sequence[Sequence[str]]) -> list[int]:
        pairs = [(blob, name) for blob, name in debs]
        workers = self._plan["workers"]
        return decompress_all(pairs, blobs=self._blobs, target=self._debs, workers=workers)

    def _skeleton(self, debs: Sequence[BinaryIO]) -> None:
        """Lay the first packages out, as far as dpkg needs it to run."""
        os.chmod("/", 0o755)
        for name in self._plan["links"]:
            os.makedirs(f"/usr/{name}", exist_ok=True)
            os.symlink(f"usr/{name}", f"/{name}")
        for deb in debs:
            lay_out(deb)
        for folder in _FOLDERS:
            os.makedirs(folder, exist_ok=True)
        files = {**_FILES, _STATUS: b"", "/var/lib/dpkg/available": b""}
        if self._plan["foreign"]:
            names = [self._plan["arch"], *self._plan["foreign"]]
            files["/var/lib/dpkg/arch"] = "".join(f"{n}\n" for n in names).encode()
        for path, data in files.items():
            _write(path, data)
        for kind in _HOST_KEY_KINDS:  # empty ones: no time is spent on keys that nobody may use
            _write(f"{_HOST_KEYS[0]}/{_HOST_KEYS[1]}{kind}_key", b"", 0o600)
        _write(_POLICY, b"#!/bin/sh\nexit 101\n", 0o755)

    def _install(self) -> bool:
        first = self._paths(self._plan["first"])
        base = [path for path in first if "/base-passwd_" in path]
        return all(
            self._dpkg("--force-depends", "--install", *paths) for paths in (base, first) if paths
        )

    def _install_rest(self) -> bool:
        rest = self._paths(self._plan["rest"])
        done = not rest or self._dpkg("--force-depends", "--unpack", *rest)
        self._lap("the others unpacked")
        names = self._plan["locales"]
        locales = [in_child(partial(self._locale, name)) for name in names]
        done = done and self._dpkg("--configure", "--pending")
        self._lap("the others configured")
        finish(locales)
        finish([below(self._tree, self._settle_locales)])
        self._lap("locales made")
        return done

    def _locale(self, locale: str) -> None:
        """Make one locale as locale-gen does, beside the packages that are being configured.

        It is made below another prefix: the package locales removes an archive that its own
        configuration does not ask for.
        """
        name, _, charset = locale.partition(".")
        words = ("-i", name, "-c", "-f", charset, "-A", "/usr/share/locale/locale.alias")
        if self._confined("localedef", "--prefix", _PREFIX, *words, locale) != 0:
            raise ChildProcessError(f"the locale {locale} could not be made")

    def _settle_locales(self) -> None:
        for locale in self._plan["locales"]:
            _append("/etc/locale.gen", f"{locale} {locale.partition('.')[2]}\n")
            _remove(_ARCHIVE)
            os.rename(_PREFIX + _ARCHIVE, _ARCHIVE)
        _remove(_PREFIX)

    def _paths(self, debs: Sequence[Sequence[str]]) -> list[str]:
        return [f"/.debs/{name}" for _, name in debs]

    def _dpkg(self, *words: str) -> bool:
        return self._confined("dpkg", "--force-unsafe-io", "--force-confold", *words) == 0

    def _confined(self, *argv: str) -> int:
        layout = Layout(
            root=Directory(path=Path(self._tree)),
            hostname="localhost",
            binds=(Bind(source=Path(self._debs), target="/.debs"),),
            limits=_LIMITS,
        )
        return run_confined(
            layout,
            argv,
            env=self._environment(),
            stdout=self._log,
            stderr=self._log,
            i386=self._plan["arch"] == "i386",
            timeout=self._plan["timeout"],
        )

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC0",
            "DEBIAN_FRONTEND": "noninteractive",
            "DEBCONF_NONINTERACTIVE_SEEN": "true",
            "PERL_HASH_SEED": "0",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": str(self._plan["date"]),
        }

    def _scrub(self) -> None:
        for path in _SCRUBBED:
            _remove(path)
        folder, prefix = _HOST_KEYS
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name.startswith(prefix):
                _remove(f"{folder}/{name}")
        for path in _EMPTIED:
            for name in os.listdir(path) if os.path.isdir(path) else ():
                _remove(f"{path}/{name}")
        _remove_logs("/var/log")
        for path, data in _FILES.items():
            _write(path, data)

    def _status(self) -> str:
        """Read dpkg's status file, following no link and no size that packages may have left."""
        top = os.open(self._tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            file = kernel.open_strictly(top, _STATUS[1:], os.O_RDONLY | os.O_NONBLOCK)
        finally:
            os.close(top)
        with os.fdopen(file, "rb") as stream:
            _require_plain(file, _STATUS)
            return stream.read(_LARGEST_STATUS).decode("utf-8", errors="replace")

    def _failed(self) -> int:
        size = os.fstat(self._log).st_size
        tail = os.pread(self._log, _TAIL, max(0, size - _TAIL))
        sys.stderr.write(tail.decode(errors="replace"))
        return _FAILED


def _write(path: str, data: bytes, mode: int = 0o644) -> None:
    """Write a new file in place of whatever is there."""
    _remove(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as stream:
        stream.write(data)


def _append(path: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(path, flags, 0o644)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        _require_plain(file, path)
        stream.write(text)


def _require_plain(file: int, path: str) -> None:
    """Refuse what a package's script may have put in place of a file: a FIFO, a huge hole."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_size >= _LARGEST_STATUS:
        raise OSError(f"{path} of the image is not a plain file of a sensible size")


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def _remove_logs(folder: str) -> None:
    """Remove what was logged; empty files (btmp, wtmp, lastlog) belong to packages."""
    for path, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(f"{path}/{name}")
            if stat.S_ISREG(status.st_mode) and status.st_size:
                os.unlink(f"{path}/{name}")
