"""Attest: decide what may be written, sign it, put it in place, commit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import UsageFailure
from gbuild.formats import openpgp
from gbuild.model.verdict import Status
from gbuild.sign.commit import Repository
from gbuild.sign.gnupg import check
from gbuild.sign.keyfile import put_key
from gbuild.sign.tree import Place, Present, present, put

Make = Callable[[], bytes | None]
"""Makes the signature, or None when it is made elsewhere."""

Envelope = Callable[[], bytes]
"""Makes the in-toto attestation that is put beside the assertion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested:
    """What was done: ``commit`` is None when nothing was committed, ``key`` when none was put."""

    place: Place
    written: bool
    signed: bool
    key: Path | None = None
    commit: str | None = None
    attestation: bool = False


def attest(
    place: Place,
    assertion: bytes,
    make: Make,
    *,
    top: Path,
    public_key: bytes | None,
    export_key: bool,
    force: bool,
    environment: Mapping[str, str],
    envelope: Envelope | None = None,
) -> Attested:
    """Put a signed assertion in its place.

    Args:
        place: where.
        assertion: the bytes to sign.
        make: signs them; called only when everything else allows it.
        top: the folder whose git tree is committed to, when it is the top of one.
        public_key: the signer's, armored; None when a program signs.
        export_key: put the public key into ``top`` too.
        force: replace an earlier assertion of the same signer.
        environment: the person's.
        envelope: makes an attestation to put there, too.

    Raises:
        UsageFailure: something else lies there.
        SigningKeyFailure: it could not be signed.
        HostFailure: git could not commit; the files stay.
    """
    repository = Repository(top, environment) if Repository.is_top(top) else None
    if repository:
        repository.refuse_unfinished()
    before = present(place)
    done = before.assertion == assertion and _is_ours(before, public_key) is True
    done = done and (envelope is None or place.attestation.is_file())
    signed = done or _write(
        place, before, assertion, make, public_key=public_key, force=force, envelope=envelope
    )
    key = put_key(top, place.signer, public_key) if export_key and public_key else None
    paths = [place.assertion, *([place.signature] if signed else []), *([key] if key else [])]
    if envelope is not None:
        paths.append(place.attestation)
    what = f"{place.name} {place.release}" + (f" ({place.stage})" if place.stage else "")
    message = f"Add {place.signer}'s signature of {what}"
    commit = repository.commit(paths, message) if repository and signed else None
    return Attested(
        place=place,
        written=not done,
        signed=signed,
        key=key,
        commit=commit,
        attestation=envelope is not None,
    )


def _write(
    place: Place,
    before: Present,
    assertion: bytes,
    make: Make,
    *,
    public_key: bytes | None,
    force: bool,
    envelope: Envelope | None,
) -> bool:
    """Sign and write; say whether there is a signature."""
    _refuse_overwrite(place, before, assertion, public_key, force=force)
    signature = make()
    put(place, assertion, signature, attestation=envelope() if envelope else None)
    if signature is not None:
        return True
    if before.signature is not None and before.assertion != assertion:
        place.signature.unlink()
    return place.signature.is_file()


def _refuse_overwrite(
    place: Place, before: Present, assertion: bytes, public_key: bytes | None, *, force: bool
) -> None:
    ours = _is_ours(before, public_key)
    if ours is False:
        raise UsageFailure(
            f"{place.signature} was made with another key",
            hint="sign under another name with --as, or remove the file yourself",
        )
    if before.assertion is not None and before.assertion != assertion and not force:
        raise UsageFailure(
            f"{place.assertion} says something else already",
            hint="compare the two; --force replaces it by what was built now",
        )


def _is_ours(before: Present, public_key: bytes | None) -> bool | None:
    """Say whether the signature that lies there is a good one by this key.

    True: good, and by this key. False: by another key. None: there is none, it is damaged or
    stale, or nobody can tell because a program signs.
    """
    if before.signature is None or public_key is None:
        return None
    try:
        packets = openpgp.detached_signature(before.signature)
    except openpgp.NotASignature:
        return None
    found = check(packets, before.assertion or b"", [public_key])
    statuses = {each.status for each in found}
    if Status.UNKNOWN_KEY in statuses:
        return False
    return True if statuses == {Status.GOOD} else None
