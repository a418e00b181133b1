"""What a container holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LARGEST = 1 << 30
"""Bytes that one file may have when it is unpacked; a larger one is looked at as it is."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a container: its bytes and what the container says of it."""

    name: str
    data: bytes
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """A file taken apart. ``ordered`` says whether the order of its members is to be compared."""

    kind: str
    members: tuple[Member, ...]
    fields: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = True


class TooLarge(ValueError):
    """A container that holds more than is looked at."""
