"""Where the daemon is and how we prove who we are: from options and environment, no connection."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import MissingTool, UsageFailure
from gbuild.host.process import CLEAN_ENVIRONMENT

_SOCKETS = (
    "/var/lib/lxd/unix.socket",
    "/var/snap/lxd/common/lxd/unix.socket",
    "/run/incus/unix.socket",
    "/var/lib/incus/unix.socket",
)
_VARIABLES = (
    *(("LXD_SOCKET", ""), ("LXD_DIR", "/unix.socket")),
    *(("INCUS_SOCKET", ""), ("INCUS_DIR", "/unix.socket")),
)
"""The servers' own variables, as their clients read them, and what follows their values."""

_PORT = 8443
_PROOFS = ("cert", "key", "pin")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A daemon: the path of its unix socket, or ``https://host:port`` with certificates.

    ``pin`` is the sha256 of the server's certificate (DER), as ``lxc info`` shows it.
    """

    endpoint: str
    cert: str = ""
    key: str = ""
    pin: str = ""
    project: str = ""

    @property
    def proofs(self) -> Mapping[str, str]:
        """Who we are and who the server is, as options."""
        return {"cert": self.cert, "key": self.key, "pin": self.pin} if self.remote else {}

    @property
    def remote(self) -> bool:
        """Whether it is reached over the network."""
        return self.endpoint.startswith("https://")

    @property
    def host_port(self) -> tuple[str, int]:
        """Host and port of an https endpoint."""
        host, colon, port = self.endpoint.removeprefix("https://").rpartition(":")
        return (host.strip("[]"), int(port)) if colon else (port, _PORT)


def find(options: Mapping[str, str], environment: Mapping[str, str]) -> Address:
    """Return the daemon that the options name, or the one of this host.

    Raises:
        UsageFailure: an option that cannot be.
        MissingTool: none is named and this host has none.
    """
    project = options.get("project", "")
    endpoint = _spelled(options)
    if endpoint.startswith("https://"):
        return _remote(endpoint, options, environment, project)
    if endpoint and not endpoint.startswith("/"):
        raise UsageFailure(
            f"not an endpoint: {endpoint!r}",
            hint="endpoint=/path/to/unix.socket or endpoint=https://host:8443",
        )
    return Address(endpoint=endpoint or _local(environment), project=project)


def again(
    endpoint: str,
    project: str,
    *,
    noted: Mapping[str, str],
    options: Mapping[str, str],
    environment: Mapping[str, str],
) -> Address:
    """Return the daemon that an earlier run found, with the options that were noted then.

    Certificates and pin may be others by now: those of the options win if they are for it.

    Raises:
        UsageFailure: a file that was noted is not there any more.
    """
    now = options if _spelled(options) == endpoint else {}
    proofs = {name: given[name] for given in (noted, now) for name in _PROOFS if name in given}
    try:
        return find({**proofs, "endpoint": endpoint, "project": project}, environment)
    except UsageFailure as error:
        raise error.retold(f"{endpoint}: {error.brief}", details=error.details) from error


def asked_for(options: Mapping[str, str], environment: Mapping[str, str]) -> bool:
    """Say whether a person named a daemon."""
    return "endpoint" in options or any(environment.get(name) for name, _ in _VARIABLES)


def any_here() -> bool:
    """Say whether this host has a daemon in one of the usual places."""
    return any(os.path.exists(path) for path in _SOCKETS)


def _spelled(options: Mapping[str, str]) -> str:
    """Return the endpoint of the options, which says its port if it has one, or nothing."""
    endpoint = options.get("endpoint", "").rstrip("/")
    if not endpoint.startswith("https://") or re.search(r":[0-9]+\Z", endpoint):
        return endpoint
    return f"{endpoint}:{_PORT}"


def _local(environment: Mapping[str, str]) -> str:
    """Return the socket of this host's daemon: LXD's and Incus's own variables go first."""
    for name, rest in _VARIABLES:
        if value := environment.get(name):
            return f"{value}{rest}"
    for path in _SOCKETS:
        if os.path.exists(path):
            return path
    raise MissingTool(
        "no LXD or Incus daemon was found on this host",
        details=tuple(f"no socket {path}" for path in _SOCKETS),
        hint=f"{_begin()}, or --backend-option endpoint=https://...",
    )


def _begin() -> str:
    """Return the command after which this host has a daemon: one may be installed, and rest."""
    for program, name in (("lxd", "lxd"), ("incusd", "incus")):
        if shutil.which(program, path=CLEAN_ENVIRONMENT["PATH"]):
            return f"sudo systemctl start {name}"
    return "sudo apt-get install lxd && sudo lxd init"


def _remote(
    endpoint: str, options: Mapping[str, str], environment: Mapping[str, str], project: str
) -> Address:
    if not re.fullmatch(r"https://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?", endpoint):
        raise UsageFailure(f"not an endpoint: {endpoint!r}", hint="endpoint=https://host:8443")
    home = environment.get("HOME", "/")
    folders = [f"{home}/.config/{name}" for name in ("lxc", "incus")]
    folder = next((f for f in folders if os.path.exists(f"{f}/client.crt")), folders[0])
    return Address(
        endpoint=endpoint,
        cert=_file("cert", options.get("cert", f"{folder}/client.crt")),
        key=_file("key", options.get("key", f"{folder}/client.key")),
        pin=_pin(options.get("pin", "")),
        project=project,
    )


def _file(option: str, path: str) -> str:
    if not os.access(path, os.R_OK):
        raise UsageFailure(
            f"the client's {option} cannot be read: {path}",
            hint=(
                f"--backend-option {option}=FILE, or make certificate and key: openssl req -x509"
                ' -newkey rsa:4096 -nodes -days 3650 -subj "/CN=$USER" -keyout client.key'
                " -out client.crt"
            ),
        )
    return os.path.abspath(path)


def _pin(given: str) -> str:
    """Return the sha256 of the server's certificate, given as such or as a file that holds it."""
    plain = given.lower().replace(":", "")
    if _SHA256.match(plain):
        return plain
    if not given:
        raise UsageFailure(
            "no certificate is pinned for the server",
            hint="--backend-option pin=SHA256 (certificate_fingerprint of `lxc info` there)",
        )
    try:
        der = ssl.PEM_cert_to_DER_cert(Path(given).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UsageFailure(
            f"neither a sha256 nor a certificate's file: {given}", details=(str(error),)
        ) from error
    return hashlib.sha256(der).hexdigest()
