"""A random name or number: a UUID, a temporary file's name, a token."""

from __future__ import annotations

import math
import re
from collections import Counter

from gbuild.check.diagnose.cause import Cause, versus
from gbuild.check.diagnose.differences import Change, Difference, Field
from gbuild.check.diagnose.paths import drawn, paths

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TEMPORARY = re.compile(r"(?:tmp[._-]?[0-9A-Za-z_]{6,12}|cc[0-9A-Za-z]{6})(?![0-9A-Za-z])")
_HEX = re.compile(r"(?:0x)?[0-9A-Fa-f]{16,}\Z")
_TOKEN = re.compile(r"[0-9A-Za-z+/_=-]{12,}\Z")
_DIGESTS = frozenset({32, 40, 56, 64, 96, 128})
_NAMED = re.compile(
    r"(?:(?<![A-Za-z])(?i:uuid|guid|nonce|random|token|salt|boundary)|(?<=[a-z])(?:Uuid|Guid|Nonce|Token|Salt)"
    r"|/ID)(?![A-Za-z])\W{0,6}\w*\W*\Z"
)
_ANCHOR = re.compile(r"(?:\bid=[\"']|href=[\"']#|url\(#)\Z")
_LABEL = re.compile(
    r"[A-Za-z_-]{1,8}\d{10,}\Z|[A-Za-z_-]{0,8}?(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\Z"
)
"""Names of parts of a picture or page, drawn by the program that wrote it."""

_WORD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.+/="
_LETTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
_RICH = 3.0
"""Bits a character: names that people choose have less."""


_SERIAL = re.compile(r"serial(?:[ _-]?number)?\W{1,24}\Z", re.IGNORECASE)
_PAIRS = re.compile(r"(?:[0-9A-Fa-f]{2}:){7,}[0-9A-Fa-f]{2}\Z")
"""The number of a certificate, as openssl writes it; a fingerprint looks the same."""
_DIGEST = re.compile(r"(?:sha\d+|md5|blake\w+)[-:=]", re.IGNORECASE)


def _explains(difference: Difference) -> str | None:
    match difference:
        case Field(kind="elf", name="member name", a=a, b=b):
            return versus(a, b)
        case Change(text=True) as change:
            one, two = change.words(_WORD)
            for form in (_UUID, _TEMPORARY):
                found = form.findall(one), form.findall(two)
                if all(found) and found[0] != found[1]:
                    return versus(one, two)
            if (at := paths(change)) and (ends := drawn(*at)):
                return versus(*ends)
            if (
                _random(one, two)
                or _labels(change)
                or _serial(change)
                or (_NAMED.search(change.before) and one and two)
            ):
                return versus(one, two)
        case _:
            pass
    return None


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
