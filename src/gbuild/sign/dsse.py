"""The in-toto attestation of a build: its statement in a DSSE envelope, signed by one or two keys.

The OpenPGP key that signs the assertion signs the same bytes here, so that whoever has it can
check both; a key of its own (Ed25519) lets tools in that know no OpenPGP.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.errors import MissingTool, SigningKeyFailure
from gbuild.formats.dsse import IN_TOTO, EnvelopeSignature, to_be_signed, write_envelope
from gbuild.host.files import read_small
from gbuild.sign.signer import Signer

if TYPE_CHECKING:
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # see _load


class Ed25519Key:
    """A private Ed25519 key in a PEM file (PKCS #8, without a password).

    Raises:
        MissingTool: securesystemslib is not installed.
        SigningKeyFailure: the file holds no such key.
    """

    def __init__(self, path: Path) -> None:
        self._signer = _load(path)
        self.keyid: str = self._signer.public_key.keyid

    def sign(self, payload: bytes) -> EnvelopeSignature:
        """Sign a payload as an envelope has it."""
        made = self._signer.sign(to_be_signed(IN_TOTO, payload))
        return EnvelopeSignature(keyid=self.keyid, signature=bytes.fromhex(made.signature))


def _load(path: Path) -> CryptoSigner:
    try:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from securesystemslib.signer import (  # type: ignore[attr-defined] # public, not in __all__
            CryptoSigner,
        )
    except ImportError as error:
        raise MissingTool(
            "an Ed25519 key needs the library securesystemslib",
            hint="pip install 'gbuild[dsse]'",
        ) from error
    try:
        key = load_pem_private_key(read_small(path), password=None)
        signer = CryptoSigner(key)
    except (ValueError, TypeError, OSError) as error:
        raise SigningKeyFailure(
            f"{path} holds no private key that can be used",
            details=(str(error),),
            hint="make one with: openssl genpkey -algorithm ed25519 -out KEY.pem",
        ) from error
    if signer.public_key.keytype != "ed25519":
        raise SigningKeyFailure(f"{path} holds a key of type {signer.public_key.keytype}")
    return signer


def attestation(payload: bytes, *, key: Signer | None, other: Ed25519Key | None) -> bytes:
    """Return the envelope around a statement, signed by the keys that are given.

    Raises:
        SigningKeyFailure: a key could not be used, or there is none.
    """
    signatures = []
    if key is not None:
        made = key.sign(to_be_signed(IN_TOTO, payload))
        signatures.append(EnvelopeSignature(keyid=key.identity.fingerprint, signature=made))
    if other is not None:
        signatures.append(other.sign(payload))
    if not signatures:
        raise SigningKeyFailure("no key is there to sign the attestation with")
    return write_envelope(payload, signatures)
