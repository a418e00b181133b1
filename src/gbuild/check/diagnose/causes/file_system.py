"""The file system of the builder: its kind, its blocks, what is free on it."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference
from gbuild.check.diagnose.numbers import number_named

_NAMES = r"io[ _]block|f_bsize|st_blocks|st_dev|st_blksize"
_KIND = re.compile(r"(?:\A|\s)(?:ext[234]|xfs|btrfs|tmpfs|overlay(?:fs)?|zfs|nfs4?|f2fs)(?:\s|\Z)")

_USED = re.compile(r"\s\d{1,3}%\s")
"""How full it is, as df(1) writes it."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            if found := number_named(change, _NAMES):
                return versus(*found)
            one, two = change.lines()
            kinds = _KIND.findall(one), _KIND.findall(two)
            used = all(_USED.search(line) for line in (one, two))
            if all(kinds) and (
                used or [k.strip() for k in kinds[0]] != [k.strip() for k in kinds[1]]
            ):
                return versus(one.strip(), two.strip())
        case _:
            pass
    return None


CAUSE = Cause(
    name="file-system",
    title="the builder's file system is in the artefact, or how it counts sizes",
    mend="do not ask df, du or stat for blocks; sum up the sizes of files (du --apparent-size)",
    explains=_explains,
)
