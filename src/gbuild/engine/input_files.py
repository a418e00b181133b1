"""Input files: from ``inputs/``, from the store, or downloaded; each by its hash."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from gbuild.errors import GbuildError, Unavailable, WrongHash
from gbuild.host import mirrors, web
from gbuild.host.fetch import Wanted, fetch_all
from gbuild.host.files import sha256_of
from gbuild.host.store import Store
from gbuild.model.descriptor import Descriptor, InputFile
from gbuild.model.event import Sink
from gbuild.model.plan import ResolvedFile

_MIRROR = "mirror:"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """Where a file is now: ``path`` holds the right bytes, or is None when it must be fetched."""

    wanted: InputFile
    source: Literal["inputs", "store", "download"]
    sha256: str
    path: Path | None


def find(
    descriptor: Descriptor, *, workspace: Path, store: Store, offline: bool
) -> tuple[FoundFile, ...]:
    """Look for every file of a descriptor without fetching or changing anything.

    Raises:
        Unavailable: names every file that is not at hand and cannot be downloaded, with its hint.
        WrongHash: the same, and a file in ``inputs/`` has other bytes than the descriptor says.
    """
    found: list[FoundFile] = []
    problems: list[GbuildError] = []
    for wanted in descriptor.files:
        try:
            found.append(_find(wanted, workspace, store, offline=offline))
        except Unavailable as error:
            problems.append(error)
    if problems:
        raise together(problems, "input files are missing or wrong")
    return tuple(found)


def fetch(
    found: Sequence[FoundFile],
    descriptor: Descriptor,
    *,
    store: Store,
    environment: Mapping[str, str],
    sink: Sink,
) -> tuple[ResolvedFile, ...]:
    """Download what is missing and return every file in the descriptor's order.

    Raises:
        Unavailable: names all that cannot be had, every address with its reason, and the hints.
    """
    wanted = tuple(
        Wanted(
            name=one.wanted.name,
            sha256=one.sha256,
            urls=addresses(one.wanted, descriptor, environment),
        )
        for one in found
        if one.path is None
    )
    try:
        fetch_all(store, wanted, sink=sink, settings=web.settings(environment))
    except Unavailable as error:
        error.hint = _hints(found, descriptor, environment) or error.hint
        raise
    return tuple(
        ResolvedFile(
            name=one.wanted.name, sha256=one.sha256, path=one.path or store.blob(one.sha256)
        )
        for one in found
    )


def addresses(
    wanted: InputFile, descriptor: Descriptor, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return a file's addresses in order; ``mirror:PATH`` becomes one for each mirror.

    Only http and https are taken from a descriptor: it cannot name files of this host.
    """
    chosen: list[str] = []
    for url in wanted.urls:
        if url.startswith(_MIRROR):
            path = quote(url.removeprefix(_MIRROR).lstrip("/"), safe="/~+:@!$&'()*,;=")
            chosen += [f"{base}/{path}" for base in mirrors.bases(descriptor.distro, environment)]
        elif urlsplit(url).scheme in ("http", "https"):
            chosen.append(url)
    return tuple(chosen)


def together(problems: Sequence[GbuildError], what: str) -> GbuildError:
    """Make one error of several, so that all are told in one pass."""
    if len(problems) == 1:
        return problems[0]
    details: list[str] = []
    for one in problems:
        details += one.lines
        details += [f"  hint: {one.hint}"] if one.hint else []
    kind = WrongHash if any(isinstance(one, WrongHash) for one in problems) else Unavailable
    return kind(f"{len(problems)} {what}", details=tuple(details))


def _find(wanted: InputFile, workspace: Path, store: Store, *, offline: bool) -> FoundFile:
    path = workspace / "inputs" / wanted.name
    if path.exists() or path.is_symlink():
        return _placed(wanted, path, workspace)
    if wanted.sha256 is None:
        raise _missing(wanted, "it has no sha256 in the descriptor, so it is looked for only there")
    if store.has(wanted.sha256):
        try:
            kept = store.verified(wanted.sha256)
        except WrongHash:  # it has been removed: as if it had never been there
            return _find(wanted, workspace, store, offline=offline)
        return FoundFile(wanted=wanted, source="store", sha256=wanted.sha256, path=kept)
    if not wanted.urls:
        raise _missing(wanted, "the descriptor has no address for it")
    if offline:
        raise _missing(wanted, "this run is offline")
    return FoundFile(wanted=wanted, source="download", sha256=wanted.sha256, path=None)


def _placed(wanted: InputFile, path: Path, workspace: Path) -> FoundFile:
    """Check a file that the person put into ``inputs/``."""
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(workspace.resolve()):
        raise Unavailable(
            f"{path} leads out of the workspace: {real}",
            hint="put the file itself there",
        )
    if not path.is_file():
        raise Unavailable(f"{path} is not a regular file")
    try:
        found = sha256_of(path)
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
    if wanted.sha256 not in (None, found):
        raise WrongHash(
            f"{path} is not the file that the descriptor asks for",
            details=(f"expected sha256 {wanted.sha256}", f"got      sha256 {found}"),
            hint=wanted.hint or "move it away, and it will be fetched if it has an address",
        )
    return FoundFile(wanted=wanted, source="inputs", sha256=found, path=path)


def _missing(wanted: InputFile, why: str) -> Unavailable:
    return Unavailable(
        f"inputs/{wanted.name} is missing",
        details=(why,) if wanted.sha256 is None else (why, f"expected sha256 {wanted.sha256}"),
        hint=wanted.hint,
    )


def _hints(
    found: Sequence[FoundFile], descriptor: Descriptor, environment: Mapping[str, str]
) -> str:
    """Collect what the descriptor says about files that had to be downloaded and were not."""
    wanted = [one.wanted for one in found if one.path is None]
    hints = [f"{one.name}: {one.hint}" for one in wanted if one.hint]
    distro = descriptor.distro
    if any(url.startswith(_MIRROR) for one in wanted for url in one.urls) and not mirrors.bases(
        distro, environment
    ):
        hints.append(
            f"this host knows no mirror of {distro}: name one in GBUILD_MIRROR_{distro.upper()}"
        )
    return "\n".join(hints)
