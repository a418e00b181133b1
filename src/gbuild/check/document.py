"""The result of a check as the JSON document ``gbuild.gcheck/1`` (docs/reference/gcheck.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from gbuild.model.check import (
    CheckBuild,
    CheckedArtifact,
    CheckResult,
    Tried,
    TriedAxis,
    Waiver,
    changed,
)


def document(result: CheckResult) -> Mapping[str, object]:
    """Return everything but ``format``; no path of this host is in it."""
    return {
        "name": result.name,
        "reproducible": result.passes,
        "backend": result.backend,
        "descriptor_sha256": result.descriptor_sha256,
        "plan": result.plan_digest,
        "started": f"{datetime.fromtimestamp(result.started, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "seconds": round(result.seconds, 1),
        "variations": [variation(tried) for tried in result.variations],
        "axes": [axis(tried) for tried in result.axes],
        "builds": [_build(build, result) for build in result.builds],
        "artifacts": [_artifact(artifact) for artifact in result.artifacts],
    }


def variation(tried: Tried) -> Mapping[str, object]:
    """Return a variation of the list, and whether it is varied."""
    return {
        "name": tried.name,
        "state": "not run" if tried.missing else "varied",
        **({"reason": tried.missing} if tried.missing else {}),
        "needs": tried.needs,
        "control": tried.control,
        "varied": tried.varied,
    }


def axis(tried: TriedAxis) -> Mapping[str, object]:
    """Return an axis, and what its build showed."""
    return {
        "name": tried.name,
        "what": tried.what,
        "ask": f"--also {tried.ask}",
        "needs": tried.needs,
        "value": tried.value,
        "state": tried.state,
        **({"reason": tried.reason} if tried.reason else {}),
        "differing": list(tried.differing),
        "waived": list(tried.waived),
    }


def _build(build: CheckBuild, result: CheckResult) -> Mapping[str, object]:
    differing = sorted(changed(dict(result.builds[0].artifacts), build))
    return {
        "number": build.number,
        "kind": build.kind,
        "varied": list(build.varied),
        "seconds": round(build.seconds, 1),
        "differing": differing,
        **({"failure": build.failure} if build.failure else {}),
    }


def _artifact(artifact: CheckedArtifact) -> Mapping[str, object]:
    return {
        "path": artifact.path,
        "sha256": artifact.sha256,
        "verdict": artifact.verdict.value,
        "causes": [list(names) for names in artifact.causes],
        "certain": artifact.certain,
        "repeats": artifact.repeats,
        "differed": artifact.differed,
        "traces": [asdict(trace) for trace in artifact.traces],
        "unknown": artifact.unknown,
        "waiver": _waiver(artifact.waiver),
        "lapsed_waiver": _waiver(artifact.lapsed),
    }


def _waiver(waiver: Waiver | None) -> Mapping[str, str] | None:
    return asdict(waiver) if waiver else None
