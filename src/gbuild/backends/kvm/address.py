"""Where libvirt is: of this host, or of another that SSH reaches.

Format: libvirt's manual, "Connection URIs" and "Remote support".
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gbuild.backends.kvm.ssh import Ssh
from gbuild.errors import UsageFailure

_HOST = re.compile(r"[A-Za-z0-9:][A-Za-z0-9._:%-]*")
_EXAMPLE = "qemu+ssh://USER@HOST/system or /session"
_REFUSED = {
    "no_verify": "then anybody on the way could be the host",
    "name": "the path says which libvirt is meant",
    "mode": "only libvirt over there can choose its sockets",
}
"""Words of an address that libvirt knows and this backend does not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A libvirt; ``uri`` is as libvirt is to be given it, ``ssh`` the way to another host."""

    uri: str
    system: bool
    ssh: Ssh | None = None

    @property
    def host(self) -> str:
        """The host's name for people."""
        return self.ssh.host if self.ssh else "this host"

    @property
    def shown(self) -> str:
        """What a statement may tell the world: another host is not named."""
        if self.ssh is None:
            return self.uri
        return f"qemu+ssh:///{'system' if self.system else 'session'}"


def parse(uri: str) -> Address:
    """Read an address.

    Raises:
        UsageFailure: it is another hypervisor's, by another way than SSH, or not this person's.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("qemu", "qemu+ssh") or parts.path not in ("/system", "/session"):
        raise UsageFailure(
            f"the backend kvm knows qemu:///system, qemu:///session and qemu+ssh://, not {uri}",
            hint=f"for another host: {_EXAMPLE}" if "+" in parts.scheme or parts.netloc else None,
        )
    system = parts.path == "/system"
    if parts.scheme == "qemu+ssh":
        return _elsewhere(uri, system=system)
    if parts.netloc:
        raise UsageFailure(f"other hosts are reached by SSH, not by {uri}", hint=_EXAMPLE)
    if system and os.geteuid() != 0:
        raise UsageFailure(
            "machines of qemu:///system belong to root and cannot read this person's store",
            hint="--backend-option uri=qemu:///session",
        )
    return Address(uri=uri, system=system)


def _elsewhere(uri: str, *, system: bool) -> Address:
    """Read the address of another host.

    libvirt gets ``no_tty``: nobody is there to answer ssh's questions.
    """
    parts = urlsplit(uri)
    words = _words(parts.query)
    for name, why in _REFUSED.items():
        if name in words:
            raise UsageFailure(f"{name}= cannot be part of libvirt's address here: {why}")
    try:
        host, port = unquote(parts.hostname or ""), parts.port
    except ValueError as error:
        raise UsageFailure(f"libvirt's address has a wrong port: {uri}", hint=_EXAMPLE) from error
    if not _HOST.fullmatch(host):
        raise UsageFailure(f"libvirt's address has no usable host: {uri}", hint=_EXAMPLE)
    return Address(
        uri=uri if "no_tty" in words else f"{uri}{'&' if parts.query else '?'}no_tty=1",
        system=system,
        ssh=Ssh(
            host=host,
            user=unquote(parts.username) if parts.username else None,
            port=port,
            key=words.get("keyfile"),
            program=words.get("command"),
        ),
    )


def _words(query: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in query.replace(";", "&").split("&"))
    return {unquote(name): unquote(value) for name, _, value in pairs if name}
