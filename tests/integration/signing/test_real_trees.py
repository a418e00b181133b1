"""Two public trees of signatures, when GBUILD_TEST_TREES names the folder that holds them.

The counts were made with gpg alone, one signature after the other.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gbuild.host.keyring import Keyring
from gbuild.model.verdict import ReleaseVerdict, SignerVerdict, Status
from gbuild.verify import keys, read
from gbuild.verify.policy import default_policy
from gbuild.verify.release import Checker, fill, verify_release

Counted = tuple[int, int]
AT = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())
TREES = os.environ.get("GBUILD_TEST_TREES")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not TREES, reason="GBUILD_TEST_TREES is not set"),
]


def verdicts(tree: str) -> list[ReleaseVerdict]:
    root = Path(TREES or "") / tree / "sigs"
    with Keyring(at=AT) as keyring:
        assert fill(keyring, keys.from_tree(root)) == ()
        checker = Checker.of(keyring)
        return [
            verdict
            for release in read.releases(root)
            for verdict in verify_release(
                root, release, name=None, checker=checker, policy=default_policy()
            )
        ]


def entries(judged: list[ReleaseVerdict]) -> list[SignerVerdict]:
    return [entry for verdict in judged for entry in verdict.signers]


def agreement(judged: list[ReleaseVerdict], by: Callable[[ReleaseVerdict], object]) -> Counted:
    """Return (how many agree, how many have two documents or more)."""
    documents: dict[object, list[tuple[tuple[str, str], ...]]] = {}
    for verdict in judged:
        documents.setdefault(by(verdict), []).extend(
            tuple(sorted(entry.claim.artifacts.items()))
            for entry in verdict.signers
            if entry.claim.artifacts is not None
        )
    several = [set(each) for each in documents.values() if len(each) > 1]
    return sum(len(each) == 1 for each in several), len(several)


def by_folder(verdict: ReleaseVerdict) -> object:
    return verdict.release


def by_package(verdict: ReleaseVerdict) -> object:
    return verdict.release, verdict.name


@pytest.mark.parametrize(
    ("tree", "signatures", "unsigned", "wrong_names", "folders", "packages"),
    [
        (
            "litecoin",
            {"good": 407, "expired-key": 213, "unknown-key": 144, "bad": 1, "not-detached": 1},
            12,
            1,
            (203, 210),
            (204, 210),  # xinxi-wang's linux document lies in 0.13.3rc1-osx-unsigned
        ),
        ("monero", {"good": 745, "expired-key": 569}, 0, 75, (208, 208), (208, 208)),
    ],
)
def test_counts(
    tree: str,
    signatures: dict[str, int],
    unsigned: int,
    wrong_names: int,
    folders: Counted,
    packages: Counted,
) -> None:
    judged = verdicts(tree)
    found = entries(judged)
    assert Counter(e.claim.signature.status for e in found if e.claim.signature) == signatures
    statuses = Counter(entry.claim.status for entry in found)
    assert statuses[Status.MISSING_SIGNATURE] == unsigned
    assert sum(entry.claim.stated_release != entry.claim.release for entry in found) == wrong_names
    assert statuses[Status.UNREADABLE] == 0
    assert agreement(judged, by_folder) == folders
    assert agreement(judged, by_package) == packages
