"""What gpg writes for machines: status lines and colon listings, as values.

Formats: GnuPG's doc/DETAILS, sections "Format of the colon listings" and "--status-fd output".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from gbuild.model.verdict import Signature, Status

_PREFIX = "[GNUPG:] "
_VERDICTS: Mapping[str, Status] = {
    "GOODSIG": Status.GOOD,
    "EXPSIG": Status.EXPIRED_SIGNATURE,
    "EXPKEYSIG": Status.EXPIRED_KEY,
    "REVKEYSIG": Status.REVOKED_KEY,
    "BADSIG": Status.BAD,
}
_ALGORITHMS: Mapping[str, str] = {"1": "RSA", "3": "RSA", "17": "DSA", "19": "ECDSA", "22": "EdDSA"}
_DIGESTS: Mapping[str, str] = {
    "1": "MD5",
    "2": "SHA1",
    "3": "RIPEMD160",
    "8": "SHA256",
    "9": "SHA384",
    "10": "SHA512",
    "11": "SHA224",
}
_WEAK_DIGESTS = frozenset({"MD5", "SHA1", "RIPEMD160"})
_SHORTEST = {"RSA": 2048, "DSA": 2048}
"""Bits below which a key of that kind is called weak."""

_NO_PUBLIC_KEY = "9"
_BAD_DIGEST = "5"
_STUB = "#"
_SERIAL = 14
"""Field 15 of a listing: ``#`` without the secret key, ``+`` with it, or a card's number."""
_FIELDS = 21
_VALIDSIG_FIELDS = 10
_FINGERPRINT = re.compile(r"[0-9A-F]{40}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key or subkey of a listing.

    ``fingerprint`` is its own, ``primary`` that of the key it belongs to. ``validity`` is gpg's
    letter (``r`` revoked, ``e`` expired, ``i`` invalid, ``d``/``n`` not usable), ``expires`` in
    seconds since the epoch. ``secret`` says whether the secret part can be used (on a card too).
    ``revocation`` is why it was revoked, in words; no listing tells it.
    """

    fingerprint: str
    primary: str
    validity: str
    algorithm: str
    bits: int
    capabilities: str
    user_ids: tuple[str, ...] = ()
    expires: int | None = None
    secret: bool = False
    revocation: str | None = None

    @property
    def weakness(self) -> str | None:
        """``DSA-1024`` and the like, when the key itself is too short."""
        if self.bits < _SHORTEST.get(self.algorithm, 0):
            return f"{self.algorithm}-{self.bits}"
        return None


def read_keys(listing: str) -> tuple[Key, ...]:
    """Read ``gpg --with-colons --list-keys`` or ``--list-secret-keys``, subkeys included."""
    blocks = _blocks(listing.split("\n"))  # splitlines() would split inside user ids too
    primaries = [key for block in blocks if (key := _key(block)) is not None]
    return (*primaries, *(key for block in blocks for key in _subkeys(block)))


def _blocks(lines: Iterable[str]) -> list[list[list[str]]]:
    """Split a listing into the records of one primary key each."""
    blocks: list[list[list[str]]] = []
    for line in lines:
        fields = line.split(":")
        fields += [""] * (_FIELDS - len(fields))
        if fields[0] in ("pub", "sec"):
            blocks.append([])
        if blocks:
            blocks[-1].append(fields)
    return blocks


def _key(block: list[list[str]]) -> Key | None:
    fingerprint = _fingerprint_after(block, 0)
    if fingerprint is None:
        return None
    user_ids = tuple(_unescape_colons(fields[9]) for fields in block if fields[0] == "uid")
    return _record(block[0], fingerprint, fingerprint, user_ids)


def _subkeys(block: list[list[str]]) -> list[Key]:
    primary = _fingerprint_after(block, 0)
    found = []
    for index, fields in enumerate(block):
        own = _fingerprint_after(block, index) if fields[0] in ("sub", "ssb") else None
        if own is not None and primary is not None:
            found.append(_record(fields, own, primary, ()))
    return found


def _fingerprint_after(block: list[list[str]], index: int) -> str | None:
    for fields in block[index + 1 :]:
        if fields[0] == "fpr":
            return fields[9]
        if fields[0] in ("sub", "ssb", "uid"):
            return None
    return None


def _record(fields: list[str], own: str, primary: str, user_ids: tuple[str, ...]) -> Key:
    return Key(
        fingerprint=own,
        primary=primary,
        validity=fields[1] or "-",
        algorithm=_ALGORITHMS.get(fields[3], fields[3]),
        bits=int(fields[2]) if fields[2].isdecimal() else 0,
        capabilities=fields[11],
        user_ids=user_ids,
        expires=_seconds(fields[6]),
        secret=fields[0] in ("sec", "ssb") and fields[_SERIAL] != _STUB,
    )


def _unescape_colons(text: str) -> str:
    r"""Undo the ``\x3a`` escapes of a colon listing (bytes, UTF-8)."""
    raw = re.sub(
        rb"\\x([0-9a-fA-F]{2})",
        lambda match: bytes([int(match[1], 16)]),
        text.encode("utf-8", "surrogateescape"),
    )
    return raw.decode("utf-8", "replace")


def read_signatures(lines: Iterable[str], keys: Mapping[str, Key]) -> tuple[Signature, ...]:
    """Turn the status lines of one ``gpg --verify`` into one value per signature.

    Args:
        lines: what gpg wrote on its status descriptor.
        keys: all keys and subkeys of the keyring by fingerprint. gpg names an expired key as
            expired even when it was revoked: the listing decides.
    """
    groups: list[list[list[str]]] = []
    for line in lines:
        words = line.removeprefix(_PREFIX).split(" ")
        if words[0] == "NEWSIG":
            groups.append([])
        elif groups and line.startswith(_PREFIX):
            groups[-1].append(words)
    return tuple(_signature(group, keys) for group in groups)


def is_one_message(lines: Iterable[str]) -> bool:
    """Say whether gpg read one signed message and nothing beside it."""
    words = [line.removeprefix(_PREFIX).split(" ")[0] for line in lines]
    refused = {"NODATA", "UNEXPECTED", "ERROR", "BADARMOR", "BEGIN_DECRYPTION", "DECRYPTION_FAILED"}
    return words.count("PLAINTEXT") == 1 and not refused & set(words)


_SETTLED = frozenset({"GOODSIG", "EXPKEYSIG", "EXPSIG", "REVKEYSIG"})
_EXPECTED = _SETTLED | {
    "VALIDSIG",
    "ERRSIG",
    "NO_PUBKEY",
    "NEWSIG",
    "SIG_ID",
    "KEY_CONSIDERED",
    "KEYEXPIRED",
    "KEYREVOKED",
    "SIGEXPIRED",
    "NOTATION_NAME",
    "NOTATION_FLAGS",
    "NOTATION_DATA",
    "POLICY_URL",
}
"""What gpg says of a signature that it could check, or whose key it does not have."""


def by_file(lines: Iterable[str]) -> Mapping[str, tuple[str, ...] | None]:
    """Split the status lines of ``gpg --verify-files`` by file.

    A file on which gpg gave up, or that was named twice, has None; those that it never began
    are not there.
    """
    found: dict[str, tuple[str, ...] | None] = {}
    name, own = None, list[str]()
    for line in lines:
        keyword, _, rest = line.removeprefix(_PREFIX).partition(" ")
        if keyword == "FILE_START":
            name, own = rest.removeprefix("1 "), []
            if name in found:  # never by us
                return {}
            found[name] = None
        elif keyword == "FILE_DONE" and name is not None:
            found[name] = tuple(own)
            name = None
        else:
            own.append(line)
    return found


def is_settled(lines: Sequence[str]) -> bool:
    """Say whether these lines of a batch tell of one signature and leave nothing open.

    Anything else, a bad signature too, is worth a gpg of its own.
    """
    words = [line.removeprefix(_PREFIX).split(" ") for line in lines if line]
    keywords = [each[0] for each in words]
    if any(not line.startswith(_PREFIX) for line in lines if line) or set(keywords) - _EXPECTED:
        return False
    verdicts = sum(keyword in _SETTLED for keyword in keywords)
    if keywords.count("NEWSIG") != 1 or verdicts + keywords.count("ERRSIG") != 1:
        return False
    if verdicts:
        return keywords.count("VALIDSIG") == 1 and "NO_PUBKEY" not in keywords
    (error,) = (each for each in words if each[0] == "ERRSIG")
    return "NO_PUBKEY" in keywords and error[6:7] == [_NO_PUBLIC_KEY]


def _signature(group: Sequence[Sequence[str]], keys: Mapping[str, Key]) -> Signature:
    facts = {words[0]: words[1:] for words in group}
    for keyword, status in _VERDICTS.items():
        if keyword in facts:
            return _known(status, facts[keyword], facts.get("VALIDSIG"), keys)
    if "ERRSIG" in facts:
        return _unchecked(facts["ERRSIG"])
    return Signature(status=Status.UNREADABLE, detail="gpg could not check the signature")


def _known(
    status: Status, named: Sequence[str], valid: Sequence[str] | None, keys: Mapping[str, Key]
) -> Signature:
    """A signature whose key is in the keyring: ``named`` is key id and user id, escaped."""
    user_id = _unescape_status(" ".join(named[1:]))
    if valid is None or len(valid) < _VALIDSIG_FIELDS:
        unsure = status if status is Status.BAD else Status.UNREADABLE
        return Signature(status=unsure, key_id=named[0] if named else None, user_id=user_id)
    own, primary = valid[0], valid[_VALIDSIG_FIELDS - 1]
    digest = _DIGESTS.get(valid[7], valid[7])
    involved = [keys[each] for each in (own, primary) if each in keys]
    return Signature(
        status=_with_revocation(status, involved),
        fingerprint=primary,
        key_id=own,
        user_id=user_id,
        created=_seconds(valid[2]),
        key_expires=min((key.expires for key in involved if key.expires), default=None),
        digest=digest,
        algorithm=_ALGORITHMS.get(valid[6], valid[6]),
        weaknesses=_weaknesses(digest, keys.get(own)),
        revocation=next((each.revocation for each in involved if each.revocation), None),
    )


def _with_revocation(status: Status, involved: Sequence[Key]) -> Status:
    revoked = any(key.validity == "r" for key in involved)
    return Status.REVOKED_KEY if revoked and status is not Status.BAD else status


def _weaknesses(digest: str, key: Key | None) -> tuple[str, ...]:
    found = [digest] if digest in _WEAK_DIGESTS else []
    if key is not None and key.weakness:
        found.append(key.weakness)
    return tuple(found)


def _unchecked(fields: Sequence[str]) -> Signature:
    """ERRSIG: key id, public key algorithm, digest, class, time, reason, fingerprint."""
    padded = [*fields, *[""] * 7][:7]
    key_id, algorithm, digest, _, created, reason, fingerprint = padded
    word = _DIGESTS.get(digest, digest)
    status = Status.UNREADABLE
    if reason == _NO_PUBLIC_KEY:
        status = Status.UNKNOWN_KEY
    elif reason == _BAD_DIGEST and word in _WEAK_DIGESTS:
        status = Status.WEAK
    return Signature(
        status=status,
        key_id=fingerprint if _FINGERPRINT.match(fingerprint) else key_id,
        created=_seconds(created),
        digest=word,
        algorithm=_ALGORITHMS.get(algorithm, algorithm),
        weaknesses=(word,) if word in _WEAK_DIGESTS else (),
        detail=None if status is Status.UNKNOWN_KEY else f"gpg refused it (reason {reason})",
    )


def _unescape_status(text: str) -> str:
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")


def _seconds(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def speaks_for_all(signatures: Sequence[Signature]) -> Signature:
    """Choose the signature that stands for a file with several.

    One bad signature makes the file bad. Otherwise the best one speaks: a file signed by a known
    and an unknown key is as good as its known key.
    """
    if not signatures:
        return Signature(status=Status.UNREADABLE, detail="gpg found no signature")
    bad = next((each for each in signatures if each.status is Status.BAD), None)
    order = list(Status)
    return bad or max(signatures, key=lambda each: (order.index(each.status), not each.weaknesses))
