"""Fetching the files that were agreed on, each checked before it gets a name."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.errors import GbuildError, Unavailable, WrongHash
from gbuild.get.sources import Source
from gbuild.get.transfer import TooLarge, Transfer, within
from gbuild.host import foreign
from gbuild.host.foreign import Folder
from gbuild.host.meter import Meter
from gbuild.host.rounds import Rounds
from gbuild.host.staging import Staging
from gbuild.host.web import Refused, Settings
from gbuild.model.event import Sink

if TYPE_CHECKING:
    from gbuild.host.zipped import Zipped

_PIECE = 1 << 20


@dataclass(slots=True, kw_only=True)
class Download:
    """One run: where from, how much at most (bytes, all files together), who is told."""

    sources: Sequence[Source]
    largest: int
    settings: Settings
    sink: Sink
    stop: threading.Event = field(default_factory=threading.Event)
    slow: set[str] = field(default_factory=set)

    def run(self, staging: Staging, wanted: Mapping[str, str]) -> Mapping[str, int]:
        """Fetch every file (sha256 by path) into the staging folder; return their bytes.

        Raises:
            Unavailable: a file can be had nowhere, or all together are larger than allowed.
            WrongHash: a file was found, and it is not the one that was agreed on.
            HostFailure: the disk is full.
        """
        self.settings = replace(self.settings, same_scheme=True)
        staging.reclaim(wanted)
        staging.forget_others(frozenset(wanted.values()))
        meter = Meter(self.sink, None, dict.fromkeys(wanted.values()))
        sizes: dict[str, int] = {}
        first: dict[str, str] = {}
        for path, sha256 in wanted.items():
            left = self.largest - sum(sizes.values())
            if sha256 in first:
                within(sizes[first[sha256]], left)
                sizes[path] = staging.copy(path, first[sha256])
                continue
            transfer = Transfer(
                name=path,
                left=left,
                settings=self.settings,
                stop=self.stop,
                progress=meter.of(sha256, path),
            )
            sizes[path] = _One(self, staging, path, sha256, transfer).settled()
            first[sha256] = path
        return sizes


@dataclass(slots=True)
class _One:
    """One file on its way."""

    whole: Download
    staging: Staging
    path: str
    sha256: str
    transfer: Transfer
    wrong: bool = False

    def settled(self) -> int:
        """Fetch the file from wherever it can be had, give it its name, return its bytes."""
        try:
            size = self._from_parts() or self._from_anywhere()
        except TooLarge as error:
            raise Unavailable(
                f"{self.path}: the release is larger than the {self.whole.largest} bytes allowed",
                hint="--max-size SIZE",
            ) from error
        self.transfer.progress.end(size)
        return size

    def _from_parts(self) -> int | None:
        """Settle what an earlier run fetched whole."""
        with self.staging.part(self.sha256) as part:
            if part.size() == 0:
                return None
            if (
                part.size() > self.transfer.left
            ):  # of an earlier run that might take more, or of a bad place
                part.restart()
                return None
        with suppress(WrongHash):
            return self.staging.settle(self.path, self.sha256)
        return None

    def _from_anywhere(self) -> int:
        reasons: list[str] = []
        for each in self.whole.sources:
            if each.folder is not None:
                size = self._from_folder(each.folder, reasons)
            elif each.zipped is not None:
                size = self._from_package(each.zipped, reasons)
            else:
                size = self._from_web(each, reasons)
            if size is not None:
                return size
        raise self._failure(reasons)

    def _from_folder(self, place: Path, reasons: list[str]) -> int | None:
        for spelling in dict.fromkeys((self.path, self.path.rpartition("/")[2])):
            try:
                with foreign.opened(place) as folder:
                    return self._copied(_pieces(folder, spelling))
            except (foreign.Refused, Refused, WrongHash) as error:
                reasons.append(f"{place / spelling}: {_words(error)}")
                self.wrong = self.wrong or isinstance(error, WrongHash)
        return None

    def _from_package(self, package: Zipped, reasons: list[str]) -> int | None:
        try:
            return self._copied(package.pieces(self.path))
        except (foreign.Refused, WrongHash) as error:
            reasons.append(error.brief)
            self.wrong = self.wrong or isinstance(error, WrongHash)
        return None

    def _copied(self, pieces: Iterator[bytes]) -> int:
        with self.staging.part(self.sha256) as part:
            part.restart()
            self.transfer.write(pieces, part, None)
        return self.staging.settle(self.path, self.sha256)

    def _from_web(self, source: Source, reasons: list[str]) -> int | None:
        rounds = Rounds(
            self.path,
            source.addresses(self.path),
            settings=self.whole.settings,
            sink=self.whole.sink,
            stop=self.whole.stop,
            slow=self.whole.slow,
        )
        size = rounds.first(self._attempt)
        reasons += rounds.told()
        return size

    def _attempt(self, url: str) -> int:
        """Receive and check; a wrong hash after going on earns one more try from the start."""
        with self.staging.part(self.sha256) as part:
            resumed = part.size() > 0
            self.transfer.receive(url, part)
        try:
            return self.staging.settle(self.path, self.sha256)
        except WrongHash as error:
            with self.staging.part(self.sha256) as part:
                part.restart()
            if resumed:
                return self._attempt(url)
            self.wrong = True
            raise Refused(error.brief) from error

    def _failure(self, reasons: Sequence[str]) -> GbuildError:
        if self.wrong:
            return WrongHash(f"{self.path} is not the file that was signed", details=tuple(reasons))
        return Unavailable(f"{self.path} could not be fetched", details=tuple(reasons))


def _pieces(folder: Folder, path: str) -> Iterator[bytes]:
    """Yield a file below a folder, no link followed on the way."""
    first, slash, rest = path.partition("/")
    if slash:
        with folder.enter(first) as inner:
            yield from _pieces(inner, rest)
    else:
        yield from folder.pieces(first, size=_PIECE)


def _words(error: Exception) -> str:
    return error.brief if isinstance(error, GbuildError) else str(error)
