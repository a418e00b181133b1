"""The name of the machine that built."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, Sure, Weak, versus
from gbuild.check.diagnose.differences import NAME, Change, Difference, Field
from gbuild.check.diagnose.months import DAYS, month_of
from gbuild.check.diagnose.phrases import before

_FILLER = r"(?: (?:is|was|name|value|content|string|as|the|s|c|of))*\Z"
_SURE = re.compile(
    r"(?:\b(?:host ?names?|build ?host|node ?name|fqdn|uname n|computer ?name|machine ?name|"
    r"dns ?domain ?name|utsname nodename|"
    r"(?:build|built|builder|compiled?|compiler|linux compile|local|my|this|config|uts|package|"
    r"packaging|generation|creation|vcs|ci|kbuild build|make|submit|run|test)"
    r" (?:host|machine|node|box|server|computer|system|worker|runner|slave|agent)|"
    r"(?:by|on|the) (?:host|machine|node|computer)|"
    r"(?:built|compiled|build|generated|created|configured|made|packaged|linked|assembled|run|ran|"
    r"running|executed|produced|prepared|performed|rendered|tested|installed)"
    r"(?: by(?: [\w.-]+){1,3})? (?:on|at)(?: (?:the )?(?:host|machine|node|system|computer))?|"
    r"(?:by|builder|user|packager)(?: [\w.-]+){1,2} (?:on|at)|"
    r"built(?: \w+){1,8} on|on (?:host|machine|node))|\Ahost|\Anode|\Amachine)" + _FILLER
)
_PERHAPS = re.compile(r"\b(?:host|machine|node|computer|domain|site|builder|worker)" + _FILLER)
_ELSEWHERE = re.compile(
    r"\b(?:db|database|proxy|smtp|imap|redis|url|api|mail|listen|upstream|remote|target|cluster|"
    r"mysql|postgres|sql|server|virtual|bind|connect|ldap|ntp|dns|backend|allowed|port|http|https)\b"
)
"""Words of machines that a program talks to."""
_GIVEN = re.compile(r"[:=>\"'|\t]\s*\Z|\A\W{0,4}\w{1,10}\s+\Z")
"""What stands between a name and its value."""
_ON = re.compile(r"\b(?!based|depend|used|locat)\w{3,}(?:ed|ilt|ran|run|ade) (?:on|at)\Z")
_OWN = re.compile(r"\b(?:uname n|hostname|host name|node ?name)\Z")
"""What a machine calls itself."""
_AT = re.compile(r"[\w.+-]@\Z")
_UNAME = re.compile(r"\b(?:Linux|linux) \Z")
_RELEASE = re.compile(rb" \d+\.\d+\.\d")
"""What uname(1) writes before and after the name of the machine."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\Z")
_PUBLIC = re.compile(r"\.(?:com|org|net|edu|gov|io|dev|info|eu|[a-z]{2})\Z")
_NO_HOST = re.compile(
    r"(?:linux|unix|windows|debian|ubuntu|fedora|x86_64|i[3-6]86|amd64|arm64|aarch64|gnu|none|"
    r"null|yes|no|true|false|all|any|enabled|disabled|darwin|freebsd|localhost\.localdomain\.)"
    r"(?:[-_.].*)?\Z|v?\d+(?:\.\d+)*\Z", re.IGNORECASE)  # fmt: skip


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="rpm", name="build host", a=a, b=b):
            return versus(a, b)
        case Change(text=True) as change:
            one, two = (word.strip(".-") for word in change.words(NAME))
            return _named(change, one, two) if one != two else None
        case _:
            pass
    return None


def _named(change: Change, one: str, two: str) -> str | None:
    """Say what the words before two names make of them."""
    left = change.left.rstrip(NAME).decode("utf-8", "replace")
    if not all(map(_is_name, (one, two))) or left.endswith(("/", "\\")):
        return None
    known = _UNAME.search(left) and _before_release(change)
    mail = _AT.search(left) and all(_PUBLIC.search(word) for word in (one, two))
    words = before(change, NAME)
    platforms = [bool(_NO_HOST.match(word)) for word in (one, two)]
    if known or _OWN.search(words):
        return None if all(platforms) and not known else Sure(versus(one, two))
    if _AT.search(left) and not any("." in word for word in (one, two)):
        return Sure(versus(one, two))  # nobody writes an address without a domain
    if (_AT.search(left) and not mail) or (_SURE.search(words) and not all(platforms)):
        return versus(one, two)
    on = _ON.search(words) and all(any(c in "-0123456789" for c in w) for w in (one, two))
    perhaps = on or (
        _GIVEN.search(left) and _PERHAPS.search(words) and not _ELSEWHERE.search(words)
    )
    return Weak(versus(one, two)) if perhaps and not mail and not any(platforms) else None


def _is_name(word: str) -> bool:
    calendar = word.casefold() in DAYS or bool(month_of(word))
    return bool(_NAME.match(word)) and not word.isdigit() and not calendar


def _before_release(change: Change) -> bool:
    return all(_RELEASE.match(s.lstrip(NAME)) for s in (change.right, change.right_b))


CAUSE = Cause(
    name="hostname",
    title="the name of the machine is in the artefact",
    mend="leave it out, or set it: HOSTNAME, KBUILD_BUILD_HOST, --host of configure",
    explains=_explains,
)
