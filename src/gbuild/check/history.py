"""One line for every check of a descriptor, so that a project sees when something broke.

``result/<name>-check-history.jsonl``: a JSON object a line, oldest first, with the time, the
descriptor's sha256 and every artefact's verdict. A line that cannot be read is an error: nothing
is lost by being overlooked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gbuild.errors import UsageFailure
from gbuild.model.check import CheckResult, Past

FORMAT = "gbuild.gcheck-history/1"


def path_of(result: Path, name: str) -> Path:
    """Return where the history of the descriptor called ``name`` lies in a result folder."""
    return result / f"{name}-check-history.jsonl"


def read(path: Path) -> tuple[Past, ...]:
    """Return every earlier check, oldest first; none when there is no file.

    Raises:
        UsageFailure: a line is not one of this format.
    """
    if not path.exists():
        return ()
    lines = path.read_bytes().splitlines()
    return tuple(_past(path, number, line) for number, line in enumerate(lines, 1))


def _past(path: Path, number: int, line: bytes) -> Past:
    try:
        return _parsed(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageFailure(
            f"{path}:{number} is not a line of a check's history",
            details=(str(error),),
            hint="take the line out, or move the file away",
        ) from error


def _parsed(found: Mapping[str, Any]) -> Past:
    if found["format"] != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    return Past(
        started=str(found["started"]),
        descriptor_sha256=str(found["descriptor_sha256"]),
        backend=str(found["backend"]),
        verdicts={str(k): str(v) for k, v in found["verdicts"].items()},
    )


def add(path: Path, result: CheckResult) -> None:
    """Append a check; the file is written anew under another name and renamed."""
    from gbuild.host.files import write_atomically

    line = {
        "format": FORMAT,
        "started": f"{datetime.fromtimestamp(result.started, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "descriptor_sha256": result.descriptor_sha256,
        "backend": result.backend,
        "verdicts": {a.path: a.verdict.value for a in result.artifacts},
    }
    old = path.read_bytes() if path.exists() else b""
    write_atomically(path, old + json.dumps(line, sort_keys=True).encode() + b"\n")
