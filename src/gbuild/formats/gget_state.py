"""``gbuild.gget-state/1``: what gget remembers, as JSON that only gget writes."""

from __future__ import annotations

import json
import re
from typing import Any

from gbuild.errors import HostFailure
from gbuild.model.memory import Memory

FORMAT = "gbuild.gget-state/1"
LARGEST = 64 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Damaged(HostFailure):
    """The file is not what gget wrote: to go on without it would forget what it guards."""


def write_state(memory: Memory) -> bytes:
    """Write the memory; the same memory always gives the same bytes."""
    document = {
        "format": FORMAT,
        "seen": dict(memory.seen),
        "counted": {release: sorted(own) for release, own in memory.counted.items()},
        "newest": dict(memory.newest),
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def read_state(data: bytes, *, path: str) -> Memory:
    """Read it back.

    Raises:
        Damaged: it is no such document.
    """
    try:
        document = _document(json.loads(data))
        memory = Memory(
            seen={_digest(key): int(value) for key, value in document["seen"].items()},
            counted={
                str(release): frozenset(_digest(each) for each in own)
                for release, own in document["counted"].items()
            },
            newest={str(key): str(value) for key, value in document["newest"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(
            f"{path} cannot be read: what was seen before is not known",
            details=(f"{type(error).__name__}: {error}"[:200],),
            hint=f"bring it back from a backup, or remove it to begin anew: rm {path}",
        ) from error
    return memory


def _document(loaded: object) -> dict[str, Any]:
    if not isinstance(loaded, dict) or loaded.get("format") != FORMAT:
        raise ValueError(f"the format is not {FORMAT}")
    return loaded


def _digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise ValueError(text[:80])
    return text
