"""Variables of the environment, dumped into the artefact."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_ASSIGNED = re.compile(r"(?:\A|[\s\"'{(;,])([A-Z_][A-Z0-9_]{2,})\s*(?:=|['\"]?:\s)")


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True, a=a, b=b) as change:
            one, two = change.lines()
            names = _ASSIGNED.findall(one) or _ASSIGNED.findall(two)
            new = [_ASSIGNED.search(side.decode("utf-8", "replace")) for side in (a, b)]
            if names and (not (a and b) or any(new) or one.lstrip("\"' ").startswith(names[0])):
                return f"{names[0]}: {versus(one.strip(), two.strip())}"
        case _:
            pass
    return None


CAUSE = Cause(
    name="environment",
    title="variables of the builder's environment are in the artefact",
    mend="do not dump env; write the settings that matter, by name",
    explains=_explains,
)
