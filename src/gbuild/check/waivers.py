"""Waivers: a project's word that an artefact need not be reproducible, for a while.

They lie beside the descriptor in ``<stem>.waivers.yml``::

    format: gbuild.waivers/1
    waivers:
    - artifacts: "*.pdf"
      reason: "the typesetter writes its start time"
      owner: alice
      expires: 2027-03-01

A waiver never hides: what it covers is shown as not reproducible, with the waiver beside it.
After the day ``expires`` it covers nothing.
"""

from __future__ import annotations

from pathlib import Path

from gbuild.formats.waivers import parse_waivers
from gbuild.host.files import read_small
from gbuild.model.check import Waiver


def waivers_path(descriptor: Path) -> Path:
    """Return where the waivers of a descriptor lie."""
    return descriptor.with_name(f"{descriptor.stem}.waivers.yml")


def read_waivers(descriptor: Path) -> tuple[Waiver, ...]:
    """Read the waivers beside a descriptor; none when there is no such file.

    Raises:
        UsageFailure: it does not follow its schema; every problem with its place.
    """
    path = waivers_path(descriptor)
    return parse_waivers(read_small(path), path=str(path)) if path.exists() else ()
