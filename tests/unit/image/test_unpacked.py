"""What an unpacking says when it fails."""

from __future__ import annotations

import pytest

from gbuild.errors import BackendFailure, HostFailure
from gbuild.host.process import Completed
from gbuild.image import unpacked


def test_a_full_disk_is_named() -> None:
    said = b"Traceback (most recent call last):\nOSError: [Errno 28] No space left on device\n"
    with pytest.raises(HostFailure, match="no space is left on the disk") as caught:
        unpacked._done(Completed(("x",), 1, b"", said), "the image could not be unpacked")
    assert caught.value.details == ()
    assert "--store" in (caught.value.hint or "")


def test_another_failure_keeps_its_words() -> None:
    with pytest.raises(BackendFailure) as caught:
        unpacked._done(Completed(("x",), 1, b"", b"one\ntwo\n"), "the image could not be unpacked")
    assert caught.value.details == ("one", "two")
