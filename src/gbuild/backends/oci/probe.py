"""What the engine of this host can do, asked of the engine itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gbuild.backends.oci.engine import Engine
from gbuild.backends.oci.network import flags, version_of
from gbuild.errors import GbuildError
from gbuild.host.uplink import tunnel_mend
from gbuild.target.backend import Finding

_SYS_RESOURCE = 24
_WANTED = frozenset({"cpu", "memory", "pids"})


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What an engine says of itself.

    ``controllers`` are those of cpu, memory and pids that it may use for a container.
    """

    version: tuple[int, ...]
    driver: str
    rootless: bool
    mapped: bool
    controllers: frozenset[str]
    runtime: str


def ask(engine: Engine) -> About:
    """Ask an engine about itself.

    Raises:
        BackendFailure: it does not answer; the details are its words.
    """
    info = engine.ask_json(
        "info", "--format=json" if engine.kind == "podman" else "--format={{json .}}"
    )
    return _podman(info) if engine.kind == "podman" else _docker(info)


def _podman(info: dict[str, Any]) -> About:
    host = info["host"]
    rootless = bool(host["security"]["rootless"])
    given = frozenset(host.get("cgroupControllers") or ())
    if host.get("cgroupVersion") == "v1":
        given = frozenset() if rootless else _WANTED
    return About(
        version=version_of(str(info["version"]["Version"])),
        driver=str(info["store"]["graphDriverName"]),
        rootless=rootless,
        mapped=True,
        controllers=given & _WANTED,
        runtime=str(host["ociRuntime"]["name"]),
    )


def _docker(info: dict[str, Any]) -> About:
    security = " ".join(info.get("SecurityOptions") or ())
    kept = (("memory", "MemoryLimit"), ("cpu", "CpuCfsQuota"), ("pids", "PidsLimit"))
    return About(
        version=version_of(str(info["ServerVersion"])),
        driver=str(info["Driver"]),
        rootless="name=rootless" in security,
        mapped="name=rootless" in security or "name=userns" in security,
        controllers=frozenset(name for name, field in kept if info.get(field)),
        runtime=str(info.get("DefaultRuntime", "")),
    )


def findings(engine: Engine) -> tuple[Finding, ...]:
    """Return everything that was found; the engine first.

    Raises:
        BackendFailure: it does not answer.
    """
    about = ask(engine)
    version = ".".join(map(str, about.version))
    return (
        Finding("engine", "ok", f"{engine.kind} {version}, {about.runtime}"),
        _users(engine, about),
        _storage(about),
        _network(engine, about),
        _limits(about),
    )


def missing(error: GbuildError) -> Finding:
    """Return the finding of an engine that is not there or does not answer."""
    detail = "; ".join((error.brief, *error.details[-2:]))
    return Finding("engine", "missing", detail, error.hint or _who())


def _who() -> str:
    if os.geteuid() == 0:
        return "run it as an ordinary user: podman needs no root"
    return "podman info (shows what podman itself lacks)"


def _users(engine: Engine, about: About) -> Finding:
    if about.rootless:
        return Finding("map of users", "ok", "root inside is you outside")
    if engine.kind == "podman":
        return _as_root()
    if about.mapped:
        return Finding("map of users", "not tested", "docker's userns-remap")
    detail = "root in a target is root of this host, held by capabilities and seccomp only"
    return Finding("map of users", "limited", detail, "use podman without root, or userns-remap")


def _as_root() -> Finding:
    """Podman as root sets resource limits of a process that belongs to another user."""
    status = Path("/proc/self/status").read_text().splitlines()
    held = int(next(line for line in status if line.startswith("CapEff:")).split()[1], 16)
    if not held >> _SYS_RESOURCE & 1:
        detail = "root lacks CAP_SYS_RESOURCE here, without which podman starts nothing as root"
        return Finding("map of users", "missing", detail, "run it as an ordinary user")
    return Finding("map of users", "not tested", "podman as root, with a map of users")


def _storage(about: About) -> Finding:
    if about.driver == "vfs":
        detail = "vfs copies the whole image at every start"
        return Finding("storage", "limited", detail, "leave out --backend-option storage=")
    return Finding("storage", "ok", about.driver)


def _network(engine: Engine, about: About) -> Finding:
    """Needed only by builds that ask for the network."""
    what, detail = "network", "only builds with network: full need it"
    try:
        network, _ = flags(engine, about.version, wanted=True)
    except GbuildError as error:
        return Finding(what, "limited", f"{error.brief}; {detail}", error.hint)
    if engine.kind == "podman" and (mend := tunnel_mend()) is not None:
        return Finding(what, "limited", f"/dev/net/tun is closed; {detail}", mend)
    return Finding(what, "ok", network[0].partition("=")[2])


def _limits(about: About) -> Finding:
    missing = _WANTED - about.controllers
    if not missing:
        return Finding("limits (cgroups)", "ok", "memory, cpu, pids")
    detail = f"unlimited as a whole: {', '.join(sorted(missing))}; only per process"
    mend = None
    if os.path.isdir("/run/systemd/system"):
        mend = "delegate controllers to users: systemctl edit user@.service, Delegate=yes"
    return Finding("limits (cgroups)", "limited", detail, mend)
