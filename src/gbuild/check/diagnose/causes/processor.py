"""Which processor the builder had: its name, its speed, what it can do."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference

_BRAND = re.compile(
    r"Intel\(R\)|GenuineIntel|AuthenticAMD|Xeon|Core\(TM\)|EPYC|Ryzen|Opteron|Pentium|Celeron|"
    r"Cortex-[AXRM]\d+|Neoverse|POWER\d+|ThunderX\d?|Ampere|Apple M\d|QEMU Virtual|Common KVM"
)
_MODEL = re.compile(r"CPU @|[GM]Hz\b|[Pp]rocessor|model name|-Core\b")
_NAMED = re.compile(
    r"(?:cpu MHz|bogomips|cpu family|cpu model|stepping|microcode)[\s:=]{1,8}[\d.x]*\Z",
    re.IGNORECASE,
)
_FEATURE = re.compile(
    r"-m(?:arch|tune|cpu)=[\w.+-]+|-m(?:avx|sse|fma|bmi|aes|adx|popcnt)[\w.]*|target-cpu=[\w.-]+|"
    r"\b(?:avx2|avx512[a-z]*|sse4_[12]|ssse3|bmi[12]|adx|popcnt|asimd|sve)\b"
)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.lines()
            if _NAMED.search(change.before) or _brands(one, two) or _features(one, two):
                return versus(one.strip(), two.strip())
        case _:
            pass
    return None


def _brands(one: str, two: str) -> bool:
    """Say whether both lines name a processor, and that is what they differ in."""
    names = _BRAND.findall(one), _BRAND.findall(two)
    return all(names) and (names[0] != names[1] or all(map(_MODEL.search, (one, two))))


def _features(one: str, two: str) -> bool:
    """Say whether both lines name what a processor can do, and not the same."""
    found = set(_FEATURE.findall(one)), set(_FEATURE.findall(two))
    return all(found) and found[0] != found[1]


CAUSE = Cause(
    name="processor",
    title="the processor of the builder is in the artefact, or was built for",
    mend="do not use -march=native, and do not ask /proc/cpuinfo: name the processor that is meant",
    explains=_explains,
)
