"""What came out when the builds of two signers were repeated. Frozen values without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["A", "B"]
Cause = Literal["packages", "inputs", "both", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """One build with the ``packages`` of a side and the ``inputs`` of a side.

    Inputs are the descriptor, the files and the commits. ``a`` and ``b`` count the artefacts that
    came out as that side has them, of ``total``; ``same`` names the sides of which all are equal.
    ``failure`` says why there are none.
    """

    packages: Side
    inputs: Side
    total: int = 0
    a: int = 0
    b: int = 0
    same: tuple[Side, ...] = ()
    vouched: bool = True
    failure: str = ""

    @property
    def own(self) -> bool:
        """Whether everything is of one side and what that side signed came out."""
        return self.packages == self.inputs and self.packages in self.same


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """All rebuilds of a comparison, by what the sides are called."""

    a: str
    b: str
    builds: tuple[Rebuild, ...]
    packages_differ: bool
    inputs_differ: bool

    @property
    def explained(self) -> Cause:
        """What the builds prove to explain the difference; empty: they prove nothing.

        Only when both sides came out as they were signed do they prove anything. When packages
        and inputs both differ, the build with B's packages and A's inputs tells: it gives B's
        artefacts when the packages alone make the difference, A's when they make none.
        """
        if not all(any(b.own and b.packages == side for b in self.builds) for side in ("A", "B")):
            return ""
        if not (self.packages_differ and self.inputs_differ):
            return "packages" if self.packages_differ else "inputs"
        mixed = next((b for b in self.builds if b.packages != b.inputs and not b.failure), None)
        if mixed is None:
            return ""
        if len(mixed.same) == 1:
            return "packages" if mixed.same == (mixed.packages,) else "inputs"
        return "both"
