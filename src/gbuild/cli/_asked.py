"""What a person asks of gverify in one or several options, checked before any tree is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.errors import UsageFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gbuild.model.policy import Policy
    from gbuild.verify.checker import Witness

_GLOB = frozenset("*?[")


def is_glob(release: str) -> bool:
    """Say whether a release is asked for by a pattern."""
    return not _GLOB.isdisjoint(release)


def release_asked(release: str | None, *, everything: bool) -> str | None:
    """Return the release or glob that is asked for; None for all.

    Raises:
        UsageFailure: neither or both were given.
    """
    if everything == (release is not None):
        raise UsageFailure(
            "say which releases: --release NAME, --release GLOB, or --all (only one of them)"
        )
    return release


def policy_asked(file: Path | None, *, persons: int | None, allow_weak: bool) -> Policy:
    """Return the policy of the file, or that of somebody who wrote none.

    Raises:
        UsageFailure: a policy file and options that would change it.
    """
    if file is None:
        from gbuild.verify.policy import default_policy

        return default_policy(persons=persons or 1, allow_weak=allow_weak)
    if persons is not None or allow_weak:
        raise UsageFailure(
            "--policy says all that counts: --persons and --allow-weak have no place beside it",
            hint="in the policy: require: {at_least: N, of: anyone}, weak_signatures: [SHA1]",
        )
    from gbuild.formats.policy import read_policy
    from gbuild.host.files import read_small

    try:
        data = read_small(file)
    except OSError as error:
        raise UsageFailure(f"--policy {file}: {error.strerror}") from error
    return read_policy(data, path=str(file))


def witness_asked(repositories: Sequence[str], certificates: Path | None) -> Witness | None:
    """Return who knows from outside when a signature existed; None when nobody was named.

    Args:
        repositories: each a folder and the whole id of a commit, as ``DIR@COMMIT``.
        certificates: a file with the certificates of timestamp authorities.

    Raises:
        UsageFailure: one of them is not what it should be.
    """
    if not repositories and certificates is None:
        return None
    from gbuild.verify import evidence

    found = [evidence.by_history(*_pinned(each)) for each in repositories]
    if certificates is not None:
        found.append(evidence.by_authorities(certificates))
    return evidence.earliest(*found)


def _pinned(text: str) -> tuple[Path, str]:
    folder, at, commit = text.rpartition("@")
    if not at or not folder or not commit:
        raise UsageFailure(
            f"--evidence {text}: that is no repository with a commit",
            hint="write DIR@COMMIT, with the whole id of the commit",
        )
    return Path(folder).absolute(), commit.lower()
