"""Guess from the bytes of two builds which variations matter, so that few builds prove it.

A guess is never an answer: the search (:mod:`gbuild.check.search`) builds with everything else
varied, and with each suspect alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gbuild.check.diagnose.diagnosis import Diagnosis

_MOST = 4
"""Suspects that are worth a build each: the search without any takes six."""

_LOOKED_AT = 8
"""Artefacts that are looked at: with more, the builds of the search count for many at once."""

_MOVES = {
    "address": ("addresses",),
    "directory-order": ("file-system",),
    "archive-order": ("file-system",),
    "file-modes": ("umask",),
    "hash-order": ("hash-seed",),
    "locale-order": ("locale",),
    "memory-size": ("memory",),
    "parallelism": ("cpus", "jobs"),
    "tar-owners": ("ids", "user"),
}
"""Which variations show themselves as which cause, where the two have other names."""


def suspects(
    broken: Iterable[str], names: Sequence[str], look: Callable[[str], Diagnosis]
) -> tuple[str, ...]:
    """Return the variations of ``names`` that explain why the artefacts ``broken`` differ.

    ``look`` compares an artefact of the control with that of the build with all varied. Nothing
    is returned when something remains that the guess would not explain, or when it is too many.
    """
    wanted = sorted(broken)
    if len(wanted) > _LOOKED_AT:
        return ()
    found: set[str] = set()
    for path in wanted:
        seen = look(path)
        moved = {n for t in seen.traces for n in _MOVES.get(t.cause, (t.cause,))} & {*names}
        found |= moved
        if seen.unknown or not moved or len(found) > _MOST:
            return ()
    return tuple(name for name in names if name in found)
