"""One HTTP GET: TLS verified, redirects limited, patience bounded.

A URL's user and password go to that URL's own host and nowhere else. Kept apart from
:mod:`gbuild.host.web`, because importing ssl and http.client takes longer than a look at a full
store.
"""

from __future__ import annotations

import base64
import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, InvalidURL
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from gbuild import __version__
from gbuild.host.web import Broken, Refused, Settings, Stopped

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_TICK = 0.25
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A body that begins: ``start`` is its offset in the whole, ``total`` the whole's bytes."""

    status: int
    start: int
    total: int | None
    body: HTTPResponse

    @property
    def outside(self) -> bool:
        """Whether the offset lies outside the file: there is nothing to read."""
        return self.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE

    def chunks(self, size: int = 1 << 18) -> Iterator[bytes]:
        """Yield the body piece by piece.

        Raises:
            Broken: the connection failed or was too slow.
        """
        with _network_errors():
            while piece := self.body.read1(size):
                yield piece


@contextmanager
def get(url: str, *, start: int = 0, settings: Settings, stop: threading.Event) -> Iterator[Answer]:
    """Ask for a URL's bytes from offset ``start`` on, following redirects.

    Raises:
        Refused: the server says no, redirects for ever, or to something that is not HTTP.
        Broken: the network failed, or the server says "later".
        Stopped: ``stop`` was set.
    """
    for _ in range(settings.redirects + 1):
        with _network_errors():
            connection, response = _ask(_parts(url), start, settings, stop)
        try:
            with _network_errors():
                target = _redirected(url, response, settings)
                answer = _answer(response, start) if target is None else None
            if answer is not None:
                yield answer
                return
            url = target or url
        finally:
            response.close()
            connection.close()
    raise Refused(f"more than {settings.redirects} redirects")


@contextmanager
def _network_errors() -> Iterator[None]:
    """Translate what the libraries raise; the caller's own errors pass through."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise Refused(f"its certificate does not verify: {error.verify_message}") from error
    except (InvalidURL, ValueError) as error:
        raise Refused(f"not an address that can be asked for: {error}") from error
    except HTTPException as error:
        raise Broken(f"not understood: {type(error).__name__}: {str(error)[:200]}") from error
    except OSError as error:
        raise Broken(error.strerror or str(error) or type(error).__name__) from error


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused("not an http or https address")
    return parts


def _redirected(url: str, response: HTTPResponse, settings: Settings) -> str | None:
    """Return where the answer leads; user and password stay behind when that is another host."""
    location = response.getheader("Location")
    if response.status not in _REDIRECTS or location is None:
        return None
    target = quote(location.encode("latin-1"), safe="!#$%&'()*+,/:;=?@[]~")
    new = urlsplit(urljoin(url, target))
    if new.scheme not in ("http", "https"):
        raise Refused(f"redirects to {new.scheme or 'something odd'}:, which is not followed")
    old = urlsplit(url)
    if settings.same_scheme and new.scheme != old.scheme:
        raise Refused(f"redirects from {old.scheme} to {new.scheme}, which is not followed")
    if "@" not in new.netloc and (new.scheme, new.hostname, new.port) == (
        old.scheme,
        old.hostname,
        old.port,
    ):
        new = new._replace(netloc=old.netloc)
    return new.geturl()


def _ask(
    parts: SplitResult, start: int, settings: Settings, stop: threading.Event
) -> tuple[HTTPConnection, HTTPResponse]:
    connection, target = _connection(parts, settings)
    try:
        headers = {
            "User-Agent": f"gbuild/{__version__}",
            "Accept-Encoding": "identity",
            "Connection": "close",
            **_credentials("Authorization", parts),
            **({"Range": f"bytes={start}-"} if start else {}),
        }
        if target.startswith("http:"):  # the proxy itself answers a plain request
            proxy = urlsplit(settings.proxies["http"])
            headers |= _credentials("Proxy-Authorization", proxy)
        connection.request("GET", target, headers=headers)
        return connection, _response(connection.sock, settings, stop)
    except BaseException:
        connection.close()
        raise


def _connection(parts: SplitResult, settings: Settings) -> tuple[HTTPConnection, str]:
    """Return a connection for a URL, and the target to write in the request line."""
    host = parts.hostname or ""
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    target = path if path.startswith("/") else "/" + path
    proxy = settings.proxies.get(parts.scheme)
    if proxy is None or settings.is_direct(host):
        if parts.scheme == "https":
            return HTTPSConnection(
                host, parts.port, timeout=settings.connect, context=_tls()
            ), target
        return HTTPConnection(host, parts.port, timeout=settings.connect), target
    via = urlsplit(proxy)
    if parts.scheme == "http":
        plain = HTTPConnection(via.hostname or "", via.port, timeout=settings.connect)
        return plain, f"http://{parts.netloc.rpartition('@')[2]}{target}"
    tunnel = HTTPSConnection(via.hostname or "", via.port, timeout=settings.connect, context=_tls())
    tunnel.set_tunnel(host, parts.port or 443, _credentials("Proxy-Authorization", via))
    return tunnel, target


def _credentials(header: str, parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {header: "Basic " + base64.b64encode(pair.encode()).decode()}


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _response(sock: socket.socket, settings: Settings, stop: threading.Event) -> HTTPResponse:
    """Read the head of the answer, with the same patience as its body."""
    sock.settimeout(_TICK)
    response = HTTPResponse(sock, method="GET")
    response.fp.close()
    response.fp = io.BufferedReader(_Patient(sock, settings, stop), 1 << 16)
    try:
        response.begin()
    except BaseException:
        response.close()
        raise
    return response


class _Patient(io.RawIOBase):
    """Reads a socket, counting only the time spent waiting for it."""

    def __init__(self, sock: socket.socket, settings: Settings, stop: threading.Event) -> None:
        self._sock = sock
        self._settings = settings
        self._stop = stop
        self._waited = 0.0
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while True:
            if self._stop.is_set():
                raise Stopped
            begin = time.monotonic()
            try:
                count = self._sock.recv_into(buffer)
            except TimeoutError:
                count = -1
            self._judge(time.monotonic() - begin, max(count, 0))
            if count >= 0:
                return count

    def _judge(self, waited: float, received: int) -> None:
        self._waited += waited
        self._received += received
        if self._waited >= self._settings.patience:
            if self._received < self._settings.floor:
                raise Broken(
                    f"stalled: {self._received} bytes in {self._settings.patience:g} seconds"
                )
            self._waited, self._received = 0.0, 0


def _answer(response: HTTPResponse, start: int) -> Answer:
    status = response.status
    if status == HTTPStatus.PARTIAL_CONTENT:
        return _ranged(response, start)
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
        return Answer(status=status, start=0, total=None, body=response)
    if status in _TEMPORARY:
        raise Broken(_status(response), wait=_retry_after(response))
    if status != HTTPStatus.OK:
        raise Refused(_status(response))
    return Answer(status=status, start=0, total=response.length, body=response)


def _ranged(response: HTTPResponse, start: int) -> Answer:
    """Check ``Content-Range: bytes FIRST-LAST/TOTAL`` (RFC 9110, 14.4) against the request."""
    unit, _, rest = (response.getheader("Content-Range") or "").partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or first != str(start) or not (total.isdecimal() or total == "*"):
        raise Broken("answered with another range than was asked for")
    known = int(total) if total != "*" else None
    return Answer(status=206, start=start, total=known, body=response)


def _status(response: HTTPResponse) -> str:
    return f"HTTP status {response.status} {response.reason[:80]}".rstrip()


def _retry_after(response: HTTPResponse) -> float:
    value = response.getheader("Retry-After") or ""
    return float(value) if value.isdecimal() else 0.0
