"""The build id of a program, and the checksum of its debugging file: they follow the rest."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_SECTIONS = (".note.gnu.build-id", ".gnu_debuglink", ".note.go.buildid")


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(where=where, a=a, b=b) if where.endswith(_SECTIONS):
            return versus(a.hex(), b.hex())
        case _:
            pass
    return None


CAUSE = Cause(
    name="build-id",
    title="a build id is a digest of the program (or random, by --build-id=uuid)",
    mend="mend what differs beside it; if nothing does, link with -Wl,--build-id=sha1",
    explains=_explains,
    follows=True,
)
