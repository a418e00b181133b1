"""The signer's public key beside the releases, so that others can check what was signed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.formats import gpgstatus
from gbuild.host.files import write_atomically
from gbuild.host.keyring import Keyring
from gbuild.model import sigs_layout


def put_key(top: Path, signer: str, key: bytes) -> Path:
    """Put a public key (armored) into the key folder of ``top``; return its path.

    A file that holds the key already learns what is new (a later expiry, a revocation) and
    forgets nothing.

    Raises:
        UsageFailure: the file holds another key, or is a symbolic link.
    """
    path = top / sigs_layout.KEYS_FOLDER / f"{signer}.asc"
    if path.is_symlink() or path.parent.is_symlink():
        raise UsageFailure(f"{path} is, or lies behind, a symbolic link", hint="remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    old = path.read_bytes() if path.is_file() else None
    merged = key if old is None else _merged(path, old, key)
    if merged != old:
        write_atomically(path, merged)
    return path


def _merged(path: Path, old: bytes, new: bytes) -> bytes:
    before, wanted = _primaries([old]), _primaries([new])
    if not wanted <= before:
        raise UsageFailure(
            f"{path} holds another key",
            details=tuple(sorted(before)) or ("gpg finds no key in it",),
            hint="sign under another name with --as, or change the key file yourself",
        )
    with Keyring() as keyring:
        keyring.add([old, new])
        return keyring.export()


def _primaries(keys: Sequence[bytes]) -> frozenset[str]:
    with Keyring() as keyring:
        keyring.add(keys)
        return frozenset(key.primary for key in gpgstatus.read_keys(keyring.listing()))
