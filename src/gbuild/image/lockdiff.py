"""What changed between two locks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gbuild.model.lock import Environment, Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package of one environment; ``old`` or ``new`` is None when it came or went.

    ``same_version`` marks the case that should not be: one version, other bytes.
    """

    label: str
    package: str
    old: str | None
    new: str | None
    same_version: bool = False

    def as_json(self) -> dict[str, object]:
        """Return the fields by name."""
        return asdict(self)


def changes(old: Lock, new: Lock) -> tuple[Change, ...]:
    """Compare two locks, environment by environment."""
    labels = sorted({e.label for lock in (old, new) for e in lock.environments})
    return tuple(
        change
        for label in labels
        for change in _environment(label, old.environment(label), new.environment(label))
    )


def _environment(label: str, old: Environment | None, new: Environment | None) -> list[Change]:
    before, after = _packages(old), _packages(new)
    return [
        Change(
            label=label,
            package=name,
            old=before.get(name, (None, ""))[0],
            new=after.get(name, (None, ""))[0],
            same_version=before.get(name, (None,))[0] == after.get(name, (None,))[0],
        )
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _packages(environment: Environment | None) -> dict[str, tuple[str | None, str]]:
    if environment is None:
        return {}
    return {f"{p.name}:{p.arch}": (p.version, p.sha256) for p in environment.packages}


def lines(found: Sequence[Change]) -> list[str]:
    """Put changes into one line each."""
    return [f"{one.label}  {one.package}  {_what(one)}" for one in found]


def _what(change: Change) -> str:
    if change.same_version:
        return f"{change.new}: same version, OTHER BYTES"
    if change.old is None:
        return f"added {change.new}"
    if change.new is None:
        return f"removed {change.old}"
    return f"{change.old} -> {change.new}"
