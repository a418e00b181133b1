"""Remotes over HTTP, silent servers, killed runs and full disks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gbuild.errors import Busy, HostFailure, Unavailable
from gbuild.host import web
from gbuild.host.fetch import fetch_bytes
from gbuild.host.git import checkout
from gbuild.host.git.mirror import Access
from gbuild.host.git.plan import Module, Planner
from gbuild.host.store import Store
from gbuild.host.web import Settings
from gbuild.model.event import Event

from .author import Author
from .conftest import Site, send

pytestmark = pytest.mark.integration


def plan(store: Store, url: str, revision: str = "v1.0", **access: object) -> Module:
    chosen = Access(**{"delay": 0.01, **access})  # type: ignore[arg-type]  # each test its own
    return Planner(store=store, access=chosen, fetch=True).plan("hello", url, revision)


@pytest.fixture
def hello(remotes: Path) -> Author:
    return Author.begin(remotes / "hello")


@pytest.fixture
def smart_url(remotes: Path, site: Site) -> str:
    """Serve the repositories by git http-backend (a CGI program) behind the test's server."""
    helper = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip())

    def answer(request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        done = subprocess.run(
            [helper / "git-http-backend"],
            input=body,
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/dev/null",
                "GIT_PROJECT_ROOT": str(remotes),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path.removeprefix("/git"),
                "QUERY_STRING": query,
                "REQUEST_METHOD": request.command,
                "CONTENT_TYPE": request.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
                "REMOTE_ADDR": "127.0.0.1",
            },
            capture_output=True,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [line.split(": ", 1) for line in head.decode().split("\r\n")]
        status = next((int(v.split()[0]) for k, v in fields if k == "Status"), 200)
        request.send_response(status)
        for key, value in fields:
            request.send_header(key, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    site.prefixes["/git/"] = answer
    return site.base + "/git"


def test_smart_http_with_the_whole_way_to_a_checkout(
    store: Store, smart_url: str, hello: Author, site: Site, tmp_path: Path
) -> None:
    events: list[Event] = []
    hello.commit({"big.bin": os.urandom(200_000).hex()})
    module = plan(store, f"{smart_url}/hello", "main", sink=events.append)
    checkout.build(module, tmp_path / "out")
    assert (tmp_path / "out/run.sh").read_text() == "#!/bin/sh\n"
    received = [event.data for event in events if event.kind == "progress"]
    assert received
    assert int(received[-1]["done"]) > 100_000
    assert received[-1]["done"] == received[-1]["total"]
    agents = {headers["User-Agent"].partition("/")[0] for _, headers in site.asked}
    assert agents == {"git"}


def test_old_style_http_works_as_well(
    store: Store, hello: Author, site: Site, remotes: Path
) -> None:
    hello.git("update-server-info")
    top = remotes / "hello/.git"
    for path in top.rglob("*"):
        if path.is_file():
            site.serve(f"/old/{path.relative_to(top)}", path.read_bytes())
            # git asks with and without this
            site.serve(f"/old/{path.relative_to(top)}?service=git-upload-pack", path.read_bytes())
    assert plan(store, f"{site.base}/old").commit == hello.head


def test_a_private_repository_is_told_as_such_without_a_question(store: Store, site: Site) -> None:
    path = "/x/info/refs?service=git-upload-pack"
    site.status(path, 401, WWW_Authenticate='Basic realm="x"')
    with pytest.raises(Unavailable) as caught:
        plan(store, f"{site.base}/x", delay=100.0)
    assert "private or not there" in (caught.value.hint or "")
    assert all(asked.startswith("/x/") for asked, _ in site.asked)


def test_a_server_in_trouble_is_asked_again(
    store: Store, smart_url: str, hello: Author, site: Site
) -> None:
    path = "/git/hello/info/refs?service=git-upload-pack"
    answer = site.prefixes["/git/"]

    def once(request: BaseHTTPRequestHandler) -> None:
        site.routes[path] = answer
        send(request, 502, b"")

    site.routes[path] = once
    assert plan(store, f"{smart_url}/hello").commit == hello.head


@pytest.mark.parametrize("target", ["file:///etc/", "git://127.0.0.1:1/x", "ext::touch%20x"])
def test_http_cannot_lead_git_elsewhere(store: Store, site: Site, target: str) -> None:
    site.status("/x/info/refs?service=git-upload-pack", 302, Location=target)
    with pytest.raises(Unavailable):
        plan(store, f"{site.base}/x")


def test_a_proxy_is_used_only_when_configured(
    store: Store, smart_url: str, hello: Author, other_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other_site.base)
    plan(store, f"{smart_url}/hello")
    assert other_site.asked == []
    chosen = web.settings({"GBUILD_PROXY": other_site.base})
    with pytest.raises(Unavailable):
        plan(store, f"{smart_url}/hello", settings=chosen)
    assert other_site.asked[0][0].startswith(f"{smart_url}/hello/info/refs")


def test_a_certificate_nobody_vouches_for_is_refused(store: Store, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    subprocess.run(
        [*make.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    with tls_server(key, certificate) as url:
        with pytest.raises(Unavailable) as caught:
            plan(store, f"{url}/x")
        assert "certificate" in " ".join(caught.value.details)
        with pytest.raises(Unavailable) as refused:
            fetch_bytes([f"{url}/x"], name="x", limit=9, settings=Settings(rounds=1))
        assert "its certificate does not verify" in refused.value.details[0]


class tls_server:  # noqa: N801 - reads as a function
    def __init__(self, key: Path, certificate: Path) -> None:
        import ssl
        from http.server import HTTPServer, SimpleHTTPRequestHandler

        class Quiet(HTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that hangs up is what the test is about."""

        self.server = Quiet(("127.0.0.1", 0), SimpleHTTPRequestHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> str:
        self.thread.start()
        return f"https://localhost:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_ssh_asks_no_questions(store: Store) -> None:
    with pytest.raises(Unavailable) as caught:
        plan(store, "ssh://nobody@127.0.0.1:1/x")
    assert "refused" in " ".join(caught.value.details)


@pytest.fixture
def silent() -> Iterator[tuple[str, threading.Event]]:
    """Run a server that takes connections and never says a word."""
    taken: list[socket.socket] = []
    begun = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return
                begun.set()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"git://127.0.0.1:{server.getsockname()[1]}/x", begun
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for one in taken:
        one.close()


def test_a_silent_server_is_given_up(store: Store, silent: tuple[str, threading.Event]) -> None:
    begin = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        plan(store, silent[0], idle=0.2)
    assert caught.value.details == (f"git waited 0.2 seconds for {silent[0]}",)
    assert time.monotonic() - begin < 300
    assert list((store.root / "tmp").iterdir()) == []


CHILD = """
import sys
from pathlib import Path
from gbuild.host.git.mirror import Access
from gbuild.host.git.plan import Planner
from gbuild.host.store import Store
planner = Planner(store=Store(Path(sys.argv[1])), access=Access(), fetch=True)
planner.plan("hello", sys.argv[2], "v1.0")
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_does_not_keep_its_mirror_locked(
    store: Store, silent: tuple[str, threading.Event], how: signal.Signals
) -> None:
    url, begun = silent
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.root), url], stderr=subprocess.DEVNULL
    )
    try:
        assert begun.wait(60)
        (lock,) = (path.name for path in (store.root / "locks").iterdir())
        with pytest.raises(Busy), store.lock(lock, wait=0):
            pass
        child.send_signal(how)
        assert child.wait(60) != 0
    finally:
        child.kill()
        child.wait()
    with store.lock(lock, wait=60):
        assert list((store.root / "git").iterdir()) == []
    with pytest.raises(Unavailable):
        plan(store, url, idle=0.2)
    assert list((store.root / "tmp").iterdir()) == []


def test_a_full_disk_is_told_as_such(
    smart_url: str, hello: Author, tmp_path: Path, full_disk: Callable[[Path], None]
) -> None:
    hello.commit({"big.bin": os.urandom(300_000).hex()})
    folder = tmp_path / "small"
    folder.mkdir()
    full_disk(folder)
    with pytest.raises((HostFailure, Unavailable)) as caught:
        plan(Store(folder), f"{smart_url}/hello", "main")
    assert isinstance(caught.value, HostFailure)
    assert "No space left" in caught.value.brief
    assert "free there" in caught.value.details[0]
