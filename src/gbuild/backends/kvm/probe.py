"""What this backend finds on a host, this one or another."""

from __future__ import annotations

from gbuild.backends.kvm import acceleration
from gbuild.backends.kvm.address import parse
from gbuild.backends.kvm.library import connect
from gbuild.backends.kvm.site import Site
from gbuild.errors import GbuildError, MissingTool
from gbuild.host.process import which
from gbuild.host.uplink import tunnel_mend
from gbuild.target.backend import Finding

_HERE = (
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("mke2fs", "e2fsprogs"),
)
_SLOW = "machines are emulated, which is slow"
_ELSEWHERE = (("ssh", "openssh-client"), ("mke2fs", "e2fsprogs"))


def findings(uri: str) -> tuple[Finding, ...]:
    """Look for library, daemon, QEMU and its tools, KVM, and what a network takes."""
    tools = tuple(_tool(tool, package) for tool, package in _HERE)
    return (*tools, _daemon(uri), _network(), _kvm())


def findings_elsewhere(site: Site) -> tuple[Finding, ...]:
    """Look for ssh and mke2fs here, and for daemon, QEMU and KVM on another host."""
    tools = tuple(_tool(tool, package) for tool, package in _ELSEWHERE)
    host = site.address.host
    daemon = _daemon(site.address.uri)
    network = Finding("network", "limited", f"targets on {host} have none")
    if daemon.state != "ok":
        return (*tools, daemon, network)
    try:
        emulator = Finding("qemu-system-x86_64", "ok", f"{site.emulator()} of {host}")
        mend = site.obstacle()
    except GbuildError as error:
        emulator = Finding("qemu-system-x86_64", "missing", error.brief, error.hint)
        return (*tools, daemon, emulator, network)
    kvm = _offered(host) if mend is None else Finding("kvm", "limited", _SLOW, mend)
    return (*tools, daemon, emulator, network, kvm)


def _tool(tool: str, package: str) -> Finding:
    try:
        return Finding(tool, "ok", str(which(tool, package=package)))
    except MissingTool as error:
        return Finding(tool, "missing", error.brief, error.hint)


def _daemon(uri: str) -> Finding:
    try:
        connect(uri).close()
    except GbuildError as error:
        return Finding("libvirt", "missing", error.brief, error.hint)
    address = parse(uri)
    where = f" of {address.host}" if address.ssh else ""
    return Finding("libvirt", "ok", f"{address.shown}{where}")


def _network() -> Finding:
    try:
        which("passt", package="passt")
    except MissingTool as error:
        return Finding("network", "limited", error.brief, error.hint)
    if (mend := tunnel_mend()) is not None:
        return Finding("network", "limited", "/dev/net/tun cannot be used", mend)
    return Finding("network", "ok", "passt")


def _kvm() -> Finding:
    """Say whether KVM may work; the first start tries whether it does."""
    if (mend := acceleration.unusable()) is not None:
        return Finding("kvm", "limited", _SLOW, mend)
    return Finding("kvm", "not tested", f"{acceleration.NODE}: the first start tries it")


def _offered(host: str) -> Finding:
    return Finding("kvm", "not tested", f"{host} offers it: the first start tries it")
