"""A cause of irreproducibility that can be seen in the bytes of two builds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gbuild.check.diagnose.differences import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One diagnoser.

    ``name`` is also that of its page (docs/reference/causes.md#name), ``mend`` the usual remedy.
    ``explains`` returns the evidence when a difference has this cause, else None. ``follows`` says
    that it is the consequence of another difference: it is named only beside one.
    """

    name: str
    title: str
    mend: str
    explains: Callable[[Difference], str | None]
    follows: bool = False


def versus(a: object, b: object) -> str:
    """Write evidence: what one side has and what the other has."""
    return f"{_short(a)} / {_short(b)}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 90 else f"{text[:60]}...{text[-27:]}"
