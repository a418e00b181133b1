"""A download package of Gitian's: one ZIP with the files of a release and what signers say of them.

Its shape, from the downloader that fetched such packages and from the release notes of projects
that made them: the files by the paths that are signed, and a folder ``gitian/`` with
``<signer>-build.assert``, ``<signer>-build.assert.sig`` and ``<key>-key.pgp``. What an assertion
calls optional may be missing. Nothing in a package says whom to trust: that is in the config.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gbuild.errors import Untrusted, UsageFailure
from gbuild.formats.openpgp_keys import NotAKey, read_keys
from gbuild.formats.report import Unreadable, read_report
from gbuild.host.foreign import Refused
from gbuild.host.zipped import Zipped
from gbuild.model import names, sigs_layout
from gbuild.model.manifest import Report
from gbuild.verify.keys import MAX_KEY_FILE
from gbuild.verify.read import MAX_ASSERTION, MAX_RELEASE, MAX_SIGNATURE

FOLDER = "gitian/"
_ASSERTION = re.compile(rf"{FOLDER}(?P<signer>[^/]+?)(?:[-.]build)?\.assert")
_SIGNATURES = (".sig", ".asc", ".gpg")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One assertion of a package, read as far as it can be; ``report`` None when it cannot."""

    signer: str
    data: bytes
    signature: bytes | None
    report: Report | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What signers say in a package, and what of it may be missing."""

    release: str
    entries: tuple[Entry, ...]

    @property
    def optionals(self) -> frozenset[str]:
        """The paths that every assertion calls optional."""
        said = [frozenset(e.report.optionals or ()) for e in self.entries if e.report]
        return frozenset.intersection(*said) if said else frozenset()

    def write(self, root: Path) -> None:
        """Lay the assertions out as a tree of signatures below an empty folder."""
        named = (_name(entry.report) for entry in self.entries)
        package = next((name for name in named if name), "package")
        for entry in self.entries:
            name = _name(entry.report) or package
            folder = sigs_layout.signer_folder(root, self.release, entry.signer)
            folder.mkdir(parents=True)
            (folder / sigs_layout.assertion_name(name)).write_bytes(entry.data)
            if entry.signature is not None:
                (folder / sigs_layout.signature_name(name)).write_bytes(entry.signature)


def contents(package: Zipped, *, release: str | None, what: str) -> Contents:
    """Read the assertions of a package.

    Args:
        package: the ZIP.
        release: the release that is asked for; None for the one that the package is of.
        what: how to call it in errors.

    Raises:
        Refused: an assertion is damaged or larger than any honest one.
        Untrusted: nobody signed the package.
        UsageFailure: the assertions are of several releases, and nobody said which one counts.
    """
    found = tuple(_entries(package, what))
    if not found:
        raise Untrusted(
            f"{what} holds no assertion",
            details=(f"looked for {FOLDER}SIGNER-build.assert",),
            hint="a ZIP of files alone: --signatures TREE says who signed them",
        )
    return Contents(release=release or _release(found, what), entries=found)


def keys(package: Zipped, wanted: Mapping[str, str]) -> Mapping[str, bytes]:
    """Return the public keys in a package that have the fingerprints they should have.

    Args:
        package: the ZIP.
        wanted: the name of a key's file, without what follows it, by fingerprint.
    """
    found: dict[str, bytes] = {}
    for fingerprint, name in wanted.items():
        file = f"{FOLDER}{name}-key.pgp"
        with suppress(Refused, NotAKey):
            for key in read_keys(package.read(file, limit=MAX_KEY_FILE)):
                if key.fingerprint == fingerprint:
                    found[f"{file}: {fingerprint}"] = key.packets
    return found


def unsigned(package: Zipped, files: Mapping[str, str]) -> Sequence[str]:
    """Return the files of a package that nobody signed; they are not put in place."""
    return [n for n in package.names() if n not in files and not n.startswith(FOLDER)]


def _entries(package: Zipped, what: str) -> Iterator[Entry]:
    left = MAX_RELEASE
    there = frozenset(package.names())
    signers: set[str] = set()
    for name in sorted(there):
        match = _ASSERTION.fullmatch(name)
        if match is None or names.SIGNER.refusal(match["signer"]):
            continue
        if match["signer"] in signers:
            raise Refused(f"{what} holds two assertions of {match['signer']}")
        signers.add(match["signer"])
        signature = next((name + s for s in _SIGNATURES if name + s in there), None)
        entry = Entry(
            signer=match["signer"],
            data=(data := package.read(name, limit=min(left, MAX_ASSERTION))),
            signature=package.read(signature, limit=MAX_SIGNATURE) if signature else None,
            report=_report(data),
        )
        left -= len(data) + len(entry.signature or b"")
        yield entry


def _report(data: bytes) -> Report | None:
    try:
        return read_report(data)
    except Unreadable:  # its entry will say so: this is only to know where it belongs
        return None


def _name(report: Report | None) -> str | None:
    name = report.name if report else None
    return None if name is None or names.BUILD.refusal(name) else name


def _release(found: Sequence[Entry], what: str) -> str:
    said = {e.report.release for e in found if e.report and e.report.release}
    good = sorted(each for each in said if not names.RELEASE.refusal(each))
    if len(good) == 1:
        return good[0]
    if not good:
        raise Untrusted(f"no assertion in {what} says of which release it is")
    raise UsageFailure(
        f"{what} holds assertions of several releases: {', '.join(good[:5])}",
        hint="--release NAME says which one you want",
    )
