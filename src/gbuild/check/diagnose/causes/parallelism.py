"""How many processors or jobs there were."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause
from gbuild.check.diagnose.numbers import beside

_NAMES = (
    r"(?<!\w)-j|(?:num_?|n_?)?(?:jobs?|cpus?|cores?|threads?|procs?|processors?|workers?)"
    r"(?:_?(?:count|num(?:ber)?))?|nproc|parallel(?:ism)?(?:_?level)?"
)

CAUSE = Cause(
    name="parallelism",
    title="the number of processors or jobs is in the artefact",
    mend="do not record it; if it decides how work is split, fix the number",
    explains=beside(_NAMES),
)
