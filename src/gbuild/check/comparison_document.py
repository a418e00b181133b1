"""A comparison as the JSON document ``gbuild.gdiff/1`` (docs/reference/gdiff.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict

from gbuild.check.compare import because
from gbuild.model.comparison import Compared, Differing, Looked


def document(differing: Differing) -> Mapping[str, object]:
    """Return everything but ``format``."""
    counted = Counter(artifact.presence.value for artifact in differing.artifacts)
    return {
        "a": differing.a,
        "b": differing.b,
        "same": differing.same,
        "totals": dict(sorted(counted.items())),
        "note": differing.note or None,
        "because": list(because(differing)),
        "changed": [asdict(change) for change in differing.changed],
        "artifacts": [_artifact(artifact) for artifact in differing.artifacts],
    }


def _artifact(artifact: Compared) -> Mapping[str, object]:
    return {
        "path": artifact.path,
        "state": artifact.presence.value,
        "a": artifact.a or None,
        "b": artifact.b or None,
        "traces": [asdict(trace) for trace in artifact.traces],
        "unknown": artifact.unknown,
        "diffoscope": _looked(artifact.looked),
    }


def _looked(looked: Looked | None) -> Mapping[str, object] | None:
    """Name the file with the report; the report itself is diffoscope's, not of this format."""
    if looked is None:
        return None
    return {"report": looked.kept or None, "note": looked.note or None}
