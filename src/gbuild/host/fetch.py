"""Downloads into the store: by sha256, resumed, tried again, from several addresses.

What was received is kept in the store's ``tmp/partial-<sha256>`` under a lock, so a killed
download goes on where it stopped and two processes never write one file. Whatever a server
answers to a resumed request, the hash of the whole decides; when it is wrong after resuming, the
same address is asked once more from the first byte.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.errors import GbuildError, HostFailure, Unavailable, WrongHash
from gbuild.host.files import sha256_of
from gbuild.host.meter import Line, Meter
from gbuild.host.partial import Partial, local_file
from gbuild.host.rounds import Rounds
from gbuild.host.store import Store
from gbuild.host.web import Broken, Refused, Settings, Stopped
from gbuild.model.event import Sink, discard

if TYPE_CHECKING:
    from gbuild.host.http_get import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A blob to be had: ``name`` is for messages, ``size`` in bytes if known.

    ``urls`` (http, https, file) are tried in order.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    size: int | None = None


class Absent(Unavailable):
    """Every address was there and said no: it is not a matter of trying again."""


def fetch_all(
    store: Store,
    wanted: Sequence[Wanted],
    *,
    sink: Sink = discard,
    settings: Settings | None = None,
    offline: bool = False,
    workers: int = 8,
    label: str | None = None,
) -> tuple[Path, ...]:
    """Bring many blobs into the store, side by side; return their paths in the same order.

    ``settings`` (patience, proxies) come from :func:`gbuild.host.web.settings`. ``offline`` takes
    nothing from the network; ``file:`` addresses still count. With ``label`` there is one progress
    bar of this name for all, instead of one for each.

    Raises:
        Unavailable: some can be had nowhere; names all of them, and every address with its reason.
        WrongHash: the same, and at least one address gave other bytes.
        HostFailure: the store cannot be written (disk full); nothing else is tried.
    """
    missing = tuple({one.sha256: one for one in wanted if not store.has(one.sha256)}.values())
    if missing:
        _Run(store, missing, sink, settings or Settings(), offline, label).all(workers)
    return tuple(store.blob(one.sha256) for one in wanted)


def fetch_bytes(
    urls: Sequence[str],
    *,
    name: str,
    limit: int,
    sink: Sink = discard,
    settings: Settings | None = None,
) -> tuple[str, bytes]:
    """Fetch something small whose hash is not known; return the address that had it, and it.

    Raises:
        Absent: every address refused, or gave more than ``limit`` bytes.
        Unavailable: no address gave it; names each with its reason.
    """
    chosen = settings or Settings()
    stop = threading.Event()
    rounds = Rounds(name, urls, settings=chosen, sink=sink, stop=stop, slow=set())
    found = rounds.first(lambda url: (url, _small(url, limit, chosen, stop)))
    if found is None:
        kind = Absent if rounds.refused else Unavailable
        raise kind(f"{name} could not be fetched", details=rounds.told())
    return found


def _small(url: str, limit: int, settings: Settings, stop: threading.Event) -> bytes:
    if url.startswith("file:"):
        with local_file(url) as stream:
            data = stream.read(limit + 1)
    else:
        data, total = b"", None
        from gbuild.host import http_get

        with http_get.get(url, settings=settings, stop=stop) as answer:
            total = answer.total
            for piece in answer.chunks():
                data += piece
                if len(data) > limit:
                    break
        if total is not None and len(data) < min(total, limit):
            raise Broken(f"ended after {len(data)} of {total} bytes")
    if len(data) > limit:
        raise Refused(f"gives more than {limit} bytes")
    return data


@dataclass(slots=True)
class _Run:
    """One call of :func:`fetch_all`: what its threads share."""

    store: Store
    wanted: Sequence[Wanted]
    sink: Sink
    settings: Settings
    offline: bool
    label: str | None
    stop: threading.Event = field(default_factory=threading.Event)
    slow: set[str] = field(default_factory=set)
    failures: dict[str, GbuildError] = field(default_factory=dict)
    crash: BaseException | None = None

    def all(self, workers: int) -> None:
        """Run to the end; ctrl-C stops the threads within a tick, partial files stay."""
        todo: queue.SimpleQueue[Wanted] = queue.SimpleQueue()
        for one in self.wanted:
            todo.put(one)
        meter = Meter(self.sink, self.label, {w.sha256: w.size for w in self.wanted})
        threads = [
            threading.Thread(target=self._work, args=(todo, meter), daemon=True)
            for _ in range(min(workers, len(self.wanted)))
        ]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self.stop.set()
        if self.crash is not None:
            raise self.crash
        if self.failures:
            raise _summary(
                [self.failures[w.sha256] for w in self.wanted if w.sha256 in self.failures]
            )

    def _work(self, todo: queue.SimpleQueue[Wanted], meter: Meter) -> None:
        with suppress(queue.Empty, Stopped):
            while not self.stop.is_set():
                one = todo.get_nowait()
                try:
                    _Download(self, one, meter.of(one.sha256, one.name)).run()
                except HostFailure as error:
                    self._abort(error)
                except GbuildError as error:
                    self.failures[one.sha256] = error
                except Stopped:
                    raise
                except BaseException as error:  # noqa: BLE001 - a defect: raised by the thread that waits
                    self._abort(error)

    def _abort(self, error: BaseException) -> None:
        self.crash = self.crash or error
        self.stop.set()


class _Download:
    """One blob: received from the first address that gives the right bytes."""

    def __init__(self, run: _Run, wanted: Wanted, progress: Line) -> None:
        self._run = run
        self._wanted = wanted
        self._progress = progress
        self._got: str | None = None
        self._rounds = Rounds(
            wanted.name,
            [url for url in wanted.urls if not run.offline or url.startswith("file:")],
            settings=run.settings,
            sink=run.sink,
            stop=run.stop,
            slow=run.slow,
        )

    def run(self) -> None:
        store, sha256 = self._run.store, self._wanted.sha256
        with Partial.of(store, sha256, self._run.stop) as partial:
            if store.has(sha256):  # another process was faster
                return
            if self._rounds.first(lambda url: self._attempt(url, partial)):
                store.adopt(partial.path, sha256)
                self._progress.end(partial.size())
                return
        raise self._failure()

    def _attempt(self, url: str, partial: Partial) -> bool:
        """Receive and check; a wrong hash after resuming earns one more try from the start."""
        resumed = partial.size() > 0
        self._receive(url, partial)
        found = sha256_of(partial.path)
        if found != self._wanted.sha256 and resumed:
            partial.restart()
            self._receive(url, partial)
            found = sha256_of(partial.path)
        if found == self._wanted.sha256:
            return True
        partial.restart()
        self._got = found
        raise Refused(f"wrong hash: expected sha256 {self._wanted.sha256}, got {found}")

    def _receive(self, url: str, partial: Partial) -> None:
        if url.startswith("file:"):
            with local_file(url) as stream:
                partial.restart()
                self._write(iter(lambda: stream.read(1 << 20), b""), partial, None)
            return
        start = partial.size()
        if start and start == self._wanted.size:
            return  # everything came, but the process died before it was checked
        from gbuild.host import http_get

        settings, stop = self._run.settings, self._run.stop
        with http_get.get(url, start=start, settings=settings, stop=stop) as answer:
            if not answer.outside:  # else there is all of it, or something else: the hash tells
                self._take(answer, partial)

    def _take(self, answer: Answer, partial: Partial) -> None:
        size = self._wanted.size
        if None not in (size, answer.total) and size != answer.total:
            raise Refused(f"has {answer.total} bytes, expected {size}")
        partial.truncate(answer.start)  # a server may ignore the range and begin at the start
        self._write(answer.chunks(), partial, answer.total)

    def _write(self, pieces: Iterator[bytes], partial: Partial, total: int | None) -> None:
        expected = self._wanted.size if self._wanted.size is not None else total
        cap = self._run.settings.largest if expected is None else expected
        for piece in pieces:
            if partial.size() + len(piece) > cap:
                partial.restart()
                raise Refused(f"gives more than {cap} bytes")
            partial.write(piece)
            self._progress.at(partial.size())
        if expected is not None and partial.size() < expected:
            raise Broken(f"ended after {partial.size()} of {expected} bytes")

    def _failure(self) -> GbuildError:
        name, details = self._wanted.name, self._rounds.told()
        if self._got is not None:
            return WrongHash(f"{name} has the wrong hash", details=details)
        if details and not self._run.offline:
            return Unavailable(f"{name} could not be fetched", details=details)
        why = "this run is offline" if self._run.offline else "no address is known for it"
        return Unavailable(f"{name} is not at hand, and {why}", details=details)


def _summary(failures: Sequence[GbuildError]) -> GbuildError:
    if len(failures) == 1:
        return failures[0]
    wrong = any(isinstance(one, WrongHash) for one in failures)
    details = [line for one in failures for line in one.lines]
    kind = WrongHash if wrong else Unavailable
    return kind(f"{len(failures)} files could not be fetched", details=tuple(details))
