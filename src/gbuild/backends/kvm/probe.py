"""What this backend finds on a host."""

from __future__ import annotations

from gbuild.backends.kvm import acceleration
from gbuild.backends.kvm.library import connect
from gbuild.errors import GbuildError, MissingTool
from gbuild.host.process import which
from gbuild.host.uplink import tunnel_mend
from gbuild.target.backend import Finding

_TOOLS = (
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("qemu-img", "qemu-utils"),
    ("mke2fs", "e2fsprogs"),
)


def findings(uri: str) -> tuple[Finding, ...]:
    """Look for library, daemon, QEMU and its tools, KVM, and what a network takes."""
    tools = (_tool(tool, package) for tool, package in _TOOLS)
    return (*tools, _daemon(uri), _network(), _kvm())


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
    return Finding("libvirt", "ok", uri)


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
        return Finding("kvm", "limited", "machines are emulated, which is slow", mend)
    return Finding("kvm", "not tested", f"{acceleration.NODE}: the first start tries it")
