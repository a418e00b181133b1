"""Put a lock's packages on a system that a person made, and say what it is then.

Gitian installed the descriptor's packages in such a machine with whatever versions the archive had.
Here the locked files are put on it and apt in the machine installs those, without a network; then
dpkg is asked what is there. This comes before anything of the build runs, on a machine fresh from
its snapshot, so that the answer is the machine's and not a script's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gbuild.errors import AnswerIsNo, BackendFailure
from gbuild.formats.manifest import write_manifest
from gbuild.host.store import Store
from gbuild.model.drift import Drift, Installed, compare
from gbuild.model.event import Event, Sink
from gbuild.model.lock import Environment, Package
from gbuild.model.manifest import Entry

if TYPE_CHECKING:
    from gbuild.engine.joblog import JobLog
    from gbuild.target.shell import Target

UNKNOWN = "0" * 64
"""Stands in a base manifest for the hash of a package whose file nobody has: it was there before,
and is not what the lock names."""

_FOLDER = "/var/cache/gbuild-packages"
_TIMEOUT = 3600.0
_SHOWN = 40
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
}
_QUERY = ("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${Architecture}\t${Status}\n")
_LINE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+)\t(?P<version>[A-Za-z0-9.+:~-]+)\t(?P<arch>[a-z0-9-]+)"
    r"\t(?P<want>[a-z-]+) (?P<error>[a-z-]+) (?P<status>[a-z-]+)",
    re.ASCII,
)
_ABSENT = frozenset({"not-installed", "config-files"})
_WHOLE = frozenset({"installed", "triggers-awaited", "triggers-pending"})
"""States of dpkg (dpkg-query(1)); in every other a package is neither there nor gone."""
_APT = (
    *("apt-get", "-q", "-y", "--no-install-recommends", "--allow-downgrades"),
    *("--allow-change-held-packages", "--allow-remove-essential"),
    *("-o", "Dir::Etc::SourceList=/dev/null"),
    *("-o", "Dir::Etc::SourceParts=/dev/null"),
    *("-o", f"Dir::State::Lists={_FOLDER}/lists"),
    *("-o", "APT::Sandbox::User=root"),
    *("-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="),
    *("-o", "Dpkg::Options::=--force-confold"),
    *("-o", "Dpkg::Options::=--force-confdef"),
)


class Drifted(AnswerIsNo):
    """A machine has other packages than the lock, and nobody said that this may be."""


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a machine has after all: every package, and how that differs from the lock."""

    installed: tuple[Installed, ...]
    drift: Drift

    def manifest(self, environment: Environment) -> str:
        """Return the base manifest: every package that is there, with the hash that is known."""
        known = {(p.name, p.arch, p.version): p.sha256 for p in environment.packages}
        return write_manifest(
            Entry(path=p.file_name, digest=known.get((p.name, p.arch, p.version), UNKNOWN))
            for p in self.installed
        )


def provision(
    target: Target,
    environment: Environment,
    *,
    store: Store,
    accept_drift: bool,
    log: JobLog,
    sink: Sink,
    label: str,
) -> Provisioned:
    """Install what the lock names and the machine has not, and compare.

    Args:
        target: the machine, just started.
        environment: the locked packages; their files are in the store.
        store: holds them.
        accept_drift: whether a difference is only told, and recorded.
        log: takes what apt says.
        sink: is told what happens.
        label: the job.

    Raises:
        Drifted: the machine differs from the lock, and ``accept_drift`` is not set.
        BackendFailure: what the machine says of its packages cannot be read, or dpkg left some of
            them half done.
    """
    before = compare(environment.packages, _installed(_rows(target)))
    wanted = (*before.missing, *(locked for locked, _ in before.other))
    if wanted:
        text = f"putting {len(wanted)} locked packages on the machine"
        sink(Event("step", text, {"job": label}))
        _install(target, wanted, environment, store, log)
    rows = _rows(target)
    _check_whole(rows)
    installed = _installed(rows)
    drift = compare(environment.packages, installed)
    _judge(drift, environment, accept_drift=accept_drift, sink=sink, label=label)
    return Provisioned(installed, drift)


def _install(
    target: Target,
    packages: Sequence[Package],
    environment: Environment,
    store: Store,
    log: JobLog,
) -> None:
    """Have apt in the machine install the packages; what it could not is seen in the end."""
    files = [(store.verified(package.sha256), package.file_name) for package in packages]
    _run(target, log, ("mkdir", "-p", f"{_FOLDER}/lists/partial"))
    target.put_files(files, _FOLDER, timeout=_TIMEOUT)
    for arch in environment.foreign:
        _run(target, log, ("dpkg", "--add-architecture", arch))
    names = [f"{_FOLDER}/{name}" for _, name in files]
    _run(target, log, (*_APT, "install", *names))
    _run(target, log, ("rm", "-rf", _FOLDER))


def _run(target: Target, log: JobLog, argv: Sequence[str]) -> None:
    log.write(f"+ {' '.join(argv)}\n".encode())
    done = target.run(
        argv,
        env=_ENVIRONMENT,
        timeout=_TIMEOUT,
        on_output=lambda _stream, data: log.write(data),
    )
    if done.returncode != 0:
        log.write(f"{argv[0]} ended with status {done.returncode}\n".encode())


def _rows(target: Target) -> list[re.Match[str]]:
    """Ask dpkg for every package that it knows, in whatever state; the words are checked."""
    done = target.run(_QUERY, env=_ENVIRONMENT, timeout=120.0, capture=16 << 20, check=True)
    lines = done.stdout.decode("ascii", errors="replace").splitlines()
    matches = [(line, _LINE.fullmatch(line)) for line in lines]
    if wrong := [line for line, match in matches if match is None]:
        raise BackendFailure(
            "the machine's list of packages cannot be read", details=(ascii(wrong[0])[:200],)
        )
    return [match for _, match in matches if match is not None]


def _installed(rows: Sequence[re.Match[str]]) -> tuple[Installed, ...]:
    """Return what is wholly there; what is not, apt is asked to install."""
    return tuple(
        sorted(
            Installed(name=row["name"], arch=row["arch"], version=row["version"])
            for row in rows
            if row["status"] in _WHOLE and row["error"] == "ok"
        )
    )


def _check_whole(rows: Sequence[re.Match[str]]) -> None:
    """Refuse a machine with a package that is half there: apt failed, or somebody's dpkg before."""
    wrong = [
        f"{row['name']}:{row['arch']} {row['version']}: {row['error']} {row['status']}"
        for row in rows
        if row["status"] not in _WHOLE | _ABSENT or row["error"] != "ok"
    ]
    if wrong:
        raise BackendFailure(
            f"dpkg left packages of the machine half installed: {wrong[0]}",
            details=tuple(wrong[:_SHOWN]),
            hint="the job's log has what apt said; mend the machine and take its snapshot anew",
        )


def _judge(
    drift: Drift, environment: Environment, *, accept_drift: bool, sink: Sink, label: str
) -> None:
    if not drift:
        return
    lines = list(drift.lines())
    shown = tuple(lines[:_SHOWN])
    if more := len(lines) - len(shown):
        shown = (*shown, f"and {more} more")
    brief = f"the machine differs from the lock of {environment.label}: {drift.brief}"
    if not accept_drift:
        raise Drifted(
            brief,
            details=shown,
            hint="build with --accept-drift (the report then lists what was there), make the "
            "machine as the lock says, or take another --backend, which makes its own",
        )
    for text in (brief, *shown):
        sink(Event("warning", text, {"job": label}))
