"""A key file may learn (a subkey, a later expiry, a revocation), and must forget nothing."""

from __future__ import annotations

from collections.abc import Iterator

from gbuild.formats import gpgstatus
from gbuild.formats.openpgp_keys import NotAKey, PublicKey, read_keys
from gbuild.host.keyring import Keyring


def problems(before: bytes | None, after: bytes) -> tuple[str, ...]:
    """Say why a key file must not become ``after``; ``before`` is None for a new file."""
    try:
        new = _only(after)
        old = _only(before) if before is not None else None
    except NotAKey as error:
        return (error.brief,)
    known = _validities(new)
    if new.fingerprint not in known:
        return ("gpg finds no usable key in it",)
    return tuple(_losses(old, new, _validities(old), known)) if old else ()


def new_claims(before: bytes | None, after: bytes) -> tuple[str, ...]:
    """Return the user ids that a key file newly claims; nobody has checked whose they are.

    A new file claims all of its own; files that cannot be read claim nothing.
    """
    try:
        known = _only(before).user_ids if before is not None else ()
        return tuple(each for each in _only(after).user_ids if each not in known)
    except NotAKey:
        return ()


def _only(data: bytes) -> PublicKey:
    keys = read_keys(data)
    if len(keys) != 1:
        raise NotAKey(f"it holds {len(keys)} keys, and a signer has one")
    return keys[0]


def _losses(
    old: PublicKey, new: PublicKey, before: dict[str, str], after: dict[str, str]
) -> Iterator[str]:
    if old.fingerprint != new.fingerprint:
        yield f"it becomes another key: {old.fingerprint} was there, {new.fingerprint} is new"
        return
    for subkey in sorted(before.keys() - after.keys()):
        yield f"the subkey {subkey} vanishes"
    for user_id in old.user_ids:
        if user_id not in new.user_ids:
            yield f"the user id {user_id!r} vanishes"
    revoked = {key for key, validity in before.items() if validity == "r"}
    for key in sorted(revoked & after.keys()):
        if after[key] != "r":
            yield f"the revocation of {key} vanishes"


def _validities(key: PublicKey) -> dict[str, str]:
    """Return what gpg says of the key and its subkeys: fingerprint to its letter of validity.

    gpg gets what it gets when signatures are checked, and nothing that lies around it in the file.
    """
    with Keyring() as keyring:
        keyring.add([key.packets])
        listed = gpgstatus.read_keys(keyring.listing())
        return {key.fingerprint: key.validity for key in listed}
