"""What earlier runs finished: one record per job, believed only after hashing again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gbuild.engine.collect import artifacts_of
from gbuild.engine.workspace import Workspace
from gbuild.errors import GbuildError
from gbuild.host.files import write_atomically
from gbuild.model.outcome import Artifact, JobOutcome
from gbuild.model.plan import Job

_FORMAT = "gbuild.job/1"
_NAME = "finished.json"


def record(workspace: Workspace, job: Job, outcome: JobOutcome) -> None:
    """Write ``build/<label>/finished.json`` beside the job's artefacts.

    Not for a job on a system that a person made: its next run may find another one.
    """
    if outcome.base is not None:
        return
    value = {
        "format": _FORMAT,
        "digest": job.digest,
        "image": outcome.image,
        "log": str(outcome.log.relative_to(workspace.root)),
        "seconds": round(outcome.seconds, 3),
        "facts": dict(outcome.facts),
        "caches": sorted(outcome.caches),
        "artifacts": [[a.path, a.sha256, a.size] for a in outcome.artifacts],
    }
    data = json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"
    write_atomically(workspace.job(job.label) / _NAME, data)


def finished(workspace: Workspace, job: Job, *, image: str) -> JobOutcome | None:
    """Return the outcome of a job that an earlier run finished, if nothing has changed since.

    Nothing may differ: the job's digest, the image, and every artefact's bytes.
    """
    value = _read(workspace.job(job.label) / _NAME)
    if value.get("format") != _FORMAT or value.get("digest") != job.digest:
        return None
    if value.get("image") != image:
        return None
    try:
        outcome = _outcome(workspace, job, value)
        intact = artifacts_of(outcome.out) == outcome.artifacts
    except (KeyError, TypeError, ValueError, OSError, GbuildError):
        return None
    caches_there = all(path.is_dir() for path in outcome.caches.values())
    return outcome if intact and caches_there else None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _outcome(workspace: Workspace, job: Job, value: Mapping[str, Any]) -> JobOutcome:
    folder = workspace.job(job.label)
    return JobOutcome(
        label=job.label,
        out=folder / "out",
        artifacts=tuple(Artifact(path=p, sha256=s, size=n) for p, s, n in value["artifacts"]),
        log=workspace.root / value["log"],
        seconds=float(value["seconds"]),
        image=str(value["image"]),
        caches={name: folder / "cache" / name for name in value["caches"]},
        facts={str(k): str(v) for k, v in value["facts"].items()},
        reused=True,
    )
