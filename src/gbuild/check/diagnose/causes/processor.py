"""Which processor the builder had: its name, its speed, what it can do."""

from __future__ import annotations

import re

from gbuild.check.diagnose.cause import Cause, Sure, Weak, versus
from gbuild.check.diagnose.differences import NAME, Change, Difference
from gbuild.check.diagnose.phrases import before

_BRAND = re.compile(
    r"Intel\(R\)|GenuineIntel|AuthenticAMD|Xeon|Core\(TM\)|EPYC|Ryzen|Opteron|Pentium|Celeron|"
    r"Cortex-[AXRM]\d+|Neoverse|POWER\d+|ThunderX\d?|Ampere|Apple M\d|QEMU Virtual|Common KVM"
)
_MODEL = re.compile(r"CPU @|[GM]Hz\b|[Pp]rocessor|model name|-Core\b")
_NAMED = re.compile(
    r"\b(?:cpu ?m?hz|bogo ?mips|cpu (?:family|model|type|name|features|flags|vendor|arch|freq\w*|"
    r"speed|brand|id|target|info|cap\w*|implementer|part|variant|revision)|stepping|microcode|"
    r"model name|vendor id|(?:host|target|build|native|detected|tune|tuned|optimi[sz]ed) (?:for )?"
    r"(?:cpu|processor)|"
    r"processor (?:name|type|model|id|brand)|march|mtune|mcpu|target cpu|cpu core|simd|"
    r"openblas corename|corename|libcore|blas core|micro ?arch(?:itecture)?|instruction set|"
    r"l[123] ?[di]? ?(?:cache|size)(?: size)?|cpu cache size|cpuid|dynamic core)"
    r"(?: (?:is|was|for|name|string|value|model|content))*\Z"
)
_CODENAME = re.compile(
    r"(?:\w+_)??(?:(?:(?:sky|cascade|cooper|ice|tiger|rocket|alder|raptor|meteor|cannon|comet|kaby|coffee)-?lake"
    r"(?:[-_]?\w+)?)|skylakex|(?:sandy|ivy)-?bridge|haswell|broadwell|nehalem|westmere|penryn|core2|"
    r"corei7(?:-avx\w*)?|"
    r"(?:goldmont|silvermont|tremont|bonnell|atom|knl|knm|sapphirerapids|graniterapids)|znver\d|"
    r"zen\d?|barcelona|bulldozer|piledriver|steamroller|excavator|bdver\d|btver\d|amdfam10|k8(?:-sse3)?|"
    r"athlon\w*|opteron\w*|x86[-_]64(?:-v\d)?|cortex-?[axrm]\d+\w*|neoverse-?\w+|thunderx\w*|"
    r"power\d+|armv\d\S*|generic|native|prescott|nocona|dunnington|pentium\w*|epyc|apple-m\d)\Z",
    re.IGNORECASE,
)
_FEATURE = re.compile(
    r"-m(?:arch|tune|cpu)=[\w.+-]+|-m(?:avx|sse|fma|bmi|aes|adx|popcnt)[\w.]*|target-cpu=[\w.-]+|"
    r"\b(?:avx|avx2|avx512[a-z]*|avx_vnni|sse[23]?|sse4_[12]|sse4\.[12]|sse4a|ssse3|bmi[12]|adx|popcnt|asimd|"
    r"sve|fma[34]?|f16c|aes|pclmulqdq|rdrand|rdseed|sha_ni|neon|altivec|vsx|xop|3dnow|mmx)\b",
    re.IGNORECASE,
)
_OWN = re.compile(r"\(R\)|\(TM\)|\(tm\)|GenuineIntel|AuthenticAMD|EPYC|Ryzen|Xeon|CPU @|-Core")
"""What a processor says of itself."""
_CPUINFO = re.compile(
    r"\s*(?:cpu cores|siblings|model|model name|cpu family|stepping|microcode|cache size|bogomips|"
    r"cpu MHz|vendor_id|flags|bugs|core id|apicid|clflush size|address sizes)\s*: ",
    re.IGNORECASE,
)
"""A line of /proc/cpuinfo."""
_FEW = 1
"""Features of a line that may be named by chance."""
_HAS = re.compile(
    r"#\s*define \w*(?:HAVE|HAS|USE)_"
    r"(?:SSE|AVX|FMA|BMI|MMX|NEON|SVE|ASIMD|VSX|F16C|POPCNT)\w*\s*\d?\s*\Z"
)
"""A line that says what a processor can do."""
_LIST = re.compile(r"flags|features|cpu|simd|isa|have|support|enabled|instruction", re.IGNORECASE)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Change(text=True) as change:
            one, two = change.lines()
            evidence = versus(one.strip(), two.strip())
            if _brands(one, two):
                return Sure(evidence) if all(map(_OWN.search, (one, two))) else evidence
            if _features(one, two) or _switched(one, two) or _cpuinfo(one, two):
                return Sure(evidence)
            here, there = change.words(NAME)
            known = _NAMED.search(before(change, NAME))
            if here != there and _CODENAME.match(here) and _CODENAME.match(there):
                return (Sure if known else Weak)(versus(here, there))
            if known and here and there and not (here.isdigit() and known[0] == "cpu"):
                return evidence
            return _said_once(one.strip(), two.strip())
        case _:
            pass
    return None


def _cpuinfo(one: str, two: str) -> bool:
    return bool(_CPUINFO.match(one) and _CPUINFO.match(two))


def _said_once(one: str, two: str) -> str | None:
    """Know a line of one side only, that says what a processor can do."""
    alone = not (one and two) and _HAS.match(one + two)
    return Weak(versus(one, two)) if alone else None


def _brands(one: str, two: str) -> bool:
    """Say whether both lines name a processor, and that is what they differ in."""
    names = _BRAND.findall(one), _BRAND.findall(two)
    return all(names) and (names[0] != names[1] or all(map(_MODEL.search, (one, two))))


def _switched(one: str, two: str) -> bool:
    """Say whether a header has what a processor can do on one side only."""
    both = _FEATURE.search(one.replace("_", " ")) and _FEATURE.search(two.replace("_", " "))
    return bool(both) and ("undef" in one) != ("undef" in two)


def _features(one: str, two: str) -> bool:
    """Say whether both lines name what a processor can do, and not the same."""
    found = set(_FEATURE.findall(one)), set(_FEATURE.findall(two))
    several = any(len(each) > _FEW or any(f[:1] == "-" or "=" in f for f in each) for each in found)
    if found[0] == found[1]:
        return False
    listed = any(len(each) > _FEW for each in found) and _LIST.search(one)
    return bool(all(found) and several) or bool(listed)


CAUSE = Cause(
    name="processor",
    title="the processor of the builder is in the artefact, or was built for",
    mend="do not use -march=native, and do not ask /proc/cpuinfo: name the processor that is meant",
    explains=_explains,
)
