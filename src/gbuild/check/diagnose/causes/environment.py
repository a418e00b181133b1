"""Variables of the environment, dumped into the artefact."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, Sure, versus
from gbuild.check.diagnose.differences import ALPHANUMERIC, Change, Difference
from gbuild.check.diagnose.phrases import before

_ASSIGNED = re.compile(
    r"\s*(?:export |declare -x |set |setenv )?[\"']?([A-Z_][A-Z0-9_]+)(?:=|[\"']\s?(?:=>|:)\s?|: )"
)

_LIST = re.compile(r"/[\w.-]+(?:/[\w.-]+)*(?::/[\w.-]+(?:/[\w.-]+)*){2,}")
"""Where programs are looked for: PATH, whatever it is called."""
_LISTED = ALPHANUMERIC + b"/._-:"

_SESSION = tuple(
    frozenset(names.split())
    for names in (
        "sh bash dash zsh ksh mksh fish tcsh csh busybox nologin",
        "xterm xterm-256color linux dumb screen screen-256color tmux tmux-256color vt100 rxvt ansi",
        "vi vim nano emacs ed pico joe nvim mcedit vim.basic vim.tiny sensible-editor",
        "less more most cat sensible-pager",
    )
)
"""Shells, terminals, editors and pagers: a session has one of each."""
_NAMED = re.compile(r"\b(?:shell|term|terminal|tty|editor|visual|pager)(?: \w+)?\Z")

_WELL_KNOWN = re.compile(
    r"\b(?:(?:CONFIG_)?SHELL|TERM|COLORTERM|COLUMNS|LINES|SHLVL|OLDPWD|PATH|MANPATH|EDITOR|VISUAL|PAGER|"
    r"DISPLAY|LS_COLORS|MAIL|CAPTURE_ENVIRONMENT|LD_PRELOAD|SUDO_\w+|DBUS_\w+|WINDOWID|"
    r"FAKEROOTKEY|JENKINS_\w+|GITHUB_\w+|CI_\w+|SSH_[A-Z]+|XDG_[A-Z_]+)"
    r"[\"'\])}\s]{0,3}[=:]\s*[\"']?[^\s\"']{0,80}\Z"
)
"""Variables that every session has, assigned in whatever syntax."""


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.lines()
            if "$" not in one + two and all(map(_LIST.search, change.words(_LISTED))):
                return Sure(versus(one.strip(), two.strip()))
            if _session(change):
                return Sure(versus(one.strip(), two.strip()))
            if _WELL_KNOWN.search(change.before):
                return versus(one.strip(), two.strip())
            if not (one.strip() and two.strip()) and _alone(one or two):
                return Sure(versus(one.strip(), two.strip()))
            return _dumped(change, one, two) if change.dumped else None
        case _:
            pass
    return None


_SESSIONS = 2
_VARIABLE = re.compile(rb"\s*[A-Z_][A-Z0-9_]+=\S*\s*\Z")


def _alone_in_line(change: Change) -> bool:
    return not (change.a and change.b) and bool(_VARIABLE.match(change.a or change.b))


def _session(change: Change) -> bool:
    """Know the shell, the terminal, the editor or the pager of a session by its value."""
    here, there = (word.rpartition("/")[2] for word in change.words(_LISTED))
    known = here != there and any({here, there} <= kind for kind in _SESSION)
    return known and bool(_NAMED.search(before(change, _LISTED)))


_CODE = re.compile(r"[=:]\s*[%$]|\(|\b(?:if|not|and|def|for|while)\b|:\s*\Z")


def _alone(line: str) -> bool:
    return bool(_WELL_KNOWN.search(line.rstrip("/\n \"',"))) and not _CODE.search(line)


def _dumped(change: Change, one: str, two: str) -> str | None:
    """Know any variable of a dump: its value changed, or only one side has it."""
    here, there = _ASSIGNED.match(one), _ASSIGNED.match(two)
    if here and there and here[1] == there[1]:
        if change.dumped < _SESSIONS:
            return None
        inside = change.places()[0] >= here.end() - 1
        return f"{here[1]}: {versus(one.strip(), two.strip())}" if inside else None
    if change.dumped == _SESSIONS and _alone_in_line(change):
        return versus(one.strip(), two.strip())
    if alone := (here or there):
        return (
            f"{alone[1]}: {versus(one.strip(), two.strip())}"
            if not (one.strip() and two.strip())
            else None
        )
    return None


_DUMPED = re.compile(
    r"\b(?:HOME|USER|LOGNAME|PWD|OLDPWD|LANG|LC_\w+|TZ|HOSTNAME|MAIL|SUDO_\w+)[\"'\])}]{0,2}\s*(?:=>|[=:])"
    r"[^=:]*\Z"
)


def _adds(difference: Difference) -> str | None:
    """Know a variable of a whole environment, whatever its value tells."""
    match difference:
        case Change(text=True, dumped=2) as change if _DUMPED.search(change.before):
            one, two = change.lines()
            return versus(one.strip(), two.strip())
        case _:
            return None


CAUSE = Cause(
    name="environment",
    title="variables of the builder's environment are in the artefact",
    mend="do not dump env; write the settings that matter, by name",
    explains=_explains,
    adds=_adds,
)
