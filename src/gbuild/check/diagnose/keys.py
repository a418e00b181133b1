"""Keys and certificates: PEM taken apart, and the dates of X.509. Pure.

Formats: RFC 7468 (PEM), RFC 5280 4.1.2.5 (UTCTime and GeneralizedTime in DER).
"""

from __future__ import annotations

import base64
import re

from gbuild.check.diagnose.member import Container, Member

_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{3,40})-----\r?\n(.*?)-----END \1-----\r?\n?", re.DOTALL
)
_TIME = re.compile(rb"\x17\x0d(\d{12}Z)|\x18\x0f(\d{14}Z)")
_SERIAL = re.compile(rb"\x30[\x81\x82].{1,2}\x30[\x81\x82].{1,2}\xa0\x03\x02\x01.\x02.", re.DOTALL)
_DRAWN = 8
"""Bytes of a serial number that is drawn; a short one is counted."""
SECRET = ("PRIVATE KEY", "DH PARAMETERS")
"""What is drawn anew, whenever it is made."""


def pem(data: bytes) -> Container:
    """Take a file of PEM blocks apart; what is written between them is a member of its own."""
    members = [Member("", _BLOCK.sub(b"", data))]
    for match in _BLOCK.finditer(data):
        name = match[1].decode("ascii")
        inner = base64.b64decode(match[2])
        fields = {"key": inner[-8:].hex()} if name.endswith(SECRET) else {}
        members.append(Member(name, b"" if fields else inner, fields))
    return Container("pem", tuple(members))


def is_pem(data: bytes) -> bool:
    """Say whether a file has a block of PEM, in its beginning."""
    return b"-----BEGIN " in data[:4096] and bool(_BLOCK.search(data[:65536]))


def times(data: bytes) -> tuple[dict[str, str], list[tuple[int, int]]] | None:
    """Return the two dates of a certificate in DER, and where they are."""
    if data[:1] != b"\x30" or not 64 < len(data) < 1 << 20:
        return None
    found = list(_TIME.finditer(data))
    if len(found) < 2:
        return None
    first = found[0]
    fields = {"created": (first[1] or first[2]).decode()}
    if serial := _SERIAL.match(data[:32]):
        at = serial.end()
        length = min(data[at - 1], 20)
        fields["serial"] = data[at : at + length].hex() if length >= _DRAWN else ""
    return fields, [(match.start() + 2, match.end()) for match in found]
