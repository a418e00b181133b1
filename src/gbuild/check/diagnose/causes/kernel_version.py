"""The version of the kernel that ran the build."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, Sure, versus
from gbuild.check.diagnose.differences import ALPHANUMERIC, Change, Difference

_VERSION = re.compile(r"\d+\.\d+(?:\.\d+)*(?:[-+.~_][0-9A-Za-z.+~_-]+)?\Z")
_RELEASE = re.compile(
    r"[2-9]\.\d+\.\d+(?:\.\d+)?-(?:[\w.~]+-)*(?:amd64|generic|lowlatency|cloud|arch\d*|lts|rt\d*|"
    r"[a-z]+64|686(?:-pae)?|default|hardened|zen\d*|pve|microsoft|WSL2|gentoo|azure|aws|gcp|kvm|"
    r"oem|raspi|v\d|\d+(?:\.fc\d+|\.el\d+)[\w.]*)(?:[-.+]\w+)*\Z|"
    r"[2-9]\.\d+\.\d+-\d+(?:\.\d+)*\.(?:fc|el)\d+[\w.]*\Z"
)
_NAMED = re.compile(
    r"linux|kernel(?!s)|uname|utsname|os ?release|osvers|os_release|os[._ ]?version|\bkver|"
    r"CMAKE_(?:HOST_)?SYSTEM|host_?system|platform",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"linux-(?:headers|libc)|compiler|\bgcc|needs|require|depends|>=|<=|version of|"
    r"support|since|introduced|minimum|newer|older|later|earlier|or higher|at least|before|"
    r"works|tested with|up to",
    re.IGNORECASE,
)
_BUILT = re.compile(r"(?:uname|\blinux ).*#\d+\S* SMP|#\d+\S*(?:-\w+)? SMP", re.IGNORECASE)
"""A line with the field "version" of utsname: how the kernel was built."""

_WORD = ALPHANUMERIC + b".+~_-"
_PLATFORM = re.compile(r"[2-9]\.\d+\.\d+[\w.+-]*-with-(?:glibc|musl)")
"""The end of what Python's platform.platform() says."""
_PREFIX = re.compile(r"\A(?:linux|kernel)[-_]?", re.IGNORECASE)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = (_PREFIX.sub("", word).rstrip(".") for word in change.words(_WORD))
            if one != two and (found := _versions(change, one, two)):
                return found
            lines = change.lines()
            after = "#" in change.before.rpartition("\n")[2]
            if after and all(_BUILT.search(line) for line in lines) and _uname(lines[0]):
                return Sure(versus(*lines))
        case _:
            pass
    return None


def _uname(line: str) -> bool:
    """Say whether a line is about the kernel that runs, not about one that was built."""
    return not re.search(r"Linux version|UTS_VERSION", line)


def _versions(change: Change, one: str, two: str) -> str | None:
    if _RELEASE.match(one) and _RELEASE.match(two):
        return Sure(versus(one, two))
    line = change.lines()[0]
    if "uname" in line and _VERSION.match(one) and _VERSION.match(two):
        return Sure(versus(one, two))
    named = _NAMED.search(line) and not _OTHER.search(line)
    if named and _VERSION.match(one) and _VERSION.match(two):
        return versus(one, two)
    return versus(one, two) if _PLATFORM.match(one) and _PLATFORM.match(two) else None


CAUSE = Cause(
    name="kernel-version",
    title="the version of the running kernel is in the artefact",
    mend="do not ask uname; name the platform, not the machine",
    explains=_explains,
)
