"""Which keys vouch for an archive, and whether they did: gpgv on one clear-signed InRelease."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import Untrusted, UsageFailure
from gbuild.host.process import run, which

_KEYRINGS = Path(__file__).parent / "keyrings"
_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----\n"
_SIGNATURE = b"\n-----BEGIN PGP SIGNATURE-----\n"
_END = b"-----END PGP SIGNATURE-----\n"
_VALID = re.compile(rb"^\[GNUPG:\] VALIDSIG ([0-9A-F]{40,64}) .* ([0-9A-F]{40,64})$", re.MULTILINE)
_VERDICT = re.compile(rb"^\[GNUPG:\] (GOODSIG|EXPKEYSIG) ([0-9A-F]{16,64})", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys that may vouch for an archive.

    ``ring`` holds binary OpenPGP keys. With ``only`` (upper-case hex fingerprints of primary or
    signing keys) the ring's other keys count for nothing. ``expired`` lets a key count that has
    expired since: for suites that get no more updates.
    """

    ring: bytes
    only: frozenset[str] | None = None
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The text that good signatures cover, and the primary keys (40 hex) that made them."""

    text: bytes
    fingerprints: tuple[str, ...]


def distribution_keys(
    names: tuple[str, ...], environment: Mapping[str, str], *, expired: bool = False
) -> Keys:
    """Load pinned keyrings; a file of that name in ``GBUILD_KEYRINGS`` replaces one.

    Raises:
        UsageFailure: the folder named there holds an unreadable file.
    """
    return Keys(ring=b"".join(_keyring(name, environment) for name in names), expired=expired)


def _keyring(name: str, environment: Mapping[str, str]) -> bytes:
    if folder := environment.get("GBUILD_KEYRINGS"):
        path = Path(folder) / name
        if path.exists():
            return dearmored(path.read_bytes(), where=str(path))
    return (_KEYRINGS / name).read_bytes()


def dearmored(data: bytes, *, where: str) -> bytes:
    """Return binary OpenPGP keys from binary or ASCII-armoured bytes (RFC 9580, section 6).

    Raises:
        UsageFailure: they are neither.
    """
    if data[:1] and data[0] & 0x80:
        return data
    blocks = re.findall(
        rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n(.*?)"
        rb"(?:\r?\n=[A-Za-z0-9+/]{4})?\r?\n-----END PGP PUBLIC KEY BLOCK-----",
        data,
        re.DOTALL,
    )
    try:
        keys = b"".join(base64.b64decode(b"".join(one.split()), validate=True) for one in blocks)
    except ValueError:
        keys = b""
    if not keys:
        raise UsageFailure(f"{where} holds no OpenPGP public key")
    return keys


def verify_inrelease(data: bytes, keys: Keys, *, what: str) -> Signed:
    """Verify a clear-signed InRelease; at least one signature must be good by ``keys``.

    Raises:
        Untrusted: it is not exactly one clear-signed text, or no accepted key signed it.
        MissingTool: gpgv is not installed.
    """
    _require_shape(data, what)
    with tempfile.TemporaryDirectory(prefix="gbuild-gpgv-") as name:
        folder = Path(name)
        (folder / "keys.gpg").write_bytes(keys.ring)
        (folder / "InRelease").write_bytes(data)
        done = run(
            [
                which("gpgv", package="gpgv"),
                *("--homedir", folder, "--keyring", folder / "keys.gpg"),
                *("--weak-digest", "SHA1", "--status-fd", "1"),
                *("--output", folder / "text", folder / "InRelease"),
            ],
            check=False,
            timeout=60,
        )
        fingerprints = _accepted(done.stdout, keys)
        if not fingerprints:
            raise Untrusted(
                f"{what}: no accepted key signed its InRelease",
                details=tuple(done.stderr.decode(errors="replace").splitlines()[-12:]),
            )
        return Signed(text=(folder / "text").read_bytes(), fingerprints=fingerprints)


def _require_shape(data: bytes, what: str) -> None:
    """Refuse anything before, between or after the one signed text and its signature."""
    body = data.replace(b"\r\n", b"\n")
    shaped = (
        body.startswith(_BEGIN)
        and body.count(b"-----BEGIN ") == 2
        and body.count(_SIGNATURE) == 1
        and body.count(_END) == 1
        and body.endswith(_END)
    )
    if not shaped:
        raise Untrusted(f"{what}: the InRelease is not one clear-signed text")


def _accepted(status: bytes, keys: Keys) -> tuple[str, ...]:
    """Pair each verdict with the VALIDSIG line that follows it; keep what counts."""
    good = {b"GOODSIG", b"EXPKEYSIG"} if keys.expired else {b"GOODSIG"}
    ids = {key for verdict, key in _VERDICT.findall(status) if verdict in good}
    found = []
    for signing, primary in _VALID.findall(status):
        if not any(signing.endswith(one) for one in ids):
            continue
        if keys.only is None or {signing.decode(), primary.decode()} & keys.only:
            found.append(primary.decode())
    return tuple(sorted(set(found)))
