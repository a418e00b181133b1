"""Which secret key the person means: pure, and never a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gbuild.errors import SigningKeyFailure
from gbuild.formats.gpgstatus import Key

_HEX = re.compile(r"(?:0[xX])?((?:[0-9A-Fa-f]{8}){1,5})!?")
_ADDRESS = re.compile(r"<([^<>]+@[^<>]+)>\s*\Z")
_NAME = re.compile(r"\s*(?:\([^()]*\)\s*)?(?:<[^<>]*>\s*)?\Z")
_SHOWN = 10
_FAULTS = {
    "r": "revoked",
    "e": "expired",
    "d": "disabled",
    "i": "invalid",
    "n": "not valid",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen key: its primary record and what gpg is told to sign with."""

    key: Key
    local_user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Certificate:
    """A primary key with its subkeys."""

    primary: Key
    subkeys: tuple[Key, ...]

    @property
    def parts(self) -> tuple[Key, ...]:
        return (self.primary, *self.subkeys)


def choose(wanted: str, secret: Sequence[Key], public: Sequence[Key]) -> Choice:
    """Find the one key that can sign and that ``wanted`` names.

    Args:
        wanted: a fingerprint, a key id, an e-mail address or a name.
        secret: the person's secret keys and subkeys.
        public: their public keys, for a better error.

    Raises:
        SigningKeyFailure: there is none, or more than one; details list the candidates.
    """
    certificates = _certificates(secret)
    named = [each for each in certificates if _names(wanted, each)]
    usable = [each for each in named if _fault(each) is None]
    if len(usable) == 1:
        return _choice(wanted, usable[0])
    if usable:
        raise SigningKeyFailure(
            f"{wanted} names {len(usable)} keys that can sign",
            details=_described(usable),
            hint="name the key by its fingerprint",
        )
    if named:
        raise SigningKeyFailure(f"{wanted} cannot sign", details=_described(named))
    raise _nobody(wanted, certificates, public)


def _nobody(
    wanted: str, certificates: Sequence[_Certificate], public: Sequence[Key]
) -> SigningKeyFailure:
    others = [each for each in _certificates(public) if _names(wanted, each)]
    if others:
        return SigningKeyFailure(
            f"the secret key of {wanted} is not in your keyring, only its public key",
            details=tuple(_line(each) for each in others[:_SHOWN]),
        )
    able = [each for each in certificates if _fault(each) is None]
    return SigningKeyFailure(
        f"no secret key for {wanted}",
        details=("keys that can sign:", *_described(able)) if able else (),
        hint=None if able else "make a key with: gpg --quick-generate-key 'Name <e-mail>'",
    )


def _certificates(keys: Sequence[Key]) -> list[_Certificate]:
    return [
        _Certificate(
            primary=key,
            subkeys=tuple(k for k in keys if k.primary == key.fingerprint and k is not key),
        )
        for key in keys
        if key.fingerprint == key.primary
    ]


def _names(wanted: str, certificate: _Certificate) -> bool:
    """Say whether ``wanted`` names this certificate: by hex, by address, by name."""
    if match := _HEX.fullmatch(wanted):
        return any(part.fingerprint.endswith(match[1].upper()) for part in certificate.parts)
    user_ids = certificate.primary.user_ids
    if "@" in wanted and " " not in wanted:
        address = wanted.strip("<>").casefold()
        return any(_address(user_id) == address for user_id in user_ids)
    return any(wanted.casefold() in _NAME.sub("", user_id).casefold() for user_id in user_ids)


def _address(user_id: str) -> str:
    match = _ADDRESS.search(user_id)
    return (match[1] if match else user_id).strip().casefold()


def _fault(certificate: _Certificate) -> str | None:
    """Say why this certificate cannot sign, or None."""
    if word := _FAULTS.get(certificate.primary.validity):
        return word
    able = [part for part in certificate.parts if "s" in part.capabilities]
    if not able:
        return "not made for signing"
    if not any(_signs(part) for part in able):
        return "its signing key is expired, revoked or kept elsewhere"
    return None


def _signs(part: Key) -> bool:
    return part.secret and "s" in part.capabilities and part.validity not in _FAULTS


def _choice(wanted: str, certificate: _Certificate) -> Choice:
    match = _HEX.fullmatch(wanted)
    ends = match[1].upper() if match else ""
    subkeys = [k for k in certificate.subkeys if ends and k.fingerprint.endswith(ends)]
    if subkeys and not certificate.primary.fingerprint.endswith(ends):
        if not _signs(subkeys[0]):
            raise SigningKeyFailure(f"the subkey {wanted} cannot sign")
        return Choice(key=certificate.primary, local_user=f"{subkeys[0].fingerprint}!")
    return Choice(key=certificate.primary, local_user=certificate.primary.fingerprint)


def _described(certificates: Iterable[_Certificate]) -> tuple[str, ...]:
    lines = [_line(each) for each in certificates]
    more = len(lines) - _SHOWN
    return (*lines[:_SHOWN], *((f"and {more} more",) if more > 0 else ()))


def _line(certificate: _Certificate) -> str:
    fault = _fault(certificate) if certificate.primary.secret else None
    user_id = next(iter(certificate.primary.user_ids), "(no user id)")
    return f"{certificate.primary.fingerprint}  {user_id}" + (f"  ({fault})" if fault else "")
