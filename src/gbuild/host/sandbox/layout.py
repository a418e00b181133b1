"""What the inside of a sandbox looks like: pure composition of steps, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gbuild.host.sandbox import kernel
from gbuild.host.sandbox.steps import Step

STAGE = "/tmp"  # covered by a private mount before anything is put there

_QUIET = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = (
    ("/proc/self/fd", "/dev/fd"),
    ("fd/0", "/dev/stdin"),
    ("fd/1", "/dev/stdout"),
    ("fd/2", "/dev/stderr"),
    ("pts/ptmx", "/dev/ptmx"),
)
MASKED = (
    *(f"/proc/{name}" for name in ("acpi", "asound", "kallsyms", "kcore", "key-users", "keys")),
    *(f"/proc/{name}" for name in ("kmsg", "kpagecgroup", "kpagecount", "kpageflags")),
    *(f"/proc/{name}" for name in ("latency_stats", "sched_debug", "scsi", "sysrq-trigger")),
    *(f"/proc/{name}" for name in ("timer_list", "timer_stats", "vmallocinfo")),
    *(f"/sys/{name}" for name in ("dev/block", "devices/virtual/powercap", "firmware", "fs")),
)
"""What nobody inside may look at."""

READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys")
"""What nobody inside may change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """A fresh copy of a tree that itself stays untouched.

    What is written goes to a tmpfs of at most ``size`` bytes and ``inodes`` files, or into the
    empty directory ``disk`` (owned by the mapped root).
    """

    lower: Path
    size: int | None = None
    inodes: int | None = None
    disk: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """A tree that is changed in place."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """A file or directory of the host, shown at ``target``; set-uid bits and devices are inert."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file written by the launcher, never through a symbolic link of the image."""

    path: str
    data: bytes
    mode: int = 0o644
    owner: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user and group of one name and number that must exist."""

    name: str
    number: int
    home: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disorder:
    """Folders whose order is reversed, and what of the host does it: a program of FUSE."""

    folders: tuple[str, ...]
    program: Path
    libraries: tuple[Path, ...]
    device: Path

    @property
    def files(self) -> tuple[tuple[Path, str], ...]:
        """What its server sees of the host, and where."""
        shown = ((path, str(path)) for path in (self.program, *self.libraries))
        return (*shown, (self.device, "/dev/fuse"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A sandbox as its inmates see it."""

    root: Overlay | Directory
    hostname: str = "gitian"
    sudo: bool = False
    binds: tuple[Bind, ...] = ()
    files: tuple[File, ...] = ()
    account: Account | None = None
    resolver: str = ""
    personality: int = 0
    processors: tuple[int, ...] = ()
    limits: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    disorder: Disorder | None = None


def before(layout: Layout) -> list[Step]:
    """Steps while files of the host can still be reached: only descriptors are made."""
    steps: list[Step] = [("open", name, f"/dev/{name}") for name in _DEVICES]
    root = layout.root
    steps.append(_open("tree", root.lower if isinstance(root, Overlay) else root.path))
    if isinstance(root, Overlay) and root.disk is not None:
        steps.append(_open("disk", root.disk))
    steps += [_open(f"bind{n}", bind.source) for n, bind in enumerate(layout.binds)]
    if layout.disorder is not None:
        steps.append(("load_disorder",))
        steps += [_open(f"disorder{n}", p) for n, (p, _) in enumerate(layout.disorder.files)]
    return steps


def _open(name: str, path: Path) -> Step:
    return ("open", name, str(path.absolute()))


def steps(layout: Layout) -> list[Step]:
    """Steps of the sandbox's first process, from the host's mounts to its own."""
    return [
        ("private",),
        *stage(layout),
        ("enter", "@stage/root"),
        *_proc(),
        *_furniture(layout),
        *(_disorder(layout.disorder) if layout.disorder else ()),
        ("leave",),
        *(("mask", path) for path in MASKED),
        *(("readonly", path) for path in READ_ONLY),
        ("loopback",),
        ("hostname", layout.hostname),
        *_files(layout),
        *process(layout),
    ]


def furnish(layout: Layout) -> list[Step]:
    """Steps that complete ``@stage/root`` for a container that somebody else starts in it.

    They end in a process that is of no use for anything else.
    """
    return [
        ("chroot", "@stage/root"),
        ("directory", "/proc", 0o555),
        ("mount", "proc", "/proc", "proc", _QUIET, ""),
        ("directory", "/sys", 0o555),
        *_furniture(layout),
        *_files(layout),
        ("detach", "/proc"),
    ]


def _furniture(layout: Layout) -> list[Step]:
    return [
        *_dev(),
        *(_run() if isinstance(layout.root, Overlay) else ()),
        *_binds(layout.binds),
    ]


def stage(layout: Layout) -> list[Step]:
    """Steps that mount the root at ``@stage/root``, with room for /run and /dev/shm beside it."""
    root = layout.root
    flags = kernel.MS_NOSUID | kernel.MS_NODEV
    if isinstance(root, Directory):
        return [*_stage("size=64m"), ("bind", "@tree", "@stage/root", flags)]
    quota = f"size={root.size or 0},nr_inodes={root.inodes or 0}"
    upper = "@disk" if root.disk else "@stage"
    if layout.sudo:
        flags = kernel.MS_NODEV
    folders: list[Step] = [("mkdir", f"{upper}/{name}", 0o755) for name in ("upper", "work")]
    places = f"{upper}/upper", f"{upper}/work"
    return [*_stage(quota), *folders, ("overlay", "@tree", *places, "@stage/root", flags)]


def _stage(quota: str) -> list[Step]:
    """The private file system that holds what is written: tree, /run and /dev/shm together."""
    return [
        ("mount", "scratch", STAGE, "tmpfs", kernel.MS_NODEV, f"mode=755,{quota}"),
        ("open", "stage", STAGE),
        ("mkdir", "@stage/root", 0o755),
        ("mkdir", "@stage/run", 0o755),
        ("mkdir", "@stage/shm", 0o1777),
    ]


def _binds(binds: Sequence[Bind]) -> list[Step]:
    result: list[Step] = []
    for number, bind in enumerate(binds):
        attributes = kernel.ATTR_NOSUID | kernel.ATTR_NODEV
        if bind.read_only:
            attributes |= kernel.ATTR_RDONLY
        result.append(("place", f"@bind{number}", bind.target, attributes))
    return result


def _disorder(wanted: Disorder) -> list[Step]:
    """Steps while the host's files are still held, as late as can be."""
    files: list[str] = []
    for number, (_, path) in enumerate(wanted.files):
        files += (f"@disorder{number}", path)
    return [
        ("disorder", folder, f"@stage/server{number}", *files)
        for number, folder in enumerate(wanted.folders)
    ]


def _proc() -> list[Step]:
    return [
        ("directory", "/proc", 0o555),
        ("mount", "proc", "/proc", "proc", _QUIET, ""),
        ("directory", "/sys", 0o555),
        ("sysfs", "/sys"),
    ]


def _dev() -> list[Step]:
    attributes = kernel.ATTR_NOSUID | kernel.ATTR_NODEV
    flags = kernel.MS_NOSUID | kernel.MS_NOEXEC
    result: list[Step] = [
        ("directory", "/dev", 0o755),
        ("mount", "dev", "/dev", "tmpfs", flags, "mode=755,size=64k,nr_inodes=64"),
        *(("touch", f"/dev/{name}") for name in _DEVICES),
        *(("bind", f"@{name}", f"/dev/{name}", 0) for name in _DEVICES),
        *(("symlink", target, path) for target, path in _LINKS),
        *(("mkdir", f"/dev/{name}", 0o755) for name in ("pts", "shm", ".empty")),
        ("mount", "devpts", "/dev/pts", "devpts", flags, "newinstance,ptmxmode=666,mode=620"),
        ("bind", "@stage/shm", "/dev/shm", attributes),
    ]
    return result


def _run() -> list[Step]:
    attributes = kernel.ATTR_NOSUID | kernel.ATTR_NODEV
    return [
        ("directory", "/run", 0o755),
        ("bind", "@stage/run", "/run", attributes),
        ("directory", "/run/sshd", 0o755),
        ("directory", "/run/lock", 0o1777),
    ]


def _files(layout: Layout) -> list[Step]:
    """Write the given files, and into a fresh copy the three that name the machine."""
    result: list[Step] = []
    if layout.account is not None:
        result += _account(layout.account)
    own = naming(layout.hostname, layout.resolver) if isinstance(layout.root, Overlay) else ()
    for file in (*own, *layout.files):
        result.append(("directory", file.path.rpartition("/")[0], 0o755))
        result.append(("write", file.path, file.mode, file.owner, file.data))
    return result


def naming(hostname: str, resolver: str) -> tuple[File, ...]:
    """Return the three files that name the machine and its name servers."""
    hosts = f"127.0.0.1 localhost {hostname}\n::1 localhost\n"
    return (
        File(path="/etc/hostname", data=f"{hostname}\n".encode()),
        File(path="/etc/hosts", data=hosts.encode()),
        File(path="/etc/resolv.conf", data=resolver.encode()),
    )


def account_lines(account: Account) -> tuple[tuple[str, str], ...]:
    """Return (file, line) for each file of accounts that must name the account."""
    name, number = account.name, account.number
    return (
        ("/etc/passwd", f"{name}:x:{number}:{number}::{account.home}:/bin/bash"),
        ("/etc/group", f"{name}:x:{number}:"),
        ("/etc/shadow", f"{name}:*:19000:0:99999:7:::"),
    )


def _account(account: Account) -> list[Step]:
    lines: list[Step] = [("entry", path, line) for path, line in account_lines(account)]
    return [*lines, ("home", account.home, account.number)]


def process(layout: Layout) -> list[Step]:
    """What every process inside inherits from the first."""
    result: list[Step] = [("personality", layout.personality)]
    if layout.processors:
        result.append(("affinity", *layout.processors))
    result += [("limit", kind, soft, hard) for kind, (soft, hard) in layout.limits.items()]
    return result
