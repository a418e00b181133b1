"""A cause of irreproducibility that can be seen in the bytes of two builds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gbuild.check.diagnose.differences import Difference, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One diagnoser.

    ``name`` is also that of its page (docs/reference/causes.md#name), ``mend`` the usual remedy.
    ``explains`` returns the evidence when a difference has this cause, else None. ``follows`` says
    that it is the consequence of another difference: it is named only beside one. ``adds`` returns
    evidence that it is a second cause of what another one explains.
    """

    name: str
    title: str
    mend: str
    explains: Callable[[Difference], str | None]
    follows: bool = False
    adds: Callable[[Difference], str | None] | None = None


class Weak(str):
    """Evidence that counts only where nothing in its line speaks for another source."""

    __slots__ = ()


class Sure(str):
    """Evidence that nobody writes by hand: it counts whatever else differs."""

    __slots__ = ()


def versus(a: object, b: object) -> str:
    """Write evidence: what one side has and what the other has."""
    return f"{_short(a)} / {_short(b)}"


def fields(*kinds: str, names: Sequence[str]) -> Callable[[Difference], str | None]:
    """Return what explains a difference of these fields of these kinds of structures."""

    def explains(difference: Difference) -> str | None:
        match difference:
            case Field(kind=found, name=name, a=a, b=b) if found in kinds and name in names:
                return f"{name} {versus(a or 'none', b or 'none')}"
            case _:
                return None

    return explains


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 90 else f"{text[:60]}...{text[-27:]}"
