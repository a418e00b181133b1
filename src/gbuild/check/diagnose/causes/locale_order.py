"""Names sorted by the rules of a language on one side, by their bytes on the other."""

from __future__ import annotations

from collections.abc import Sequence

from gbuild.check.diagnose.cause import Cause
from gbuild.check.diagnose.differences import Difference, Order


def _letters(name: str) -> tuple[str, str]:
    """Sort as most languages do: case and punctuation matter last."""
    return "".join(c for c in name.casefold() if c.isalnum()), name.swapcase()


def _by_bytes(names: Sequence[str]) -> bool:
    return list(names) == sorted(names, key=lambda name: name.encode("utf-8", "replace"))


def _by_language(names: Sequence[str]) -> bool:
    keys = [_letters(name)[0] for name in names]
    return keys == sorted(keys)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Order(a=a, b=b) if _by_bytes(a) and _by_language(b):
            return f"{len(a)} entries: by bytes / by language"
        case Order(a=a, b=b) if _by_language(a) and _by_bytes(b):
            return f"{len(a)} entries: by language / by bytes"
        case _:
            pass
    return None


CAUSE = Cause(
    name="locale-order",
    title="sorted by the rules of the builder's language",
    mend="LC_ALL=C sort; in the script: export LC_ALL=C.UTF-8",
    explains=_explains,
)
