"""The little of RFC 6455 that an exec of LXD needs: one direction of bytes a connection.

pylxd brings ws4py 0.6, which masks what it sends byte by byte in Python: 3 MiB/s on one core where
:func:`masked` makes 200, and a build's inputs pass here.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from collections.abc import Callable

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_BUFFER = 256 << 10
_HEADER_LIMIT = 16 << 10
_CONTROL_LIMIT = 125


class Refused(Exception):
    """The server did not speak as it should; the text says how."""


class WebSocket:
    """A client's end. Not for two threads that read, or two that write, at once."""

    def __init__(self, link: socket.socket, *, host: str, resource: str) -> None:
        """Shake hands over a connected ``link``, which belongs to the object from here on.

        Raises:
            Refused: the server did not agree.
            OSError: the connection broke.
        """
        self._link = link
        self._buffer = memoryview(bytearray(_BUFFER))
        self._start = self._end = 0
        self._left = 0
        key = base64.b64encode(os.urandom(16))
        self._link.sendall(
            b"GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
            % (resource.encode(), host.encode(), key)
        )
        self._check(self._head(), key)

    def send(self, data: bytes | memoryview) -> None:
        """Send bytes, as one binary message."""
        self._frame(_BINARY, bytes(data))

    def finish(self) -> None:
        """Say that nothing more comes."""
        self._frame(_CLOSE, (1000).to_bytes(2, "big"))

    def receive(self) -> memoryview | None:
        """Return what came next, valid until the next call; None at the end.

        Raises:
            Refused: the server broke the protocol.
            OSError: the connection broke.
        """
        while not self._left:
            first, second = self._take(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
            if second & 0x80 or first & 0x70:
                raise Refused("a masked or extended frame came from the server")
            if not self._opened(first & 0x0F, size):
                return None
        if self._start == self._end:
            self._fill()
        start, self._start = self._start, min(self._end, self._start + self._left)
        self._left -= self._start - start
        return self._buffer[start : self._start]

    def shut(self) -> None:
        """Break the connection; wakes whoever reads or writes."""
        try:
            self._link.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is broken already

    def close(self) -> None:
        """Give the connection back; nobody may use it any more."""
        self._link.close()

    def _opened(self, kind: int, size: int) -> bool:
        """Enter a frame: data is left to be read, anything else is dealt with here."""
        if kind in (_CONTINUATION, _BINARY):
            self._left = size
            return True
        if kind == _TEXT:  # LXD: the end of this stream
            self._take(min(size, _HEADER_LIMIT))
            return False
        if size > _CONTROL_LIMIT:
            raise Refused(f"a control frame of {size} bytes")
        body = self._take(size)
        if kind == _PING:
            self._frame(_PONG, body)
        return kind in (_PING, _PONG)

    def _frame(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            head = bytes((0x80 | kind, 0x80 | size))
        elif size < 1 << 16:
            head = bytes((0x80 | kind, 0x80 | 126)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x80 | kind, 0x80 | 127)) + size.to_bytes(8, "big")
        mask = os.urandom(4)
        self._link.sendall(b"".join((head, mask, masked(data, mask))))

    def _take(self, count: int) -> bytes:
        while self._end - self._start < count:
            if self._start:
                held = self._end - self._start
                self._buffer[:held] = self._buffer[self._start : self._end]
                self._start, self._end = 0, held
            self._fill()
        start = self._start
        self._start += count
        return bytes(self._buffer[start : self._start])

    def _fill(self) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        count = self._link.recv_into(self._buffer[self._end :])
        if not count:
            raise ConnectionResetError("the server closed the connection")
        self._end += count

    def _head(self) -> bytes:
        while (at := bytes(self._buffer[: self._end]).find(b"\r\n\r\n")) < 0:
            if self._end > _HEADER_LIMIT:
                raise Refused("an endless answer instead of a web socket")
            self._fill()
        self._start = at + 4
        return bytes(self._buffer[:at])

    def _check(self, head: bytes, key: bytes) -> None:
        status, *lines = head.split(b"\r\n")
        if status.split(b" ")[1:2] != [b"101"]:
            raise Refused(f"no web socket: {status[:200].decode(errors='replace')}")
        expected = base64.b64encode(hashlib.sha1(key + _MAGIC, usedforsecurity=False).digest())
        fields = {n.strip().lower(): v.strip() for n, _, v in (x.partition(b":") for x in lines)}
        if fields.get(b"sec-websocket-accept") != expected:
            raise Refused("the answer is not to our question")


def masked(data: bytes, mask: bytes) -> bytes:
    """Return ``data`` XOR the repeated ``mask`` (RFC 6455, 5.3), in a few big steps."""
    size = len(data)
    cover = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(cover, "little")).to_bytes(
        size, "little"
    )


Opener = Callable[[str], WebSocket]
"""Opens the web socket of a resource of the daemon."""
