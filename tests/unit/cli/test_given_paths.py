"""What ``gtarget put`` and ``get`` advise when the target does not let them."""

from __future__ import annotations

import pytest

from gbuild.cli.gtarget import _given_paths
from gbuild.errors import UsageFailure
from gbuild.host.process import Completed
from gbuild.target.command import PathRefused


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (b"tar: big: Wrote only 512 of 10240 bytes", "--disk"),
        (b"mkdir: cannot create directory 'x': No space left on device", "--disk"),
        (b"tar: x: Cannot open: Permission denied", "--user root"),
    ],
)
def test_the_advice_fits_what_was_said(said: bytes, advice: str) -> None:
    stderr = said + b"\ntar: Exiting with failure status due to previous errors\n"
    with pytest.raises(UsageFailure) as caught, _given_paths():
        raise PathRefused(Completed(("tar",), 2, b"", stderr), "ann cannot write into x")
    assert caught.value.brief == "ann cannot write into x"
    assert caught.value.details == (said.decode(),)
    assert advice in str(caught.value.hint)
