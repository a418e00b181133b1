"""Bytes on their way into a file that is being downloaded: bounded, resumed, counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gbuild.errors import HostFailure
from gbuild.host.disk import free
from gbuild.host.meter import Line
from gbuild.host.partial import Partial
from gbuild.host.web import Broken, Refused, Settings

if TYPE_CHECKING:
    from gbuild.host.http_get import Answer

_MARGIN = 16 << 20
"""Bytes that stay free on the disk."""
_ROOM = "free some space, or choose another folder with --destination"


class TooLarge(Exception):
    """More bytes than the person allows; no other address will be better."""


def within(size: int, left: int) -> None:
    """Check that ``size`` bytes are allowed.

    Raises:
        TooLarge: they are more than the ``left`` ones.
    """
    if size > left:
        raise TooLarge


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One file: what it is called, how many bytes it may have, who is told how far it is."""

    name: str
    left: int
    settings: Settings
    stop: threading.Event
    progress: Line

    def receive(self, url: str, part: Partial) -> None:
        """Go on with a part from the web, or begin anew where a server cannot go on.

        Raises:
            Refused, Broken: as :func:`gbuild.host.http_get.get`.
            TooLarge: there is more than is allowed.
            HostFailure: the disk has no room for it.
        """
        from gbuild.host import http_get

        with http_get.get(url, start=part.size(), settings=self.settings, stop=self.stop) as answer:
            if not answer.outside:  # else there is all of it, or something else: the hash tells
                part.truncate(answer.start)
                self._check_room(answer, part)
                self.write(answer.chunks(), part, answer.total)

    def write(self, pieces: Iterator[bytes], part: Partial, total: int | None) -> None:
        """Append to a part; ``total`` is what all of it should have, in bytes, if known."""
        for piece in pieces:
            if part.size() + len(piece) > self.left:
                part.restart()
                raise TooLarge
            if total is not None and part.size() + len(piece) > total:
                part.restart()
                raise Refused(f"gives more than the {total} bytes it said")
            _keep(piece, part)
            self.progress.at(part.size())
        if total is not None and part.size() < total:
            raise Broken(f"ended after {part.size()} of {total} bytes")

    def _check_room(self, answer: Answer, part: Partial) -> None:
        if answer.total is None:
            return
        within(answer.total, self.left)
        there = free(part.path.parent)
        if answer.total - answer.start + _MARGIN > there:
            raise HostFailure(
                f"{self.name} has {answer.total} bytes, but only {there} are free in "
                f"{part.path.parents[2]}",
                hint=_ROOM,
            )


def _keep(piece: bytes, part: Partial) -> None:
    try:
        part.write(piece)
    except HostFailure as error:
        raise HostFailure(error.brief, details=error.details, hint=_ROOM) from error
