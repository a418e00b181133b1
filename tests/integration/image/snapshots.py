"""The machine interface of the snapshot service, played on the loopback."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@dataclass
class Service:
    """What it knows: answers by path, and how often it says "later" first."""

    answers: dict[str, bytes] = field(default_factory=dict)
    busy: int = 0
    asked: list[str] = field(default_factory=list)

    def keep(self, deb: Path, name: str, version: str, *, arch: str = "amd64") -> str:
        """Keep a package; return the SHA-1 under which its bytes are had."""
        data = deb.read_bytes()
        sha1 = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        place = {"archive_name": "debian", "first_seen": "20200101T000000Z", "name": deb.name}
        place |= {"path": f"/pool/main/{name[0]}/{name}", "size": len(data)}  # type: ignore[dict-item]
        self.answer(
            name,
            version,
            {"result": [{"architecture": arch, "hash": sha1}], "fileinfo": {sha1: [place]}},
        )
        self.answers[f"/file/{sha1}"] = data
        return sha1

    def answer(self, name: str, version: str, document: Any) -> None:
        """Answer a question about a package with a document."""
        path = f"/mr/binary/{name}/{version}/binfiles?fileinfo=1"
        self.answers[path] = json.dumps(document).encode()


@contextmanager
def playing(service: Service) -> Iterator[str]:
    """Serve it; yield the address of its archives, as the configuration has it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path)
            service.asked.append(path)
            if service.busy > 0:
                service.busy -= 1
                self.send_error(503)
            elif path in service.answers:
                data = service.answers[path]
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            else:
                self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/archive"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
