"""A random name or number: a UUID, a temporary file's name, a token."""

from __future__ import annotations

import math
import re
from collections import Counter

from gbuild.check.diagnose.cause import Cause, Sure, Weak, versus
from gbuild.check.diagnose.differences import ALPHANUMERIC, Change, Difference, Field
from gbuild.check.diagnose.names import in_name
from gbuild.check.diagnose.paths import drawn, paths
from gbuild.check.diagnose.phrases import before

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TEMPORARY = re.compile(r"(?:tmp[._-]?[0-9A-Za-z_]{6,12}|cc[0-9A-Za-z]{6})(?![0-9A-Za-z])")
_RUBY = re.compile(r"\d{8}-\d{1,7}-[0-9a-z]{4,8}(?![0-9a-z])")
"""A temporary file's name by Ruby: the day, the process, a number."""
_SALTED = re.compile(r"\$(?:\d|apr1|2[aby]|y|argon2\w*)\$")
"""A password as crypt(3) hides it, with a salt that is drawn."""
_HEX = re.compile(r"(?:0x)?[0-9A-Fa-f]{16,}\Z")
_TOKEN = re.compile(r"[0-9A-Za-z+/_=-]{12,}\Z")
_DIGESTS = frozenset({32, 40, 56, 64, 96, 128})
_NAMED = re.compile(
    r"(?:(?<![A-Za-z])(?i:uuid|guid|nonce|random|token|salt|boundary)|(?<=[a-z])(?:Uuid|Guid|Nonce|Token|Salt)"
    r"|/ID)(?![A-Za-z])\W{0,12}\w*\W*\Z"
)
_LONG = re.compile(r"\d.{4}|.{4}\d")
_ANCHOR = re.compile(r"(?:\bid=[\"']|href=[\"']#|url\(#)\Z")
_LABEL = re.compile(
    r"[A-Za-z_-]{1,8}\d{10,}\Z|[A-Za-z_-]{0,16}?(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\Z"
)
"""Names of parts of a picture or page, drawn by the program that wrote it."""

_WORD = ALPHANUMERIC + b"-_.+/="
_NAME = ALPHANUMERIC + b"-_.+="
_LETTERS = ALPHANUMERIC + b"-_"
_RICH = 3.0
"""Bits a character: names that people choose have less."""


_SERIAL = re.compile(r"serial(?:[ _-]?number)?\W{1,24}\Z", re.IGNORECASE)
_PAIRS = re.compile(r"(?:[0-9A-Fa-f]{2}:){7,}[0-9A-Fa-f]{2}\Z")
"""The number of a certificate, as openssl writes it; a fingerprint looks the same."""
_DIGEST = re.compile(r"(?:sha\d+|md5|blake\w+)[-:=]", re.IGNORECASE)


_KEY = re.compile(
    r"\b(?:uuid|guid|nonce|random|rand|token|salt|boundary|seed|secret|session|cookie|"
    r"password|passwd|passphrase|unique ?id|uniq ?id|"
    r"random ?id|instance ?id|build ?id|trace ?id|request ?id|run ?id|"
    r"mvid|xmp mm|document ?id|serial|volume (?:id|serial)|hash seed|machine id|invocation id|"
    r"correlation id|run uuid|id|key|iv|dir|prefix|suffix)"
    r"(?: (?:is|was|number|no|value|content|id|s))*\Z"
)
_DRAWN = re.compile(r"(?=.*\d)(?:[0-9a-f]{6,}|[0-9A-F]{6,}|[0-9A-Za-z_-]{8,})\Z")
_CHOSEN = re.compile(
    r"\b(?:uuid|guid|nonce|random\w*|rand|token|salt|boundary|seed|secret|session|cookie|"
    r"password|passwd|passphrase|"
    r"unique id|uniq id|instance id|mvid|serial)\b")  # fmt: skip
_HASHED = re.compile(
    r"(?:hash|digest|sha\d*|md5|commit|revision|checksum|fingerprint|colou?r|fill)\b"
)


def _keyed(change: Change, one: str, two: str) -> bool:
    """Know a drawn word by what it is called, though it is short."""
    words = before(change, _LETTERS)
    chosen = bool(_CHOSEN.search(words))
    if not _KEY.search(words) or (_HASHED.search(words) and not chosen):
        return False
    if one.isdigit() and two.isdigit():
        return chosen and min(len(one), len(two)) >= 5
    drawn_both = all(_DRAWN.match(word) for word in (one, two)) and len(one) == len(two)
    differ = sum(x != y for x, y in zip(one, two, strict=False)) * 2 > len(one)
    small = one.islower() and two.islower() and not chosen and not _hexadecimal(one, two)
    return drawn_both and differ and not small


_LONG_NUMBER = re.compile(r"-?\d{17,20}\Z")


def _drawn_number(one: str, two: str) -> bool:
    """Know two numbers of 64 bits that have little in common, as random() gives them."""
    numbers = all(map(_LONG_NUMBER.match, (one, two)))
    return numbers and one.lstrip("-")[:2] != two.lstrip("-")[:2]


def _hexadecimal(*words: str) -> bool:
    return all(re.fullmatch(r"[0-9a-fA-F]+", word) for word in words)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="elf", name="member name", a=a, b=b):
            return versus(a, b)
        case Field(name="uuid" | "serial" | "hash seed" | "key" as name, a=a, b=b):
            return f"{name} {versus(a, b)}"
        case Change(text=False, program=False, offset=offset) as change if offset >= 0:
            return _in_bytes(change)
        case Change(text=True) as change:
            return _in_text(change)
        case _:
            pass
    return None


def _in_text(change: Change) -> str | None:
    one, two = change.words(_WORD)
    if in_name(one, two):
        return None  # of a file, with the digest of what it holds
    if (at := paths(change)) and (ends := drawn(*at)):
        return Sure(versus(*ends))
    letters = change.words(_LETTERS)
    evidence = versus(*letters)
    names = change.words(_NAME)
    salted = all(map(_SALTED.search, change.lines()))
    if salted or _labels(change) or _serial(change) or _formed((_TEMPORARY, _RUBY), *names):
        return Sure(evidence)
    named = _NAMED.search(change.before) and all(map(_LONG.search, (one, two)))
    known = named or _uuids(*names) or _random(one, two)
    if known or any(_random(*pair) for pair in _parts(one, two)):
        return versus(one, two)
    if _drawn_number(*letters):
        return Weak(evidence)
    return evidence if letters[0] != letters[1] and _keyed(change, *letters) else None


def _uuids(one: str, two: str) -> bool:
    """Say whether both hold a UUID, and not nearly the same."""
    here, there = _UUID.search(one), _UUID.search(two)
    if not (here and there):
        return False
    return sum(x != y for x, y in zip(here[0], there[0], strict=True)) >= _DIFFER


_DIFFER = 5
"""Digits in which two UUIDs differ, at least."""


def _formed(forms: tuple[re.Pattern[str], ...], one: str, two: str) -> bool:
    """Say whether both hold something of a form, and not the same."""
    found = [(form.findall(one), form.findall(two)) for form in forms]
    return any(x and y and x[0] != y[0] for x, y in found)


def _parts(one: str, two: str) -> list[tuple[str, str]]:
    """Return the only parts of two words that differ: foo-1.2-JZx81Kq0mBvA7p."""
    words, others = (re.split(r"[._/-]", word) for word in (one, two))
    if len(words) != len(others) or len(words) < 2:
        return []
    differ = [(x, y) for x, y in zip(words, others, strict=True) if x != y]
    return differ if len(differ) == 1 else []


def _serial(change: Change) -> bool:
    characters = b"0123456789abcdefABCDEF:"
    before = change.left.rstrip(characters).decode("utf-8", "replace")
    pairs = all(_PAIRS.match(word.strip(":")) for word in change.words(characters))
    return pairs and bool(_SERIAL.search(before))


def _labels(change: Change) -> bool:
    one, two = change.words(_LETTERS)
    before = change.left.rstrip(_LETTERS).decode("utf-8", "replace")
    drawn_both = bool(_LABEL.match(one) and _LABEL.match(two)) and len(one) == len(two)
    return drawn_both and bool(_ANCHOR.search(before))


def _random(one: str, two: str) -> bool:
    """Say whether two words of one length look drawn; a digest's length is no random one's."""
    if len(one) != len(two) or one.startswith("0x") or _DIGEST.match(one):
        return False
    if sum(x != y for x, y in zip(one, two, strict=True)) * 2 < len(one.rpartition("=")[2]):
        return False  # what was drawn differs nearly everywhere
    if _HEX.match(one) and _HEX.match(two):
        return len(one) not in _DIGESTS and not (one.isdigit() and two.isdigit())
    one, two = (word.rstrip("=").rpartition("=")[2] for word in (one, two))
    return all(
        _TOKEN.match(word)
        and _richness(word) >= _RICH
        and any(c.isdigit() for c in word)
        and any(c.isupper() for c in word)
        and any(c.islower() for c in word)
        for word in (one, two)
    )


def _in_bytes(change: Change) -> str | None:
    """Look for sixteen bytes that RFC 9562 would call a random UUID on both sides."""
    at = len(change.left)
    sides = (change.left + change.a + change.right, change.left_b + change.b + change.right_b)
    if not 8 < len(change.a) <= 16 or len(change.a) != len(change.b):
        return None
    for start in range(max(0, at + len(change.a) - 16), at + 1):
        one, two = (side[start : start + 16] for side in sides)
        if all(len(x) == 16 and x[6] >> 4 == 4 and x[8] >> 6 == 2 for x in (one, two)):
            return versus(one.hex(), two.hex())
    return None


def _richness(word: str) -> float:
    """Return the Shannon entropy of the word's characters in bits."""
    counts = Counter(word).values()
    return -sum(n / len(word) * math.log2(n / len(word)) for n in counts)


CAUSE = Cause(
    name="random-identifier",
    title="a random name or number is in the artefact",
    mend="derive it from the content, or from a fixed seed (uuid5 in place of uuid4)",
    explains=_explains,
)
