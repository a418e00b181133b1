"""How much memory the machine had."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause
from gbuild.check.diagnose.numbers import beside

_NAMES = r"mem(?:ory)?(?:_?(?:total|size|free|available|limit|mb|kb))?|MemTotal|ram|NUM_MEM"

CAUSE = Cause(
    name="memory-size",
    title="the size of the machine's memory is in the artefact",
    mend="do not record it; give limits as fixed numbers",
    explains=beside(_NAMES),
)
