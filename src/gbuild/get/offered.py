"""Where a download package can be had: what feeds announce, then the addresses of a config."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gbuild.errors import GbuildError, Unavailable
from gbuild.formats import feed
from gbuild.get.transfer import TooLarge, Transfer
from gbuild.host.fetch import fetch_bytes
from gbuild.host.meter import Meter
from gbuild.host.partial import Partial, local_file
from gbuild.host.rounds import Rounds
from gbuild.host.staging import Staging
from gbuild.host.web import Settings, shown
from gbuild.model import names
from gbuild.model.event import Event, Sink

if TYPE_CHECKING:
    from gbuild.formats.gitian_downloader import Address, Feed

_LARGEST_VERSION = 4096
_PIECE = 1 << 20
_SCHEMES = ("http://", "https://", "file://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The places of a package, whose signatures are asked for, and whose memory it is.

    ``keys`` are the names of key files by fingerprint.
    """

    addresses: tuple[Address, ...]
    feeds: tuple[Feed, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    name: str = "package"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address of a package, and the release that is said to be there, if anybody says."""

    url: str
    release: str | None


def candidates(offer: Offer, *, settings: Settings, sink: Sink) -> tuple[Candidate, ...]:
    """Ask the feeds, then for the versions at the addresses; in the order in which to try them.

    What cannot be asked is said in a warning: another address may do.
    """
    limits = replace(settings, same_scheme=True)
    return (
        *(c for each in offer.feeds for c in _announced(each, limits, sink)),
        *(Candidate(each.url, _version(each, limits, sink)) for each in offer.addresses),
    )


def _announced(each: Feed, settings: Settings, sink: Sink) -> Iterator[Candidate]:
    data = _small(each.url, "the feed", feed.LARGEST, settings, sink)
    if data is None:
        return
    try:
        match = feed.first_match(data, xpath=each.xpath, pattern=each.pattern)
    except feed.NotAFeed as error:
        sink(Event("warning", f"{shown(each.url)}: {error.brief}"))
        return
    if match is None:
        sink(Event("warning", f"{shown(each.url)}: no link in it fits the pattern"))
        return
    url = match.string
    scheme = each.url.partition("://")[0]
    if not url.startswith(_SCHEMES) or not url.isprintable() or not url.startswith(f"{scheme}://"):
        sink(Event("warning", f"{shown(each.url)}: its link is no {scheme} address"))
        return
    groups = match.groups()
    yield Candidate(url, _release(groups[0]) if groups else None)


def _version(address: Address, settings: Settings, sink: Sink) -> str | None:
    if address.version_url is None:
        return None
    data = _small(address.version_url, "the version", _LARGEST_VERSION, settings, sink)
    return None if data is None else _release(data[:100].decode("utf-8", "replace").strip())


def _release(text: str | None) -> str | None:
    return None if not text or names.RELEASE.refusal(text) else text


def _small(url: str, name: str, limit: int, settings: Settings, sink: Sink) -> bytes | None:
    try:
        return fetch_bytes([url], name=name, limit=limit, sink=sink, settings=settings)[1]
    except GbuildError as error:
        sink(Event("warning", "; ".join((error.brief, *error.details))))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A package that came: the name of its part, whether an earlier run had begun it."""

    key: str
    url: str
    resumed: bool


def fetch(
    stage: Staging, urls: Sequence[str], *, largest: int, settings: Settings, sink: Sink
) -> Arrival:
    """Fetch a package from the first address that has it into a part of the staging folder.

    Raises:
        Unavailable: it can be had nowhere, or is larger than ``largest`` bytes.
        HostFailure: the disk is full.
    """
    meter = Meter(sink, None, dict.fromkeys(urls))
    stop = threading.Event()
    limits = replace(settings, same_scheme=True)

    def attempt(url: str) -> Arrival:
        line = meter.of(url, shown(url).rpartition("/")[2])
        transfer = Transfer(
            name=shown(url), left=largest, settings=limits, stop=stop, progress=line
        )
        with stage.part(key := _key(url)) as part:
            begun = part.size()
            _receive(transfer, url, part)
            line.end(part.size())
        return Arrival(key=key, url=url, resumed=begun > 0)

    rounds = Rounds("the package", urls, settings=limits, sink=sink, stop=stop, slow=set())
    try:
        found = rounds.first(attempt)
    except TooLarge as error:
        raise Unavailable(
            f"the package is larger than the {largest} bytes allowed", hint="--max-size SIZE"
        ) from error
    if found is None:
        raise Unavailable("the package could not be fetched", details=rounds.told())
    return found


def _receive(transfer: Transfer, url: str, part: Partial) -> None:
    if not url.startswith("file:"):
        transfer.receive(url, part)
        return
    with local_file(url) as stream:
        part.restart()
        transfer.write(iter(lambda: stream.read(_PIECE), b""), part, None)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()
