"""DSSE envelopes around in-toto statements.

Source: Dead Simple Signing Envelope, protocol and envelope version 1.0.2. What is signed is the
pre-authentication encoding of type and payload, so that a signature never fits another type.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from gbuild.errors import UsageFailure

IN_TOTO = "application/vnd.in-toto+json"
_MOST_SIGNATURES = 64


class NotAnEnvelope(UsageFailure):
    """Bytes that are no DSSE envelope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeSignature:
    """One signature over :func:`to_be_signed`; ``keyid`` only says where to look for the key."""

    keyid: str
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A payload of some type, and who signed it."""

    payload_type: str
    payload: bytes
    signatures: tuple[EnvelopeSignature, ...]


def to_be_signed(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that every signature of an envelope covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def write_envelope(
    payload: bytes, signatures: Sequence[EnvelopeSignature], *, payload_type: str = IN_TOTO
) -> bytes:
    """Write an envelope as one line of JSON with sorted keys and a line break at its end."""
    document = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [
            {"keyid": one.keyid, "sig": base64.b64encode(one.signature).decode()}
            for one in signatures
        ],
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def read_envelope(data: bytes) -> Envelope:
    """Read an envelope; nothing is verified.

    Raises:
        NotAnEnvelope: it is something else, damaged, or holds too many signatures.
    """
    try:
        document = json.loads(data)
        signatures = document["signatures"]
        if not isinstance(signatures, list) or not 0 < len(signatures) <= _MOST_SIGNATURES:
            raise NotAnEnvelope("a DSSE envelope has one signature or several, in a list")
        return Envelope(
            payload_type=_text(document["payloadType"]),
            payload=_decoded(document["payload"]),
            signatures=tuple(
                EnvelopeSignature(keyid=_text(one.get("keyid", "")), signature=_decoded(one["sig"]))
                for one in signatures
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NotAnEnvelope("the file is no DSSE envelope", details=(str(error),)) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise NotAnEnvelope("a DSSE envelope holds text where it must")
    return value


def _decoded(value: object) -> bytes:
    """Decode base64, of the plain or the URL-safe alphabet, as the protocol demands."""
    try:
        plain = _text(value).replace("-", "+").replace("_", "/")
        return base64.b64decode(plain, validate=True)
    except binascii.Error as error:
        raise NotAnEnvelope("a DSSE envelope holds text that is not base64") from error
