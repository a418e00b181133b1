"""gbuild's own pieces for the benchmarks: an image from the warm store, and its targets."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from harness import Bench

from gbuild.backends.userns import UsernsBackend
from gbuild.engine.build import read_descriptor
from gbuild.engine.locks import find_lock
from gbuild.host.idmap import current
from gbuild.host.store import Store
from gbuild.image.provide import ensure
from gbuild.model.descriptor import Descriptor
from gbuild.model.event import discard
from gbuild.model.image import Image
from gbuild.model.lock import Environment
from gbuild.model.options import BuildOptions
from gbuild.target.backend import Backend, Limits, Machine, TargetSpec


@lru_cache
def environment_of(store: Path, descriptor: Path, result: Path) -> tuple[Descriptor, Environment]:
    """Return the first environment of the descriptor's lock (resolved now if it has none)."""
    import os

    parsed = read_descriptor(descriptor, discard)
    found = find_lock(
        parsed,
        descriptor,
        BuildOptions(),
        result=result,
        store=Store(store),
        sink=discard,
        environment=os.environ,
    )
    return parsed, found.lock.environments[0]


def image_of(bench: Bench) -> Image:
    """Return the image, made now if the store lacks it."""
    result = bench.work / "result"
    result.mkdir(exist_ok=True)
    parsed, environment = environment_of(bench.store, bench.descriptor, result)
    return ensure(
        environment,
        expected={},
        store=Store(bench.store),
        idmap=current(bench.environment),
        sink=discard,
        os_environment=bench.environment,
        repositories=parsed.repositories,
    )


def backend_of(bench: Bench) -> Backend:
    """Return the default backend on the warm store."""
    return UsernsBackend(store=Store(bench.store), environment=bench.environment, sink=discard)


def start(backend: Backend, image: Image, name: str = "bench", *, disk: int = 8 << 30) -> Machine:
    """Start a target as a build would."""
    spec = TargetSpec(name=name, image=image, user="builder", limits=Limits(disk=disk))
    return backend.start(spec)
