"""The folder that was built in."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.paths import common_end, paths

_SCRATCH = ("/tmp/", "/var/tmp/", "/build/", "/builds/", "/srv/", "/work/", "/workspace/", "/mnt/")


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change if found := paths(change):
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
