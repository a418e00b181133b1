"""Lock to image bytes: plan the bootstrap, run it in the sandbox, check what was installed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gbuild.errors import BackendFailure, GbuildError, HostFailure, Untrusted
from gbuild.host import cgroup
from gbuild.host.deb import DamagedPackage, closure, control_fields, installed
from gbuild.host.idmap import IdMap
from gbuild.host.process import Completed
from gbuild.host.sandbox.trusted import run_trusted
from gbuild.host.store import Store
from gbuild.image.base import LOCALES
from gbuild.image.suites import suite
from gbuild.model.event import Event, Sink
from gbuild.model.lock import Environment, Package
from gbuild.target.registry import new_id

TIMEOUT = 1800.0
"""Seconds that one run of dpkg may take."""

_ROOM, _ROOM_FACTOR = 2 << 30, 24
"""Bytes of the tmpfs that a bootstrap writes to: fixed, and for each byte of packages."""

_MEMORY = 3 << 30
"""Bytes of memory that all its processes may use beside that, where the host can limit it."""

_PROGRAM = Path(__file__).parent / "inside" / "bootstrap.py"
_USUAL_LINKS = ("bin", "sbin", "lib")


def plan(environment: Environment, controls: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Say what the program inside has to do. Pure.

    Args:
        environment: the locked packages.
        controls: control fields of the packages of the environment's own architecture, by name.
    """
    known = suite(environment.distro, environment.suite, arch=environment.arch)
    essential = [p.name for p in environment.packages if p.essential and _own(p, environment)]
    first = closure(controls, essential)
    links = (*_USUAL_LINKS, *(known.lib_links if environment.arch == "amd64" else ()))
    return {
        "arch": environment.arch,
        "foreign": list(environment.foreign),
        "date": environment.date,
        "first": _files(
            p for p in environment.packages if p.name in first and _own(p, environment)
        ),
        "rest": _files(
            p for p in environment.packages if p.name not in first or not _own(p, environment)
        ),
        "links": list(links) if known.merged_usr else [],
        "locales": list(LOCALES[environment.base]),
        "timeout": TIMEOUT,
        "tmpfs": _ROOM + _ROOM_FACTOR * sum(p.size for p in environment.packages),
        "workers": max(2, min(8, os.cpu_count() or 2)),
    }


def _own(package: Package, environment: Environment) -> bool:
    return package.arch in (environment.arch, "all")


def _files(packages: Iterator[Package]) -> list[tuple[str, str]]:
    """Pair each package's blob with the name under which dpkg sees it."""
    return [(p.sha256, p.file_name) for p in packages]


def bootstrap(
    environment: Environment, out: int, *, store: Store, idmap: IdMap, sink: Sink
) -> Mapping[str, float]:
    """Make the image of an environment and write its tar to a descriptor.

    Every package must be in the store; each is hashed again. Returns the seconds of each step.

    Raises:
        WrongHash: a blob was damaged.
        BackendFailure: a package could not be installed; the details are dpkg's last words.
        Untrusted: what is installed is not what is locked.
    """
    if time.time() < environment.date:
        raise HostFailure(
            "this host's clock is behind the date of the lock's archives",
            details=(
                f"archives: {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(environment.date))}",
            ),
            hint="set the clock: times of files would differ from everybody else's",
        )
    began = time.monotonic()
    paths = _verified(environment, store)
    controls = _controls(environment, paths)
    seconds = {"verified": round(time.monotonic() - began, 3)}
    sink(Event("info", f"bootstrapping {environment.label}", {"job": environment.label}))
    said = _run(plan(environment, controls), out, store, idmap, environment.label)
    compare(environment, installed(said["status"]))
    return {**seconds, **said["laps"]}


def _verified(environment: Environment, store: Store) -> dict[Package, Path]:
    with ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
        packages = environment.packages
        return dict(
            zip(packages, pool.map(store.verified, (p.sha256 for p in packages)), strict=True)
        )


def _controls(environment: Environment, paths: Mapping[Package, Path]) -> dict[str, dict[str, str]]:
    own = [p for p in environment.packages if _own(p, environment)]
    try:
        return {p.name: control_fields(paths[p]) for p in own}
    except DamagedPackage as error:
        raise BackendFailure(f"a package of {environment.label} cannot be read: {error}") from error


def _run(
    what: Mapping[str, Any], out: int, store: Store, idmap: IdMap, label: str
) -> dict[str, Any]:
    with _folder(store.root / "blobs") as blobs, _group(what["tmpfs"] + _MEMORY) as group:
        done = run_trusted(
            idmap,
            _PROGRAM,
            (str(out), str(blobs)),
            stdin=json.dumps(what).encode(),
            pass_fds=(out, blobs),
            timeout=3 * TIMEOUT,
            enter=group.add,
        )
        if done.returncode != 0:
            raise _failure(done, label, starved=group.starved())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _failure(done: Completed, label: str, *, starved: bool) -> GbuildError:
    from gbuild.image.inside.bootstrap import FULL

    details = tuple(done.stderr.decode(errors="replace").splitlines()[-30:])
    if done.returncode == FULL:
        return HostFailure(
            f"the image of {label} could not be written: no space left on device",
            details=details,
            hint="free some space, or use another folder with --store",
        )
    why = "its packages' scripts used more memory than they may" if starved else ""
    return BackendFailure(
        f"the image of {label} could not be made: {why or f'status {done.returncode}'}",
        details=details,
    )


@contextmanager
def _group(memory: int) -> Iterator[cgroup.Group]:
    group = cgroup.make(new_id("image"), cgroup.Caps(memory=memory), cgroup.places())
    try:
        yield group
    finally:
        group.remove()


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def compare(environment: Environment, found: Mapping[tuple[str, str], tuple[str, str]]) -> None:
    """Compare what dpkg's database says with the lock. Pure.

    Raises:
        Untrusted: they differ; names every package.
    """
    wanted = {(p.name, p.arch): (p.version, "install ok installed") for p in environment.packages}
    wrong = sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))
    if wrong:
        raise Untrusted(
            f"the image of {environment.label} does not hold what is locked",
            details=tuple(
                f"{name}:{arch}: locked {wanted.get((name, arch))}, "
                f"installed {found.get((name, arch))}"
                for name, arch in wrong
            ),
        )
