"""What gget was asked for, checked as far as it can be before anything is read or fetched."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gbuild.cli._asked import policy_asked, witness_asked
from gbuild.errors import UsageFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gbuild.cli._session import Session
    from gbuild.formats.gitian_downloader import DownloadConfig
    from gbuild.get.offered import Offer
    from gbuild.get.run import Order
    from gbuild.model.policy import Policy

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_SCALES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_WAIT = re.compile(r"([0-9]{1,6})\s*(hour|day|week|)s?", re.IGNORECASE | re.ASCII)
_HOURS = {"": 1, "hour": 1, "day": 24, "week": 168}
_KEY_FILES = ("-key.pgp", ".pgp", "-key.asc", ".asc", "-key.gpg", ".gpg")
_LARGEST_KEY = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of gget as they were given."""

    release: str | None
    signatures: str | None
    commit: str | None
    places: tuple[str, ...]
    destination: Path
    package: str | None
    only: tuple[str, ...]
    config: Path | None
    policy: Path | None
    persons: int | None
    allow_weak: bool
    keys: tuple[Path, ...]
    default_keyring: bool
    wait: str | None
    evidence: tuple[str, ...]
    max_size: str
    project: str | None
    allow_older: bool
    dry_run: bool


def order(session: Session, asked: Asked) -> Order:
    """Turn the options into an order.

    Raises:
        UsageFailure: one of them is wrong, or two contradict each other.
    """
    from gbuild.get.agreement import Wanted
    from gbuild.get.remembered import state_folder
    from gbuild.get.run import Order
    from gbuild.get.sources import source

    config = _config(session, asked)
    offer = _offer(asked, config)
    places = () if offer else asked.places or (config.urls if config else ())
    if not places and not asked.dry_run and not offer:
        raise UsageFailure("say where the files lie: SOURCE, a folder or an address")
    wanted = Wanted(
        release=asked.release or "",
        policy=_policy(asked, config),
        package=asked.package,
        only=asked.only,
        keys=asked.keys,
        key_material=_material(session, asked, config),
    )
    return Order(
        wanted=wanted,
        signatures=asked.signatures or "",
        offer=offer,
        commit=asked.commit,
        sources=tuple(source(each) for each in places),
        destination=asked.destination.absolute(),
        state=state_folder(session.environment),
        project=asked.project,
        largest=size(asked.max_size),
        allow_older=asked.allow_older,
        dry_run=asked.dry_run,
        now=int(time.time()),
        witness=witness_asked(asked.evidence, None),
    )


def _offer(asked: Asked, config: DownloadConfig | None) -> Offer | None:
    """Return where a package lies when there is no tree; None when there is one."""
    if asked.signatures is not None:
        if not asked.release:
            raise UsageFailure("--signatures needs --release: a tree has many of them")
        return None
    if config is None or asked.config is None:
        raise UsageFailure(
            "say who signed the files",
            hint="--signatures TREE, or --config FILE for a package of Gitian's",
        )
    if asked.commit is not None:
        raise UsageFailure("--commit is for a tree of signatures, and a package is none")
    from gbuild.formats.gitian_downloader import Address
    from gbuild.get.offered import Offer

    given = tuple(Address(url=_package(each)) for each in asked.places)
    if not given and not config.addresses and not config.feeds:
        raise UsageFailure("neither the config nor you say where the package lies", hint="--url")
    return Offer(
        addresses=given or config.addresses,
        feeds=() if given else config.feeds,
        keys={each.fingerprint: each.file for each in config.signers if each.file},
        name=f"package {asked.config.absolute()}",
    )


def _package(text: str) -> str:
    """Return the address of a package: one, or a file of this host."""
    if text.startswith(("http://", "https://", "file://")) and text.isprintable():
        return text
    if "://" in text or not Path(text).is_file():
        raise UsageFailure(f"there is no package {text}", hint="a ZIP here, or http:// or https://")
    return Path(text).absolute().as_uri()


def size(text: str) -> int:
    """Return bytes for ``500M``, ``4G`` or a bare number.

    Raises:
        UsageFailure: it is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or int(match[1]) == 0:
        raise UsageFailure(f"--max-size {text!r} is no size", hint="such as 500M or 4G")
    return int(match[1]) * _SCALES[match[2].upper()]


def waiting(text: str) -> int:
    """Return seconds for ``24`` (hours, as Gitian had it) or ``3 days``.

    Raises:
        UsageFailure: it is no length of time.
    """
    match = _WAIT.fullmatch(text.strip())
    if match is None:
        raise UsageFailure(f"--wait {text!r} is no length of time", hint="hours, or '3 days'")
    return int(match[1]) * _HOURS[match[2].lower()] * 3600


def _config(session: Session, asked: Asked) -> DownloadConfig | None:
    if asked.config is None:
        return None
    if asked.policy is not None:
        raise UsageFailure("--policy and --config both say what a release needs: give one of them")
    from gbuild.formats.gitian_downloader import read_config
    from gbuild.host.files import read_small
    from gbuild.model.event import Event

    try:
        config = read_config(read_small(asked.config), path=str(asked.config))
    except OSError as error:
        raise UsageFailure(f"--config {asked.config}: {error.strerror}") from error
    if asked.signatures is not None and config.feeds:
        session.sink(Event("warning", f"{asked.config}: rss is not read, --release says what"))
    return config


def _policy(asked: Asked, config: DownloadConfig | None) -> Policy:
    if config is None:
        found = policy_asked(asked.policy, persons=asked.persons, allow_weak=asked.allow_weak)
    else:
        found = config.policy(asked.persons)
        found = replace(found, weak=frozenset({"*"} if asked.allow_weak else ()))
    if asked.wait is not None:
        found = replace(found, minimum_age=waiting(asked.wait) or None)
    return found


def _material(session: Session, asked: Asked, config: DownloadConfig | None) -> Mapping[str, bytes]:
    """Return exported keys: those of the download config, and of the person's own keyring."""
    found: dict[str, bytes] = {}
    if asked.default_keyring:
        from gbuild.host.gpg import PersonalKeyring

        found["your own keyring"] = PersonalKeyring(session.environment).export()
    if config and asked.config:
        for signer in config.signers:
            data = signer.key or _key_file(asked.config.parent, signer.file)
            if data:
                found[f"{asked.config.name}: {signer.fingerprint}"] = data
    return found


def _key_file(folder: Path, name: str | None) -> bytes:
    """Return the key file of that name beside a download config; nothing when there is none."""
    from gbuild.host.files import read_small

    for suffix in _KEY_FILES if name else ():
        path = folder / f"{name}{suffix}"
        if path.is_file():
            return read_small(path, limit=_LARGEST_KEY)
    return b""
