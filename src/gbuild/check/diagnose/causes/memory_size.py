"""How much memory the machine had."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause
from gbuild.check.diagnose.numbers import beside

_NAMES = (
    r"(?:\w+ )?(?:phys|sys|installed|system|usable)? ?(?:mem|memory|ram|physmem|memtotal)"
    r"(?: (?:total|size|free|available|limit|mb|kb|gb|bytes|kib|mib|gib|in|pages|avail))*|"
    r"num mem|mem total|phys pages|xmx|"
    r"total ?mem(?:ory)?|free ?mem(?:ory)?|swap(?: ?total)?|sc phys pages|hw memsize|memsize"
)
_UNITS = r"[kmgt]i?b?(?:ytes)?(?: of| total| system| physical)*"

CAUSE = Cause(
    name="memory-size",
    title="the size of the machine's memory is in the artefact",
    mend="do not record it; give limits as fixed numbers",
    explains=beside(_NAMES, units=_UNITS),
)
