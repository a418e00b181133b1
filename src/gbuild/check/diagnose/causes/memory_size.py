"""How much memory the machine had."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.numbers import number_named

_NAMES = r"mem(?:ory)?(?:_?(?:total|size|free|available|limit|mb|kb))?|MemTotal|ram|NUM_MEM"


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change() as change if found := number_named(change, _NAMES):
            return versus(*found)
        case _:
            pass
    return None


CAUSE = Cause(
    name="memory-size",
    title="the size of the machine's memory is in the artefact",
    mend="do not record it; give limits as fixed numbers",
    explains=_explains,
)
