"""Sign with the person's gpg."""

from __future__ import annotations

from collections.abc import Sequence

from gbuild.errors import SigningKeyFailure
from gbuild.formats import gpgstatus, openpgp
from gbuild.host.gpg import PersonalKeyring
from gbuild.host.keyring import Keyring
from gbuild.model.verdict import Signature, Status
from gbuild.sign.choose import choose
from gbuild.sign.signer import Identity, Signer


class GnupgSigner(Signer):
    """One key of the person's keyring, found when the object is made.

    Args:
        wanted: fingerprint, key id, e-mail address or name.
        keyring: the person's.

    Raises:
        SigningKeyFailure: no such key, several, or one that cannot sign.
    """

    def __init__(self, wanted: str, keyring: PersonalKeyring) -> None:
        secret = gpgstatus.read_keys(keyring.listing(secret=True))
        public = gpgstatus.read_keys(keyring.listing(secret=False))
        self._choice = choose(wanted, secret, public)
        self._keyring = keyring
        key = self._choice.key
        self.identity = Identity(
            fingerprint=key.fingerprint, user_id=next(iter(key.user_ids), key.fingerprint)
        )

    def sign(self, document: bytes) -> bytes:
        """Return a detached signature that was checked to be good and by this key alone."""
        signature = openpgp.detached_signature(
            self._keyring.sign(document, key=self._choice.local_user)
        )
        for made in check(signature, document, [self.public_key()]):
            if made.fingerprint != self.identity.fingerprint:
                raise SigningKeyFailure(
                    "gpg signed with another key than the one that was asked for",
                    details=(f"asked for {self.identity.fingerprint}", f"got {made.key_id}"),
                    hint="remove local-user from your gpg.conf",
                )
            if made.status is not Status.GOOD:
                raise SigningKeyFailure(f"gpg made a signature that is {made.status}")
        return signature

    def public_key(self) -> bytes:
        """Return the public key as gpg exports it, armored."""
        return self._keyring.export(self.identity.fingerprint)


def check(signature: bytes, document: bytes, keys: Sequence[bytes]) -> tuple[Signature, ...]:
    """Check detached signature packets with these public keys and no others."""
    with Keyring() as keyring:
        keyring.add(keys)
        known = {key.fingerprint: key for key in gpgstatus.read_keys(keyring.listing())}
        return gpgstatus.read_signatures(keyring.verify(signature, document), known)
