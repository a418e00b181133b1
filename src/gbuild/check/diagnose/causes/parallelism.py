"""How many processors or jobs there were."""

from __future__ import annotations

from gbuild.check.diagnose.cause import Cause
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

CAUSE = Cause(
    name="parallelism",
    title="the number of processors or jobs is in the artefact",
    mend="do not record it; if it decides how work is split, fix the number",
    explains=beside(_NAMES, most=1024, chosen=_CHOSEN),
)
