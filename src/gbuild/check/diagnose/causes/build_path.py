"""The folder that was built in."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.paths import common_end, numbered, paths

_SCRATCH = ("/tmp/", "/var/tmp/", "/build/", "/builds/", "/srv/", "/workspace/", "/mnt/")

_INSTALLED = re.compile(r"/(?:usr(?!(?:/local)?/src/)|s?bin|lib\d*|etc|opt)/")
"""Where programs are installed; nobody builds there."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change if found := paths(change):
            if numbered(*found) or all(_INSTALLED.match(path) for path in found):
                return None
            ends = common_end(*found)
            if ends or all(path.startswith(_SCRATCH) for path in found):
                return versus(*found)
        case _:
            pass
    return None


CAUSE = Cause(
    name="build-path",
    title="the folder that was built in is in the artefact",
    mend='CFLAGS+="-ffile-prefix-map=$PWD=."; RUSTFLAGS=--remap-path-prefix; go build -trimpath',
    explains=_explains,
)
