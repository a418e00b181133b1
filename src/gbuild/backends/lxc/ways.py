"""The ways out of a target: none, pasta, or a bridge of our own."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from gbuild.backends.lxc import bridge
from gbuild.errors import HostFailure, UsageFailure
from gbuild.host import uplink
from gbuild.target.contained import Link


class Way(ABC):
    """How a target gets its network. ``resolver`` is the text of its resolv.conf."""

    name: ClassVar[str]
    resolver: str

    def held(self, token: str) -> Mapping[str, Sequence[str]]:
        """Name what must go with the target that ``token`` names."""
        del token
        return {}

    @abstractmethod
    def join(self, token: str, pid: int) -> Link | None:
        """Connect the network namespace of ``pid``; returns when packets can flow."""


@dataclass(frozen=True, slots=True)
class Nowhere(Way):
    """No network at all."""

    name: ClassVar[str] = "none"
    resolver: str = ""

    def join(self, token: str, pid: int) -> Link | None:
        """Do nothing: there is a loopback and nothing else."""
        del token, pid
        return None


@dataclass(frozen=True, slots=True)
class Pasta(Way):
    """A process of this user, as for the backend userns."""

    name: ClassVar[str] = "pasta"
    resolver: str
    settings: tuple[str, ...]

    def join(self, token: str, pid: int) -> Link:
        """Start pasta."""
        del token
        return uplink.Uplink(pid, self.settings)


@dataclass(frozen=True, slots=True)
class Bridged(Way):
    """A cable to a bridge of this host, and address translation."""

    name: ClassVar[str] = "bridge"
    resolver: str

    def held(self, token: str) -> Mapping[str, Sequence[str]]:
        """Name the bridge."""
        return {"bridges": (bridge.name_of(token),)}

    def join(self, token: str, pid: int) -> Link:
        """Make the bridge and the cable."""
        return bridge.Bridge(token, pid)


def chosen(options: Mapping[str, str]) -> str:
    """Return the name of the way for targets with a network.

    Raises:
        UsageFailure: there is no such way, or this person may not take it.
    """
    root = os.geteuid() == 0
    name = options.get("network", "bridge" if root else "pasta")
    if name not in ("bridge", "pasta"):
        raise UsageFailure(f"network={name} is neither bridge nor pasta")
    if name == "bridge" and not root:
        raise UsageFailure(
            "only root can make a bridge", hint="--backend-option network=pasta, or no such option"
        )
    return name


def find(options: Mapping[str, str], *, wanted: bool) -> Way:
    """Return the way for a target.

    Raises:
        UsageFailure: as for :func:`chosen`.
        HostFailure: this host's name servers listen on its loopback, which a bridge cannot reach.
    """
    name = chosen(options)
    if not wanted:
        return Nowhere()
    resolver, settings = uplink.resolver()
    if name == "pasta":
        return Pasta(resolver, settings)
    if settings:
        raise HostFailure(
            "this host's name servers listen on its loopback: a bridge does not reach them",
            hint="--backend-option network=pasta",
        )
    return Bridged(resolver)
