"""Verify a release: read the tree, check the signatures in a temporary keyring, judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gbuild.formats import gpgstatus
from gbuild.host.keyring import Keyring
from gbuild.model.verdict import Claim, ReleaseVerdict, Signature
from gbuild.verify.claim import claim
from gbuild.verify.judge import judge
from gbuild.verify.keys import KeySource
from gbuild.verify.policy import Policy
from gbuild.verify.read import read_release


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Checks signatures with the keys of one keyring; the keyring is read once."""

    keyring: Keyring
    keys: dict[str, gpgstatus.Key] = field(default_factory=dict)

    @classmethod
    def of(cls, keyring: Keyring) -> Checker:
        """Make a checker for what the keyring holds now."""
        listed = gpgstatus.read_keys(keyring.listing())
        return cls(keyring=keyring, keys={key.fingerprint: key for key in listed})

    def __call__(self, packets: bytes, document: bytes) -> Signature:
        """Check detached signature packets over a document."""
        lines = self.keyring.verify(packets, document)
        return gpgstatus.speaks_for_all(gpgstatus.read_signatures(lines, self.keys))


def fill(keyring: Keyring, source: KeySource) -> tuple[str, ...]:
    """Import key files; return one line for every file that could not be used, or not wholly."""
    broken = keyring.add([file.data for file in source.files])
    return tuple(f"{source.files[index].label}: gpg finds no usable key in it" for index in broken)


def verify_release(
    root: Path,
    release: str,
    *,
    name: str | None,
    checker: Checker,
    policy: Policy,
    compare_to: str | None = None,
) -> tuple[ReleaseVerdict, ...]:
    """Judge one release folder: one verdict per package in it, never none.

    Raises:
        Refused: the release's folder does not exist or is a symbolic link.
    """
    claims = [
        claim(found, release=release, check=checker)
        for found in read_release(root, release, name=name)
    ]
    return tuple(
        judge(release, package, own, policy=policy, compare_to=compare_to)
        for package, own in _by_package(claims, name)
    )


def _by_package(claims: Sequence[Claim], name: str | None) -> Iterator[tuple[str, Sequence[Claim]]]:
    """Group claims by package; a signer's unreadable folder spoils every package."""
    packages = sorted({each.name for each in claims if each.name}) or [""]
    for package in [name] if name is not None else packages:
        yield package, [each for each in claims if each.name in {package, ""}]
