"""How many processors or jobs there were."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.numbers import number_named

_NAMES = (
    r"(?<!\w)-j|(?:num_?|n_?)?(?:jobs?|cpus?|cores?|threads?|procs?|processors?|workers?)"
    r"(?:_?(?:count|num(?:ber)?))?|nproc|parallel(?:ism)?(?:_?level)?"
)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change() as change if found := number_named(change, _NAMES):
            return versus(*found)
        case _:
            pass
    return None


CAUSE = Cause(
    name="parallelism",
    title="the number of processors or jobs is in the artefact",
    mend="do not record it; if it decides how work is split, fix the number",
    explains=_explains,
)
