"""What commands say of locks, to persons and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gbuild.model.lock import Environment, Lock, Package


def megabytes(packages: Sequence[Package]) -> str:
    """Say how many packages there are and how large they are together."""
    return f"{len(packages)} packages, {sum(p.size for p in packages) / 1e6:.1f} MB"


def vouched(environment: Environment) -> str:
    """Say who vouches for an environment's packages."""
    if environment.vouched:
        return "listed by the signed " + ", ".join(
            f"{one.name} {one.suite}" for one in environment.archives
        )
    return "NOT PROVED: no signed archive lists them all (gbuild wants --unproven-lock for it)"


def facts(lock: Lock) -> Mapping[str, object]:
    """Return what a JSON answer has of a lock."""
    return {
        "environments": {
            one.label: {
                "packages": len(one.packages),
                "bytes": sum(p.size for p in one.packages),
                "archives": {f"{a.name} {a.suite}": a.date for a in one.archives},
                "images": dict(lock.images.get(one.label, {})),
                "vouched": one.vouched,
            }
            for one in lock.environments
        }
    }
