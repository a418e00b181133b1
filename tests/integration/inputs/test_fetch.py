"""Downloads against a server on the loopback that breaks every rule."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gbuild.errors import HostFailure, Unavailable, UsageFailure, WrongHash
from gbuild.host import web
from gbuild.host.fetch import Wanted, fetch_all, fetch_bytes
from gbuild.host.store import Store
from gbuild.host.web import Settings
from gbuild.model.event import Event

from .conftest import Site, send

pytestmark = pytest.mark.integration

DATA = bytes(range(256)) * 4096  # 1 MiB
SHA = hashlib.sha256(DATA).hexdigest()
QUICK = Settings(delay=0.01, rounds=3, patience=30.0, floor=1 << 10, connect=30.0)
IMPATIENT = replace(QUICK, patience=0.6)


def get(store: Store, *urls: str, size: int | None = None, settings: Settings = QUICK) -> Path:
    wanted = Wanted(name="thing", sha256=SHA, urls=urls, size=size)
    return fetch_all(store, [wanted], settings=settings)[0]


def partial(store: Store, data: bytes) -> Path:
    path = store.root / "tmp" / f"partial-{SHA}"
    path.write_bytes(data)
    return path


def leftovers(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "tmp").iterdir())


def cut_after(data: bytes, count: int) -> Callable[[BaseHTTPRequestHandler], None]:
    """Promise all of ``data`` and close the connection after ``count`` bytes."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data[:count])

    return answer


def test_a_blob_arrives_read_only_and_is_not_fetched_twice(store: Store, site: Site) -> None:
    url = site.serve("/a", DATA)
    path = get(store, url, size=len(DATA))
    assert path == store.blob(SHA)
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    assert get(store, url) == path
    assert len(site.asked) == 1
    assert leftovers(store) == []


def test_progress_tells_bytes_done_of_the_total(store: Store, site: Site) -> None:
    events: list[Event] = []
    urls = (site.serve("/a", DATA),)
    wanted = Wanted(name="thing", sha256=SHA, urls=urls, size=len(DATA))
    fetch_all(store, [wanted], sink=events.append)
    last = [event for event in events if event.kind == "progress"][-1]
    assert last.data == {"item": "thing", "done": len(DATA), "total": len(DATA)}


def test_a_partial_download_goes_on_where_it_stopped(store: Store, site: Site) -> None:
    partial(store, DATA[:1000])
    get(store, site.serve("/a", DATA), size=len(DATA))
    assert site.asked[0][1]["Range"] == "bytes=1000-"
    assert store.verified(SHA).stat().st_size == len(DATA)


def test_a_server_that_ignores_the_range_does_no_harm(store: Store, site: Site) -> None:
    partial(store, DATA[:1000])
    get(store, site.serve("/a", DATA, ranges=False))
    store.verified(SHA)


def test_a_partial_of_another_file_is_begun_again(store: Store, site: Site) -> None:
    partial(store, b"x" * 1000)
    get(store, site.serve("/a", DATA))
    store.verified(SHA)
    assert ["Range" in headers for _, headers in site.asked] == [True, False]


def test_a_partial_longer_than_the_file_is_begun_again(store: Store, site: Site) -> None:
    partial(store, DATA + b"more")
    get(store, site.serve("/a", DATA))
    store.verified(SHA)


def test_a_complete_partial_needs_no_network(store: Store, site: Site) -> None:
    partial(store, DATA)
    get(store, site.base + "/gone", size=len(DATA))
    assert site.asked == []
    store.verified(SHA)


def test_a_complete_partial_of_unknown_size_is_recognised(store: Store, site: Site) -> None:
    partial(store, DATA)
    get(store, site.serve("/a", DATA))
    assert len(site.asked) == 1
    store.verified(SHA)


@pytest.mark.parametrize(
    "url",
    ["", "http:", "http://", "http://[::1", "http://a b/", "http://x:99999/", "http://x:y/", "//x",
     "file://host/x", "file:x", "file:///%00", "http://127.0.0.1:1/\r\nX: y", "http://\u2603/"],
)  # fmt: skip
def test_odd_addresses_are_refused_and_told(store: Store, url: str) -> None:
    with pytest.raises(Unavailable) as caught:
        get(store, url, settings=Settings(rounds=1))
    assert len(caught.value.details) == 1


def test_a_wrong_content_range_is_not_believed(store: Store, site: Site) -> None:
    partial(store, DATA[:1000])
    lie = {"Content-Range": f"bytes 5-{len(DATA) - 1}/{len(DATA)}"}
    site.routes["/a"] = lambda request: send(request, 206, DATA[5:], lie)
    with pytest.raises(Unavailable) as caught:
        get(store, site.base + "/a")
    assert "another range" in caught.value.details[0]


def test_half_a_download_is_resumed_from_the_next_mirror(
    store: Store, site: Site, other_site: Site
) -> None:
    site.routes["/a"] = cut_after(DATA, 5000)
    get(store, site.base + "/a", other_site.serve("/b", DATA), size=len(DATA))
    assert other_site.asked[0][1]["Range"] == "bytes=5000-"
    store.verified(SHA)


def test_a_mirror_that_goes_down_in_the_middle_and_comes_back(store: Store, site: Site) -> None:
    whole = cut_after(DATA, len(DATA))

    def twice_half(request: BaseHTTPRequestHandler) -> None:
        (cut_after(DATA, 700) if len(site.asked) < 3 else whole)(request)

    site.routes["/a"] = twice_half
    get(store, site.base + "/a")
    assert len(site.asked) == 3
    store.verified(SHA)


def test_when_it_never_comes_back_what_came_is_kept_for_the_next_run(
    store: Store, site: Site
) -> None:
    site.routes["/a"] = cut_after(DATA, 700)
    with pytest.raises(Unavailable) as caught:
        get(store, site.base + "/a")
    assert caught.value.exit_code == 4
    assert "ended after 700 of 1048576 bytes" in caught.value.details[0]
    assert leftovers(store) == [f"partial-{SHA}"]
    get(store, site.serve("/a", DATA))
    assert site.asked[-1][1]["Range"] == "bytes=700-"


def test_a_poisoned_half_from_one_mirror_does_not_spoil_another(
    store: Store, site: Site, other_site: Site
) -> None:
    site.routes["/a"] = cut_after(b"evil" * (len(DATA) // 4), 5000)
    get(store, site.base + "/a", other_site.serve("/b", DATA), size=len(DATA))
    store.verified(SHA)


def test_wrong_bytes_name_address_and_both_hashes(store: Store, site: Site) -> None:
    url = site.serve("/a", b"something else")
    with pytest.raises(WrongHash) as caught:
        get(store, url)
    got = hashlib.sha256(b"something else").hexdigest()
    assert caught.value.details == (f"{url}: wrong hash: expected sha256 {SHA}, got {got}",)
    assert not store.has(SHA)
    assert leftovers(store) == []


def test_wrong_bytes_at_one_address_do_not_stop_the_next(
    store: Store, site: Site, other_site: Site
) -> None:
    get(store, site.serve("/a", b"something else"), other_site.serve("/b", DATA))
    store.verified(SHA)


def test_nowhere_to_be_had_names_every_address_and_why(store: Store, site: Site) -> None:
    urls = (
        site.base + "/gone",
        site.status("/secret", 403),
        "http://127.0.0.1:1/closed",
        "ftp://x/",
    )
    with pytest.raises(Unavailable) as caught:
        get(store, *urls)
    assert not isinstance(caught.value, WrongHash)
    reasons = dict(line.split(": ", 1) for line in caught.value.details)
    assert reasons[urls[0]] == "HTTP status 404 Not Found"
    assert reasons[urls[1]] == "HTTP status 403 Forbidden"
    assert "refused" in reasons[urls[2]]
    assert reasons[urls[3]] == "not an http or https address"
    assert len(site.headers_of("/gone")) == 1  # a clear no is not asked again


def test_later_is_tried_again_when_the_server_wants(store: Store, site: Site) -> None:
    moments: list[float] = []

    def busy_once(request: BaseHTTPRequestHandler) -> None:
        moments.append(time.monotonic())
        if len(moments) == 1:
            send(request, 503, b"", {"Retry-After": "1"})
        else:
            send(request, 200, DATA)

    site.routes["/a"] = busy_once
    get(store, site.base + "/a")
    assert moments[1] - moments[0] >= 1.0


def test_a_server_that_sends_nothing_or_a_byte_at_a_time_is_given_up(
    store: Store, site: Site
) -> None:
    over = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            try:
                request.wfile.write(b"X-Slow: 1\r\n")
            except OSError:
                return

    def wait(request: BaseHTTPRequestHandler) -> None:
        over.wait(60)

    site.routes["/a"] = drip
    site.routes["/b"] = wait
    begin = time.monotonic()
    try:
        with pytest.raises(Unavailable) as caught:
            get(store, site.base + "/a", site.base + "/b", settings=IMPATIENT)
    finally:
        over.set()
    assert time.monotonic() - begin < 50
    assert "stalled" in caught.value.details[0]
    assert "stalled: 0 bytes" in caught.value.details[1]


def test_more_bytes_than_expected_are_not_taken(store: Store, site: Site) -> None:
    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(b"\0" * 65536)
        except OSError:
            return

    site.routes["/a"] = endless
    with pytest.raises(Unavailable) as caught:
        get(store, site.base + "/a", size=len(DATA))
    assert f"gives more than {len(DATA)} bytes" in caught.value.details[0]
    with pytest.raises(Unavailable) as caught:
        get(store, site.base + "/a", settings=Settings(largest=1 << 20, delay=0.01))
    assert "gives more than 1048576 bytes" in caught.value.details[0]
    assert leftovers(store) == []


def test_another_announced_size_is_refused_before_reading(store: Store, site: Site) -> None:
    with pytest.raises(Unavailable) as caught:
        get(store, site.serve("/a", DATA), size=17)
    assert "has 1048576 bytes, expected 17" in caught.value.details[0]


def test_redirects_are_followed_but_not_for_ever(store: Store, site: Site) -> None:
    site.serve("/a b", DATA)
    site.serve("/a%20b", DATA)
    site.status("/start", 302, Location="/middle")
    site.status("/middle", 301, Location="a b")
    get(store, site.base + "/start")
    store.verified(SHA)
    site.status("/loop", 302, Location="/loop")
    wanted = Wanted(name="x", sha256="0" * 64, urls=(site.base + "/loop",))
    with pytest.raises(Unavailable) as caught:
        fetch_all(store, [wanted], settings=QUICK)
    assert "more than 8 redirects" in caught.value.details[0]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_a_redirect_out_of_http_is_refused(store: Store, site: Site, target: str) -> None:
    with pytest.raises(Unavailable) as caught:
        get(store, site.status("/start", 302, Location=target))
    assert "which is not followed" in caught.value.details[0]


@pytest.mark.parametrize(
    "headers",
    [
        {"Location": "http://[::1"},
        {"Location": "http://x:port/"},
        {"Location": "//"},
        {"Content_Range": "bytes 0-1/" + "9" * 5000},
        {"Content_Length": "-5"},
        {"Transfer_Encoding": "chunked"},
    ],
)
def test_nonsense_in_headers_is_no_crash(store: Store, site: Site, headers: dict[str, str]) -> None:
    status = 302 if "Location" in headers else 206 if "Content_Range" in headers else 200
    with pytest.raises(Unavailable):
        get(store, site.status("/a", status, **headers))


def test_credentials_stay_with_their_host_and_out_of_messages(
    store: Store, site: Site, other_site: Site
) -> None:
    url = site.status("/start", 302, Location=other_site.base + "/gone")
    with pytest.raises(Unavailable) as caught:
        get(store, url.replace("http://", "http://me:secret@"))
    assert "Authorization" in site.asked[0][1]
    assert "Authorization" not in other_site.asked[0][1]
    assert "secret" not in repr(caught.value.details)


def test_a_proxy_of_the_environment_is_used_only_on_request(
    store: Store, site: Site, other_site: Site, tmp_path: Path
) -> None:
    url = site.serve("/a", DATA)
    environment = {"http_proxy": other_site.base, "HOME": str(tmp_path)}
    assert web.settings(environment).proxies == {}
    other_site.serve(url, DATA)  # a proxy is asked for the whole address
    chosen = web.settings({**environment, "GBUILD_PROXY": "environment"})
    get(store, url, settings=chosen)
    assert [path for path, _ in other_site.asked] == [url]
    assert site.asked == []


def test_https_goes_through_a_proxy_by_a_tunnel_or_not_at_all(
    store: Store, other_site: Site
) -> None:
    url = "https://127.0.0.1:1/a"
    through = web.settings({"GBUILD_PROXY": other_site.base})
    with pytest.raises(Unavailable) as caught:
        get(store, url, settings=replace(through, rounds=1))
    assert "Tunnel connection failed: 501" in caught.value.details[0]
    around = web.settings(
        {"GBUILD_PROXY": "environment", "https_proxy": other_site.base, "no_proxy": "x,127.0.0.1"}
    )
    with pytest.raises(Unavailable) as caught:
        get(store, url, settings=replace(around, rounds=1))
    assert "Connection refused" in caught.value.details[0]


@pytest.mark.parametrize("proxy", ["socks5://x:1", "x:3128", "https://x", "http://"])
def test_a_proxy_that_cannot_be_used_is_told(proxy: str) -> None:
    with pytest.raises(UsageFailure, match="not a proxy"):
        web.settings({"GBUILD_PROXY": proxy})


def test_file_addresses_work_and_only_for_regular_files(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "a file"
    source.write_bytes(DATA)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    get(store, f"file://{tmp_path}/none", f"file://{fifo}", f"file://{tmp_path}/a%20file")
    store.verified(SHA)
    wanted = Wanted(name="x", sha256="0" * 64, urls=(f"file://{fifo}",))
    with pytest.raises(Unavailable) as caught:
        fetch_all(store, [wanted], settings=QUICK)
    assert caught.value.details == (f"file://{fifo}: not a regular file",)


def test_all_failures_are_listed_in_one_pass(store: Store, site: Site) -> None:
    good = site.serve("/good", DATA)
    wanted = [
        Wanted(name="one", sha256="1" * 64, urls=(site.base + "/1",)),
        Wanted(name="good", sha256=SHA, urls=(good,)),
        Wanted(name="two", sha256="2" * 64, urls=(good,)),
        Wanted(name="three", sha256="3" * 64, urls=()),
    ]
    with pytest.raises(WrongHash) as caught:
        fetch_all(store, wanted, settings=QUICK)
    assert caught.value.brief == "3 files could not be fetched"
    text = "\n".join(caught.value.details)
    assert (
        text.index("one could not") < text.index("two has the wrong") < text.index("three is not")
    )
    assert store.has(SHA)


def test_offline_takes_nothing_from_the_network(store: Store, site: Site, tmp_path: Path) -> None:
    url = site.serve("/a", DATA)
    wanted = Wanted(name="thing", sha256=SHA, urls=(url,))
    with pytest.raises(Unavailable) as caught:
        fetch_all(store, [wanted], offline=True)
    assert "offline" in caught.value.brief
    assert site.asked == []
    (tmp_path / "copy").write_bytes(DATA)
    near = Wanted(name="thing", sha256=SHA, urls=(url, f"file://{tmp_path}/copy"))
    assert fetch_all(store, [near], offline=True) == (store.blob(SHA),)


def test_small_things_without_a_hash_come_from_the_first_that_has_them(site: Site) -> None:
    urls = [site.base + "/gone", site.serve("/a", DATA)]
    assert fetch_bytes(urls, name="x", limit=len(DATA), settings=QUICK) == (urls[1], DATA)
    site.routes["/b"] = cut_after(DATA, 10)
    with pytest.raises(Unavailable) as caught:
        fetch_bytes([*urls, site.base + "/b"], name="x", limit=1000, settings=QUICK)
    assert "gives more than 1000 bytes" in caught.value.details[1]
    assert "ended after 10 of 1048576" in caught.value.details[2]


def test_two_at_once_fetch_one_file_once(store: Store, site: Site) -> None:
    url = site.serve("/a", DATA)
    threads = [threading.Thread(target=get, args=(store, url)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(site.asked) == 1
    store.verified(SHA)


def test_a_full_disk_names_the_folder_and_what_is_free(
    store: Store, site: Site, full_disk: Callable[[Path], None]
) -> None:
    full_disk(store.root / "tmp")
    with pytest.raises(HostFailure) as caught:
        get(store, site.serve("/a", DATA))
    assert caught.value.exit_code == 3
    assert str(store.root / "tmp") in caught.value.brief
    assert "No space left" in caught.value.brief
    assert "free there: " in caught.value.details[0]


CHILD = """
import sys
from pathlib import Path
from gbuild.host.fetch import Wanted, fetch_all
from gbuild.host.store import Store
wanted = Wanted(name="thing", sha256=sys.argv[2], urls=(sys.argv[3],))
fetch_all(Store(Path(sys.argv[1])), [wanted])
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_or_interrupted_download_goes_on_next_time(
    store: Store, site: Site, how: signal.Signals
) -> None:
    begun, over = threading.Event(), threading.Event()

    def half_then_wait(request: BaseHTTPRequestHandler) -> None:
        cut_after(DATA, 300_000)(request)
        begun.set()
        over.wait(60)

    site.routes["/a"] = half_then_wait
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.root), SHA, site.base + "/a"],
        stderr=subprocess.DEVNULL,
    )
    try:
        assert begun.wait(60)
        kept = store.root / "tmp" / f"partial-{SHA}"
        deadline = time.monotonic() + 120
        while (not kept.exists() or not kept.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(how)
        assert child.wait(60) != 0
    finally:
        over.set()
        child.kill()
        child.wait()
    get(store, site.serve("/b", DATA))
    assert int(site.headers_of("/b")[0]["Range"][6:-1]) > 0
    store.verified(SHA)
