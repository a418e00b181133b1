"""Variables of the environment, dumped into the artefact."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_ASSIGNED = re.compile(r"(?:\A|[\s\"'{(;,])([A-Z_][A-Z0-9_]+)\s*(?:=|['\"]?:\s)")

_LIST = re.compile(r"/[\w.-]+(?:/[\w.-]+)*(?::/[\w.-]+(?:/[\w.-]+)*){2,}")
"""Where programs are looked for: PATH, whatever it is called."""
_LISTED = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz/._-:"

_WELL_KNOWN = re.compile(
    r"\b(?:(?:CONFIG_)?SHELL|TERM|COLORTERM|COLUMNS|LINES|SHLVL|OLDPWD|PATH|MANPATH|EDITOR|VISUAL|PAGER|"
    r"DISPLAY|LS_COLORS|MAIL|CAPTURE_ENVIRONMENT|LD_PRELOAD|SUDO_\w+|DBUS_\w+|WINDOWID|"
    r"FAKEROOTKEY|JENKINS_\w+|GITHUB_\w+|CI_\w+|SSH_[A-Z]+|XDG_[A-Z_]+)"
    r"[\"'\])}\s]{0,3}[=:]\s*[\"']?[^\s\"']{0,80}\Z"
)
"""Variables that every session has, assigned in whatever syntax."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True, a=a, b=b) as change:
            one, two = change.lines()
            if all(map(_LIST.search, change.words(_LISTED))):
                return versus(one.strip(), two.strip())
            if _WELL_KNOWN.search(change.before):
                return versus(one.strip(), two.strip())
            names = _ASSIGNED.findall(one) or _ASSIGNED.findall(two)
            new = [_ASSIGNED.search(side.decode("utf-8", "replace")) for side in (a, b)]
            if (
                change.dumped
                and names
                and (not (a and b) or any(new) or one.lstrip("\"' ").startswith(names[0]))
            ):
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
