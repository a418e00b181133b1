"""A web server on the loopback that misbehaves as told."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gbuild.host.store import Store

from .author import git_server

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Site:
    """What the server answers: ``routes`` by path, ``prefixes`` by how it begins.

    ``asked`` collects (path, headers) of every request.
    """

    base: str
    routes: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    prefixes: dict[str, Answer] = field(default_factory=dict)

    def answer_to(self, path: str) -> Answer | None:
        """Return what answers a path: its route, else the first prefix that fits."""
        fitting = (answer for prefix, answer in self.prefixes.items() if path.startswith(prefix))
        return self.routes.get(path) or next(fitting, None)

    def serve(self, path: str, data: bytes, *, ranges: bool = True) -> str:
        """Serve bytes, with or without understanding Range; return the address."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            match = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
            start = int(match[1]) if match and ranges else 0
            if match and ranges and start >= len(data):
                send(request, 416, b"")
                return
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            send(request, 206 if match and ranges else 200, data[start:], headers)

        self.routes[path] = answer
        return self.base + path

    def status(self, path: str, status: int, **headers: str) -> str:
        """Answer with a bare status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.routes[path] = lambda request: send(request, status, b"no", named)
        return self.base + path

    def headers_of(self, path: str) -> list[dict[str, str]]:
        """Return the headers of every request for ``path``, in order."""
        return [headers for asked, headers in self.asked if asked == path]


def send(
    request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    """Send a complete answer."""
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture
def site() -> Iterator[Site]:
    """Run a server on a free port of the loopback; stopped at the end."""
    with _server() as (_, made):
        yield made


@pytest.fixture
def other_site() -> Iterator[Site]:
    """Run a second server, which is another origin."""
    with _server() as (_, made):
        yield made


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that hang up: many tests are about that."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # see the base


class _server:  # noqa: N801 - reads as a function
    def __enter__(self) -> tuple[ThreadingHTTPServer, Site]:
        self._server = _Quiet(("127.0.0.1", 0), _handler(self))
        self.site = Site(base=f"http://127.0.0.1:{self._server.server_port}")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self._server, self.site

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(owner: _server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site = owner.site
            site.asked.append((self.path, dict(self.headers.items())))
            answer = site.answer_to(self.path)
            self.close_connection = True
            if answer is None:
                send(self, 404, b"")
            else:
                answer(self)

        do_POST = do_GET  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    return Handler


@pytest.fixture
def remotes(tmp_path: Path) -> Path:
    """Give the folder whose repositories ``git_url`` serves."""
    folder = tmp_path / "remotes"
    folder.mkdir()
    return folder


@pytest.fixture
def git_url(remotes: Path) -> Iterator[str]:
    """Serve the repositories below ``remotes``; gives the base address."""
    with git_server(remotes) as base:
        yield base


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def full_disk() -> Iterator[Callable[[Path], None]]:
    """Give a function that puts a file system of 64 KiB over a folder."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small tmpfs cannot be mounted here (needs root)")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)
