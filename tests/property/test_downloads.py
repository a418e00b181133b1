"""Whatever servers do, the store holds the right bytes or nothing."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from gbuild.errors import Unavailable
from gbuild.host import fetch, http_get
from gbuild.host.store import Store
from gbuild.host.web import Broken, Settings

SETTINGS = Settings(delay=0.0, rounds=3)


@dataclass(frozen=True)
class Behaviour:
    """One answer: which bytes the server has, whether it knows ranges, and where it breaks."""

    honest: bool
    ranges: bool
    cut: int | None
    tells_length: bool


@dataclass
class FakeAnswer:
    start: int
    total: int | None
    data: bytes
    broken: bool
    outside: bool = False

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), 7):
            yield self.data[at : at + 7]
        if self.broken:
            raise Broken("cut")


def answering(data: bytes, behaviours: list[Behaviour]) -> object:
    """Make a stand-in for ``web.get`` that behaves as listed, then honestly for ever."""
    left = list(behaviours)
    good = Behaviour(honest=True, ranges=True, cut=None, tells_length=True)

    @contextmanager
    def get(
        url: str, *, start: int = 0, settings: Settings, stop: threading.Event
    ) -> Iterator[FakeAnswer]:
        how = left.pop(0) if left else good
        whole = data if how.honest else bytes(255 - byte for byte in data)
        if how.ranges and start > len(whole):
            yield FakeAnswer(start=0, total=None, data=b"", broken=False, outside=True)
            return
        begin = start if how.ranges else 0
        sent = whole[begin:] if how.cut is None else whole[begin:][: how.cut]
        yield FakeAnswer(
            start=begin,
            total=len(whole) if how.tells_length else None,
            data=sent,
            broken=len(sent) < len(whole) - begin and not how.tells_length,
        )

    return get


behaviours = st.lists(
    st.builds(
        Behaviour,
        honest=st.booleans(),
        ranges=st.booleans(),
        cut=st.none() | st.integers(0, 40),
        tells_length=st.booleans(),
    ),
    max_size=6,
)


@given(
    data=st.binary(min_size=0, max_size=60),
    first=st.binary(max_size=70),
    how=behaviours,
    knows_size=st.booleans(),
    mirrors=st.integers(1, 3),
)
def test_the_store_holds_the_right_bytes_or_nothing(
    data: bytes, first: bytes, how: list[Behaviour], *, knows_size: bool, mirrors: int
) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        (store.root / "tmp" / f"partial-{sha256}").write_bytes(first)
        with mock.patch.object(http_get, "get", answering(data, how)):
            try:
                wanted = fetch.Wanted(
                    name="x",
                    sha256=sha256,
                    urls=tuple(f"http://m{number}.example/x" for number in range(mirrors)),
                    size=len(data) if knows_size else None,
                )
                (path,) = fetch.fetch_all(store, [wanted], settings=SETTINGS)
            except Unavailable:
                assert not store.has(sha256)
            else:
                assert path.read_bytes() == data


@given(
    data=st.binary(min_size=1, max_size=60),
    first=st.binary(max_size=70),
    cuts=st.lists(st.integers(0, 40), max_size=2),
)
def test_honest_servers_that_break_twice_are_enough(
    data: bytes, first: bytes, cuts: list[int]
) -> None:
    how = [Behaviour(honest=True, ranges=True, cut=cut, tells_length=True) for cut in cuts]
    sha256 = hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        # something of the file, or of another, came before
        (store.root / "tmp" / f"partial-{sha256}").write_bytes(first)
        with mock.patch.object(http_get, "get", answering(data, how)):
            wanted = fetch.Wanted(name="x", sha256=sha256, urls=("http://m.example/x",))
            fetch.fetch_all(store, [wanted], settings=SETTINGS)
        assert store.blob(sha256).read_bytes() == data
