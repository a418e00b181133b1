"""Small values that the engine's unit tests start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gbuild.model.descriptor import Descriptor
from gbuild.model.lock import Archive, Environment, Lock, Package
from gbuild.model.outcome import JobOutcome

Described = Callable[..., Descriptor]
Locked = Callable[..., Lock]
MadeOutcome = Callable[..., JobOutcome]

_ARCHIVE = Archive(
    name="debian", suite="bookworm", sha256="a" * 64, date=1_700_000_000, signed_by=("A" * 40,)
)


def _package(name: str, arch: str) -> Package:
    return Package(
        name=name,
        arch=arch,
        version="1.0-1",
        sha256="b" * 64,
        size=1,
        archive="debian",
        path=f"pool/main/{name}.deb",
    )


def _environment(label: str, packages: tuple[str, ...]) -> Environment:
    suite, _, arch = label.partition("-")
    return Environment(
        suite=suite,
        arch=arch,
        distro="debian",
        request=packages,
        archives=(_ARCHIVE,),
        packages=tuple(_package(name, arch) for name in packages),
    )


@pytest.fixture
def described() -> Described:
    """Make a descriptor; keywords replace its fields."""
    plain = Descriptor(
        source=b"name: sample\n",
        stem="sample",
        name="sample",
        suites=("bookworm",),
        architectures=("amd64",),
        script='echo hello > "$OUTDIR/hello"\n',
        distro="debian",
        reference_datetime="2024-01-31 12:00:00",
    )
    return lambda **fields: replace(plain, **fields)


@pytest.fixture
def locked() -> Locked:
    """Make a lock with the environments of the given labels."""

    def make(*labels: str, packages: tuple[str, ...] = ("gcc", "git")) -> Lock:
        wanted = labels or ("bookworm-amd64",)
        return Lock(environments=tuple(_environment(label, packages) for label in wanted))

    return make


@pytest.fixture
def made(tmp_path: Path) -> MadeOutcome:
    """Make a finished job whose out/ holds the given files."""
    from gbuild.engine.collect import artifacts_of

    def make(label: str, files: dict[str, str]) -> JobOutcome:
        out = tmp_path / "jobs" / label / "out"
        out.mkdir(parents=True)
        for name, text in files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text(text)
        log = tmp_path / "jobs" / f"{label}.log"
        return JobOutcome(label=label, out=out, artifacts=artifacts_of(out), log=log, seconds=1.0)

    return make
