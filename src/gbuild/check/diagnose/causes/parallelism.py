"""How many processors or jobs there were."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.numbers import beside

_NAMES = (
    r"(?:make|ninja|jobserver|\w*makeflags|w|k|s|xz|zstd) (?:\w+ )?[jt]|j|"
    r"(?:\w+ )*?(?:num|n|max|nr|number of|available|online|logical|physical|build|host|detected)? ?"
    r"(?:jobs?|cpus?|cores?|threads?|procs?|processors?|workers?|hardware concurrency|"
    r"ncpus?|nprocs?|numcpus?|ncores?|nthreads?|cpu cores|processes|slots|shards)"
    r"(?: (?:count|num|number|online|conf|onln|total))*|nproc(?: all)?|cpu number|flto|"
    r"(?:\w+ )?parallel(?:ism)?(?: (?:level|jobs))*|concurrency|go ?max ?procs|build smp|loadavg"
)

_CHOSEN = r"workers?|threads?|processes|slots|shards|jobs|tasks"
"""What somebody may have set by hand as well."""

_WORKERS = re.compile(
    rb"(?:[\s/,;]*(?:gw|worker|thread|cpu|job|core|proc)s?[ _#-]?\d+:?(?: \[\d+\])?){1,999}"
    rb"[\s/,;]*\Z",
    re.IGNORECASE,
)
"""Workers by their numbers."""
_counted = beside(_NAMES, most=1024, chosen=_CHOSEN)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True, a=a, b=b, left=left) if not (a and b) and _WORKERS.match(a or b):
            last = left.rstrip(b"0123456789[] /,;").rpartition(b" ")[2]
            return versus(*difference.lines()) if (a or b).strip(b" /,;").startswith(last) else None
        case _:
            return _counted(difference)


CAUSE = Cause(
    name="parallelism",
    title="the number of processors or jobs is in the artefact",
    mend="do not record it; if it decides how work is split, fix the number",
    explains=_explains,
)
