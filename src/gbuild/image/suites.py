"""What gbuild knows of each suite: its archives, pockets, keys and shape. Data, and look-ups in it.

An archive has a symbolic name (``debian``, ``debian-security``, ``ubuntu``); where it can be had
is never written here. Suites are codenames: a name that moves (``stable``) cannot be pinned.
"""

from __future__ import annotations

from dataclasses import dataclass

from gbuild.errors import UsageFailure

MONTH = 30 * 86400
"""Seconds after which a pocket that is published all the time counts as frozen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pocket:
    """One signed suite of an archive, as it must introduce itself in its InRelease.

    ``max_age`` (seconds) is None for a pocket that stands still by nature; Valid-Until counts
    besides, where the archive signs one.
    """

    archive: str
    suite: str
    origin: str
    label: str
    components: tuple[str, ...]
    max_age: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """One release of a distribution.

    ``archived`` suites get no more updates: their age and the expiry of their keys say nothing.
    ``merged_usr``: /bin, /sbin and /lib are links; ``lib_links`` further such links on amd64.
    ``extra`` packages belong to every image of the suite.
    """

    name: str
    distro: str
    pockets: tuple[Pocket, ...]
    keyrings: tuple[str, ...]
    archived: bool
    merged_usr: bool
    lib_links: tuple[str, ...]
    extra: tuple[str, ...] = ()


_DEBIAN_ARCHIVED = ("wheezy", "jessie", "stretch", "buster")
_DEBIAN = ("bullseye", "bookworm", "trixie", "forky")
_DEBIAN_OLD_SECURITY = ("wheezy", "jessie", "stretch", "buster")
_DEBIAN_UNMERGED = ("wheezy", "jessie", "stretch", "buster")
_DEBIAN_EXTRA = {"bookworm": ("usr-is-merged",)}
"""bookworm's init-system-helpers would else pull in usrmerge, which converts and needs perl."""
_DEBIAN_LIB_LINKS = ("bullseye", "bookworm")
_UBUNTU_ARCHIVED = ("precise", "trusty", "xenial", "bionic", "focal", "plucky", "questing")
_UBUNTU = ("jammy", "noble", "resolute")
_UBUNTU_UNMERGED = ("precise", "trusty", "xenial", "bionic")
_MOVING = {
    "debian": ("stable", "oldstable", "oldoldstable", "testing", "unstable", "sid"),
    "ubuntu": ("devel",),
}


def suite(distro: str, name: str, *, arch: str = "amd64") -> Suite:
    """Return what is known of a suite.

    Raises:
        UsageFailure: nothing is; names the nearest known ones.
    """
    known = known_suites(distro)
    if name in _MOVING[distro]:
        raise UsageFailure(
            f"the suite {name} moves from release to release and cannot be pinned",
            hint=f"name the release: {', '.join(reversed(known[-3:]))}",
        )
    if name not in known:
        import difflib  # only a mistake needs it

        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        raise UsageFailure(
            f"unknown suite of {distro}: {name}",
            details=(f"known: {', '.join(known)}",),
            hint=f"did you mean {' or '.join(near)}?" if near else None,
        )
    return _debian(name) if distro == "debian" else _ubuntu(name, arch)


def known_suites(distro: str) -> tuple[str, ...]:
    """Return the codenames of a distribution, those that still get updates last.

    Raises:
        UsageFailure: the distribution itself is unknown.
    """
    if distro == "debian":
        return _DEBIAN_ARCHIVED + _DEBIAN
    if distro == "ubuntu":
        return _UBUNTU_ARCHIVED + _UBUNTU
    raise UsageFailure(
        f"unknown distribution: {distro}", details=("known: debian, ubuntu (the default)",)
    )


def distribution_of(suite: str) -> str:
    """Return the distribution that has a suite of that name.

    Raises:
        UsageFailure: none has.
    """
    found = [distro for distro in ("debian", "ubuntu") if suite in known_suites(distro)]
    if not found:
        known = ", ".join((*_DEBIAN, *_UBUNTU))
        raise UsageFailure(f"unknown suite: {suite}", details=(f"known: {known}",))
    return found[0]


def _debian(name: str) -> Suite:
    archived = name in _DEBIAN_ARCHIVED
    age = None if archived else MONTH
    security = f"{name}/updates" if name in _DEBIAN_OLD_SECURITY else f"{name}-security"
    main = ("main",)
    pockets = [
        Pocket(archive="debian", suite=name, origin="Debian", label="Debian", components=main),
        Pocket(
            archive="debian-security",
            suite=security,
            origin="Debian",
            label="Debian-Security",
            components=main,
            max_age=age,
        ),
    ]
    if not archived:
        pockets.append(
            Pocket(
                archive="debian",
                suite=f"{name}-updates",
                origin="Debian",
                label="Debian",
                components=main,
                max_age=age,
            )
        )
    return Suite(
        name=name,
        distro="debian",
        pockets=tuple(pockets),
        keyrings=("debian.gpg", "debian-archived.gpg") if archived else ("debian.gpg",),
        archived=archived,
        merged_usr=name not in _DEBIAN_UNMERGED,
        lib_links=("lib32", "lib64", "libx32") if name in _DEBIAN_LIB_LINKS else ("lib64",),
        extra=_DEBIAN_EXTRA.get(name, ()),
    )


def _ubuntu(name: str, arch: str) -> Suite:
    archived = name in _UBUNTU_ARCHIVED
    archive = "ubuntu" if arch in ("amd64", "i386") else "ubuntu-ports"
    pockets = tuple(
        Pocket(
            archive=archive,
            suite=name + ending,
            origin="Ubuntu",
            label="Ubuntu",
            components=("main", "universe"),
            max_age=MONTH if ending and not archived else None,
        )
        for ending in ("", "-updates", "-security")
    )
    return Suite(
        name=name,
        distro="ubuntu",
        pockets=pockets,
        keyrings=("ubuntu.gpg",),
        archived=archived,
        merged_usr=name not in _UBUNTU_UNMERGED,
        lib_links=("lib32", "lib64", "libx32"),
    )
