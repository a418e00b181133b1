"""What one person's gget remembers of a tree of signatures between its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything is known by digests of signature files, which nobody can make without the keys.

    Attributes:
        seen: when (seconds since the epoch) a signature file was first there, by its sha256.
        counted: the signature files that counted, by release.
        newest: the newest release that passed, by package without its version.
    """

    seen: Mapping[str, int] = field(default_factory=dict)
    counted: Mapping[str, frozenset[str]] = field(default_factory=dict)
    newest: Mapping[str, str] = field(default_factory=dict)

    def only(self, release: str) -> Memory:
        """Return the same memory without what counted in other releases."""
        own = {name: counted for name, counted in self.counted.items() if name == release}
        return replace(self, counted=own)
