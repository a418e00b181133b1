"""What a command is about: a descriptor's path, or the name of a build."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.errors import UsageFailure

if TYPE_CHECKING:
    from gbuild.model.descriptor import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A package by name, with its descriptor when a file was given."""

    name: str
    descriptor: Descriptor | None = None


def subject(what: str) -> Subject:
    """Read the descriptor at ``what``, or take it as a build's name.

    Raises:
        UsageFailure: it is neither.
        DescriptorInvalid: the descriptor is not one.
    """
    from gbuild.model import names

    path = Path(what)
    if path.is_file():
        from gbuild.formats.descriptor import parse_descriptor
        from gbuild.host.files import read_small

        descriptor = parse_descriptor(read_small(path), path=what)
        return Subject(name=descriptor.name, descriptor=descriptor)
    if names.BUILD.refusal(what) or path.suffix in {".yml", ".yaml"}:
        text = f"{what} is not a file" if path.exists() else f"there is no descriptor {what}"
        raise UsageFailure(text, hint="give a path or a build's name")
    return Subject(name=what)
